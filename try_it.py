#!/usr/bin/env python3
"""From a clone of this repository to the leaderboard of a real sweep:

    python3 try_it.py

Bakes a project into try-it/, installs what it needs in an environment of its own, and trains.
Run again, it goes on where it stopped. Needs Python 3.11 or newer with pip.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
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
    needed: list[str | Path] = [
        PIP,
        "-r",
        PROJECT / "requirements.txt",
        "-c",
        PROJECT / "constraints.txt",
    ]
    python = environment("the project's packages, PyTorch above all", PROJECT / ".venv", *needed)
    sweep = subprocess.run([python, "-m", "hypertrain"], cwd=PROJECT, check=False)
    print(f"\nThe project is {PROJECT.relative_to(ROOT)}: its README.md says what to edit.")
    sys.exit(sweep.returncode)


def bake() -> None:
    python = environment("cookiecutter", ROOT / ".cache" / "cookiecutter", "cookiecutter==2.7.1")
    options = ["--no-input", "--default-config", f"--output-dir={PROJECT.parent}"]
    answer = f"project_slug={PROJECT.name}"
    quietly("Making a project", python, "-m", "cookiecutter", *options, ROOT, answer)


def environment(what: str, folder: Path, *packages: "str | Path") -> Path:
    """A virtual environment with these packages; returns its Python."""
    # Without ensurepip, which Debian leaves out of its Python.
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = ("-m", "pip", "--disable-pip-version-check", "--python", python)
    # Most of it is never imported; what is, Python compiles then.
    quietly(f"Installing {what}", sys.executable, *pip, "install", "--no-compile", *packages)
    return python


def quietly(what: str, *command: "str | Path") -> None:
    """Run it behind one line; if it fails, show all that it said and end with its status."""
    started, terminal = time.monotonic(), sys.stdout.isatty()
    said = []
    print(what, end=" ", flush=True)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    for line in process.stdout or ():
        said.append(line)
        if terminal:
            room = shutil.get_terminal_size().columns - len(what) - 2
            print(f"\r{what} {line.strip()[:room]:{max(room, 1)}}", end="", flush=True)
    if terminal:
        print(f"\r{what}\x1b[K", end=" ")
    status = process.wait()
    print("failed:" if status else f"took {time.monotonic() - started:.0f} s", flush=True)
    if status:
        print("".join(said), end="")
        sys.exit(status)


if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0])
    main()
