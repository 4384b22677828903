"""Other programs, asked for what they know: bounded in time, and gone afterwards."""

import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal

from hypertrain.trial import process as trial

TASK = "HYPERTRAIN_TASK"


@dataclass(frozen=True)
class Finding:
    """What a check says, in one line. unknown: it cannot be checked here, the text says why."""

    status: Literal["ok", "problem", "unknown"]
    text: str


Done = subprocess.CompletedProcess[str] | None
"""None: it had not ended when its time was up."""


def run(words: Sequence[str], here: Path, environ: Mapping[str, str], seconds: float) -> Done:
    """Run a command in the folder `here`."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = start(words, here, environ, stdout, stderr)
        try:
            wait(lambda: process.poll() is not None, seconds)
        finally:
            status = process.poll()
            kill(process)
        if status is None:
            return None
        said = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        return subprocess.CompletedProcess(list(words), status, *said)


def start(
    words: Sequence[str],
    here: Path,
    environ: Mapping[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> "subprocess.Popen[bytes]":
    """Start a command at the head of a process group of its own."""
    return subprocess.Popen(
        words,
        cwd=here,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def wait(done: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not done() and time.monotonic() < until:
        time.sleep(0.05)


def kill(process: "subprocess.Popen[bytes]") -> None:
    trial.kill(process)
    process.wait()


def reason(done: Done) -> str:
    """Why a command did not do what it should, in its own words."""
    if done is None:
        return "it gave no answer in time"
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"exit status {done.returncode}"


def environment(*modules: Path) -> dict[str, str]:
    """This interpreter first on PATH, as in a trial; `modules` first on PYTHONPATH."""
    paths = {"PATH": [Path(sys.executable).parent], "PYTHONPATH": modules}
    first = {
        name: os.pathsep.join(filter(None, [*map(str, folders), os.environ.get(name)]))
        for name, folders in paths.items()
    }
    # Wide, so that no client cuts a name in a table.
    return {**os.environ, **first, "COLUMNS": "400"}


def ask_inside(
    function: Callable[[], None],
    task: Mapping[str, Any],
    words: Sequence[str],
    here: Path,
    environ: Mapping[str, str],
    seconds: float,
) -> tuple[Any, Done]:
    """Run a command whose interpreter begins with `function`; of it, it gets the source alone.

    The function finds `task` in the file that the environment names, and writes a report beside it.
    Returns: the report, None if there is none; how the command ended.
    """
    with TemporaryDirectory() as folder:
        # Python imports a module of this name at its start.
        source = f"{inspect.getsource(function)}\n\n{function.__name__}()\n"
        Path(folder, "sitecustomize.py").write_text(source, encoding="utf-8")
        file, report = Path(folder, "task.json"), Path(folder, "report.json")
        file.write_text(json.dumps(task))
        environ = {**environment(Path(folder)), **environ, TASK: str(file)}
        done = run(words, here, environ, seconds)
        return json.loads(report.read_text()) if report.exists() else None, done


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """A folder that looks like the project; what a program adds to it is gone afterwards."""
    data = root / "data"
    data.mkdir(exist_ok=True)  # what a program fetches into it is kept
    try:
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for entry in root.iterdir():
                if entry.name not in ("results", "wandb"):
                    Path(folder, entry.name).symlink_to(entry, entry.is_dir())
            yield Path(folder)
    finally:
        with suppress(OSError):
            data.rmdir()
