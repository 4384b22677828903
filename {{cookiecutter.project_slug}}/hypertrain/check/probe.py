"""Other programs, asked for what they know: bounded in time, and gone afterwards."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal

from hypertrain.trial.process import end_tree

TASK = "HYPERTRAIN_TASK"
LARGEST = 2**31
"""Bytes of a project that is still copied."""


@dataclass(frozen=True)
class Finding:
    """What a check says, in one line.

    unknown: it cannot be checked here, the text says why. warning: it may be meant otherwise.
    """

    status: Literal["ok", "problem", "unknown", "warning"]
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
    """End the process and its group."""
    with suppress(ProcessLookupError, PermissionError):
        if os.name == "nt":
            end_tree(process)
        else:
            os.killpg(process.pid, signal.SIGKILL)
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
def copy_of(root: Path) -> Iterator[Path | None]:
    """A copy of the project, gone afterwards; None if it is too large for one.

    What a program fetches into its `data` is kept.
    """
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        here = Path(folder).resolve() / root.resolve().name
        if sum(file.stat().st_size for file in _files(root)) > LARGEST:
            yield None
            return
        shutil.copytree(root, here, ignore=_left_out(root), ignore_dangling_symlinks=True)
        try:
            yield here
        finally:
            _keep_fetched(here / "data", root / "data")


def _left_out(root: Path) -> Callable[[str, Sequence[str]], list[str]]:
    """What a copy of the project does without: environments, and what runs have left in `root`."""

    def names_of(folder: str, names: Sequence[str]) -> list[str]:
        own = {"results", "wandb"} if Path(folder) == root else set()
        environments = [name for name in names if Path(folder, name, "pyvenv.cfg").exists()]
        return [*environments, *({".git"} | own).intersection(names)]

    return names_of


def _files(root: Path) -> Iterator[Path]:
    left_out = _left_out(root)
    for here, below, files in os.walk(root):
        without = left_out(here, below)
        below[:] = [name for name in below if name not in without]
        yield from (path for name in files if (path := Path(here, name)).is_file())


def _keep_fetched(source: Path, target: Path) -> None:
    for entry in source.rglob("*") if source.is_dir() else ():
        kept = target / entry.relative_to(source)
        if entry.is_file() and not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(entry, kept)
