#!/usr/bin/env python3
"""From a clone of this repository to the leaderboard of a real sweep:

    python3 try_it.py

Bakes a project into try-it/, installs what it needs in an environment of its own, and trains.
Run again, it goes on where it stopped. Needs Python 3.11 or newer with pip.
"""

import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TEMPLATE = "{{cookiecutter.project_slug}}"
PROJECT = ROOT / "try-it" / "hyperparameter-tuning-test"
PIP = "pip==26.3"


def main() -> None:
    signal.signal(signal.SIGINT, lambda *_: None)  # a Ctrl-C is for the command under way
    if not PROJECT.is_dir():
        bake()
    python = environment(PROJECT / ".venv", PIP, "-r", PROJECT / "requirements.txt")
    sweep = subprocess.run([python, "-m", "hypertrain"], cwd=PROJECT, check=False)
    print(f"\nThe project is {PROJECT.relative_to(ROOT)}: its README.md says what to edit.")
    sys.exit(sweep.returncode)


def bake() -> None:
    python = environment(ROOT / ".cache" / "cookiecutter", "cookiecutter==2.7.1")
    options = ["--no-input", "--default-config", f"--output-dir={PROJECT.parent}"]
    run(python, "-m", "cookiecutter", *options, ROOT, f"project_slug={PROJECT.name}")


def environment(folder: Path, *packages: "str | Path") -> Path:
    """A virtual environment with these packages; returns its Python."""
    # Without ensurepip, which Debian leaves out of its Python.
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(sys.executable, "-m", "pip", "--python", python, "install", *packages)
    return python


def run(*command: "str | Path") -> None:
    """Run it, or end with its status: it has said what went wrong."""
    status = subprocess.run(command, check=False).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0])
    main()
