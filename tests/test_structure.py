"""The rooms of `hypertrain/`: what may import what, and the page that says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from conftest import ROOT

TUNER = ROOT / "{{cookiecutter.project_slug}}" / "hypertrain"


def test_imports_point_down_only() -> None:
    """The layers stand in `pyproject.toml`; a module that is in none of them is refused too."""
    linter = "from importlinter.cli import lint_imports_command as main; main()"
    done = subprocess.run(
        [sys.executable, "-c", linter, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(TUNER.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


def test_the_page_names_every_room() -> None:
    page = (ROOT / "docs" / "structure.md").read_text()
    rooms = {path.parent.name for path in TUNER.glob("*/__init__.py")}
    assert rooms
    for room in rooms:
        assert re.search(rf"\b{room}\b", page), room
    for file in re.findall(r"`(\w+/[\w/]+\.py)`", page):
        assert (TUNER / file).is_file() or (ROOT / file).is_file(), file


def test_only_one_file_knows_the_inside_of_wandb() -> None:
    """What W&B does not promise: its private names and the modules below `wandb.sdk`."""
    inside = re.compile(r"wandb\.(sdk|proto|util)\b|\bNoopRun\b|_detect_and_apply")
    found = {
        path.relative_to(TUNER).as_posix()
        for path in TUNER.rglob("*.py")
        if inside.search(path.read_text())
    }
    assert found == {"inside_wandb.py"}
