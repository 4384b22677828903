"""One trial in a process of its own: the user's program, its log, its metrics, its end."""

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from hypertrain.trial import record

OUTPUT, METRICS, ERROR = "output.log", "metrics.jsonl", "error.txt"
GRACE = 15.0
"""Seconds that a trial gets to end by itself after SIGTERM."""


@dataclass(frozen=True)
class Launch:
    """What the process of a trial needs to know.

    words: the whole command line.
    program: `program arg ...` when the command is a plain Python program, else None.
    folder: takes the trial's output and metrics.
    """

    words: list[str]
    program: list[str] | None
    environ: dict[str, str]
    folder: Path


def start(context: BaseContext, launch: Launch) -> BaseProcess:
    """Start the trial; its process leads a process group that nothing of the trial outlives."""
    process: BaseProcess = context.Process(target=_main, args=(launch,))  # type: ignore[attr-defined]
    process.start()
    return process


def terminate(process: BaseProcess) -> None:
    """Ask the trial to end, as `wandb agent` does: SIGTERM to the program alone."""
    process.terminate()


def kill(process: "BaseProcess | subprocess.Popen[bytes]") -> None:
    """End the process and whatever it has started."""
    if os.name == "nt":
        process.kill()
    elif process.pid:
        _kill_group(process.pid)


def failure(exit_code: int, folder: Path) -> str | None:
    """Why a trial with this exit code failed, in one line; None if it did not."""
    if exit_code == 0:
        return None
    number = -exit_code if exit_code < 0 else exit_code - 128
    if number in set(signal.Signals):
        name = signal.Signals(number).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    error = last_lines(folder / ERROR, 1)
    output = [line for line in last_lines(folder / OUTPUT, 50) if not line.startswith("wandb:")]
    said = error or output[-1:]
    return f"exit status {exit_code}" + (f": {said[0][:200]}" if said else "")


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file that are not empty; none if there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def _main(launch: Launch) -> NoReturn:
    if hasattr(os, "setsid"):
        os.setsid()
    threading.Thread(target=_end_with_tuner, daemon=True).start()
    os.environ.clear()
    os.environ.update(launch.environ)
    _redirect(launch.folder / OUTPUT)
    if launch.program:
        _reseed()
        record.record()
        multiprocessing.set_start_method(None, force=True)
        code = _run_program(launch.folder / ERROR, *launch.program)
    else:
        code = _run_command(launch.words)
    _exit(code)


def _end_with_tuner() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    if os.name == "nt":
        os._exit(1)
    _kill_group(os.getpid())


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _redirect(output: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)  # type: ignore[union-attr]


def _reseed() -> None:
    """A forked process inherits NumPy's random state; a new one would have its own."""
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _run_program(error: Path, program: str, *args: str) -> int:
    """Run the program as `python program arg ...` would; return its exit status.

    What it was that ended it, if it was an exception, goes to the file `error`.
    """
    sys.argv = [program, *args]
    sys.path[0] = str(Path(program).absolute().parent)
    module = ModuleType("__main__")
    module.__file__ = program
    sys.modules["__main__"] = module
    try:
        exec(compile(Path(program).read_bytes(), program, "exec"), module.__dict__)  # noqa: S102
    except SystemExit as end:
        return _status(end.code)
    except BaseException as exception:  # noqa: BLE001
        sys.excepthook(type(exception), exception, exception.__traceback__)
        error.write_text("".join(traceback.format_exception_only(exception)))
        return 1
    return 0


def _status(code: object) -> int:
    if code is None or isinstance(code, int):
        return int(code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def _run_command(words: list[str]) -> int:
    here = Path(__file__).parent
    path = os.pathsep.join(filter(None, [str(here / "inject"), os.environ.get("PYTHONPATH")]))
    environ = {**os.environ, "PYTHONPATH": path, "HYPERTRAIN_ROOT": str(here.parents[1])}
    try:
        process = subprocess.Popen(words, env=environ)
    except OSError as error:
        print(f"{words[0]}: {error.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    return code if code >= 0 else 128 - code


def _exit(code: int) -> NoReturn:
    """End as an interpreter does; multiprocessing would skip the atexit handlers."""
    threading._shutdown()  # type: ignore[attr-defined]
    if "wandb" in sys.modules:
        # wandb-core is not this process's own: nobody else would finish the run.
        with suppress(Exception):
            sys.modules["wandb"].finish(exit_code=code)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
