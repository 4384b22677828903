"""Environments of the tools that tests run, made once and kept in `.cache/environments/`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from conftest import ROOT
from filelock import FileLock

FOLDER = ROOT / ".cache" / "environments"


def environment(name: str, *packages: str) -> Path:
    """A virtual environment with these packages; two test processes may ask for it at once."""
    home = FOLDER / f"{name}-py{sys.version_info.major}{sys.version_info.minor}"
    recipe = home / "recipe.json"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{home}.lock"):
        if not recipe.is_file() or json.loads(recipe.read_text()) != list(packages):
            venv.create(home, clear=True, with_pip=False)
            pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
            target = ["--python", str(commands(home) / "python"), "install", *packages]
            subprocess.run([*pip, *target], check=True, timeout=600)
            recipe.write_text(json.dumps(packages))
    return home


def commands(home: Path) -> Path:
    return home / ("Scripts" if os.name == "nt" else "bin")
