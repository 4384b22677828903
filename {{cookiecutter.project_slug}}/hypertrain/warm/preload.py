"""What runs in the warm process: the imports that each trial would repeat, then their forks.

The process is begun with the command of the trials (`start`). Before its program begins, Python
imports `trial/inject/sitecustomize.py`, which calls `serve`. In each forked trial that returns, with
the trial's arguments and environment, and Python goes on by itself: it runs the program as the main
module and ends as it always does. Without this package the command is simply run, and all is as slow
as by hand.
"""

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import socket
import sys
import tempfile
import threading
import traceback
import types
import weakref
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypertrain import inside_wandb
from hypertrain.trial.keeper import Channel, Launch, end_with_parent, enter, keep
from hypertrain.warm import compiler
from hypertrain.warm.environ import Set
from hypertrain.warm.imports import Program, parsed, read_program
from hypertrain.warm.shadows import shadowed

TASK = "HYPERTRAIN_WARM"
"""In the environment: what to prepare for, as JSON of `program`, `is_module` and `channels`."""
Folder = tempfile.TemporaryDirectory[str]
RANDOM = 8
"""Characters between a temporary folder's prefix and its suffix."""
LAZY = {"numpy": ("numpy.ma",)}
"""What a package puts off until its first use, which is in every trial."""
HDF5 = {"h5py", "netCDF4", "tables"}


def serve() -> None:
    """Import, fork a keeper for each channel, and end; return in trials alone."""
    try:
        end_with_parent()  # an import may never come back
        inherited = _end_quickly()
        task = json.loads(os.environ.pop(TASK))
        channels = [Channel(socket.socket(fileno=number)) for number in task["channels"]]
        program = read_program(task["program"], task["is_module"])
        gc.disable()  # there is much to look through, and one look is enough
        changed = _import_all(program, task["program"])
        folder = Path.cwd() if task["is_module"] else Path(task["program"]).resolve().parent
        if why := _why_not(program, folder, changed):
            for channel in channels:
                channel.send(cold=why)
            os._exit(0)
        said = _what_was_said()
        inherited.update(sys.modules.keys() - {"__main__", "builtins", "sys"})
        _leave_inherited_libraries()
        finalizers = list(getattr(weakref.finalize, "_registry", ()))
        owners = [alive[0] for finalizer in finalizers if (alive := finalizer.peek())]
        folders = [owner for owner in owners if isinstance(owner, tempfile.TemporaryDirectory)]
        gc.collect()
        gc.freeze()
        gc.enable()
        end_with_parent(wanted=False)  # this process ends in its own way, after its keepers
        enter(_fork_keepers(channels, folders))
        for name in changed.keys() & os.environ.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in changed.items() if value is not None})
        os.write(1, said)
        _renew(folders, finalizers)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()  # to the log of this process, or of the trial
        os._exit(70)


def _import_all(program: Program, name: str) -> dict[str, str | None]:
    """Import what the program would, with the variables it has set by then.

    Returns: what imports have put into the environment themselves, or taken out.
    """
    changed: dict[str, str | None] = {}
    main: Any = sys.modules["__main__"]
    main.__file__ = str(Path(name).absolute())  # packages tell from it that nobody is typing
    for step in program.steps:
        if isinstance(step, Set):
            os.environ[step.name] = (step.keep and os.environ.get(step.name)) or step.value
        else:
            before = dict(os.environ)
            for module in (step.name, *LAZY.get(step.name.partition(".")[0], ())):
                _import(module)
            names = {name for name, _ in before.items() ^ os.environ.items()}
            changed |= {name: os.environ.get(name) for name in names}
    if "wandb" in sys.modules:
        for module in inside_wandb.put_off_by_wandb():
            _import(module)
    compiler.put_off()
    inside_wandb.shorten_runs()
    del main.__file__
    return changed


def _import(name: str) -> None:
    # What goes wrong here goes wrong in the trial too, and its log shows it.
    with suppress(BaseException):
        importlib.import_module(name)


def _why_not(program: Program, folder: Path, changed: Collection[str]) -> str | None:
    """Why trials forked from here would not be as those started by hand; None if they would.

    folder: where the program finds modules first. changed: variables that imports have changed.
    """
    trees = (parsed(file) for file in program.sources.values())
    if file := shadowed(folder, filter(None, trees)):
        return f"{file} has the name of a library"
    if both := {step.name for step in program.steps if isinstance(step, Set)} & set(changed):
        return f"the program and an import both set {min(both)}"
    if threading.active_count() > 1:
        return f"an import has started the thread {threading.enumerate()[-1].name}"
    if device := _open_gpu():
        return f"an import has opened {device}"
    return None


def _open_gpu() -> str | None:
    """A GPU's device file that this process has open: its state would not survive a fork."""
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            file = str(link.readlink())
            if file.startswith(("/dev/nvidia", "/dev/kfd", "/dev/dri")):
                return file
    return None


def _what_was_said() -> bytes:
    """What imports have printed: it belongs to the beginning of each trial's output."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.pread(1, 2**20, 0)


def _end_quickly() -> set[str]:
    """Let trials end as any interpreter does, but without taking apart modules they never made.

    Returns: the names of those modules, for the caller to fill in.
    """
    inherited: set[str] = set()
    libc = ctypes.CDLL(None)

    def leave() -> None:
        _flush()
        libc.fflush(None)
        for name in inherited:
            if module := sys.modules.pop(name, None):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))

    atexit.register(leave)  # the first to be registered is the last to be called
    return inherited


def _flush() -> None:
    """Write out what the trial's open files hold, as they would at their end."""
    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    # Without what was there before the fork; not by isinstance, which a proxy answers itself.
    found = [each for each in gc.get_objects() if issubclass(type(each), kinds)]
    for each in sorted(found, key=lambda file: not issubclass(type(file), io.TextIOWrapper)):
        with suppress(Exception):
            each.flush()


def _leave_inherited_libraries() -> None:
    """Let trials end without the destructors of libraries: those of PyTorch take 0.15 s.

    What a trial itself registers with the C library is called before. HDF5 closes files that are
    still open, so where it is loaded all are called.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit") and not sys.modules.keys() & HDF5:  # of the GNU C library
        libc.on_exit(libc._exit, None)


def _fork_keepers(channels: Sequence[Channel], folders: Sequence[Folder]) -> Launch:
    """A keeper for each worker; this process ends after them. Returns in trials alone."""
    keepers = []
    for mine in channels:
        if not (pid := os.fork()):
            for other in channels:
                if other is not mine:
                    other.close()
            os.setsid()
            return keep(mine, can_fork=True)
        keepers.append(pid)
    for channel in channels:
        channel.close()
    for pid in keepers:
        os.waitpid(pid, 0)
    for folder in folders:
        folder.cleanup()
    os._exit(0)


def _renew(folders: Sequence[Folder], finalizers: Sequence[Any]) -> None:
    """Give this trial what each process has of its own: temporary folders, random numbers, __main__.

    What imports have left to be done at exit is not the trial's to do: PyTorch takes 30 ms for it.
    """
    for finalizer in finalizers:
        finalizer.atexit = False
    for folder in folders:
        again: Any = folder
        again._finalizer.detach()
        place = Path(folder.name)
        again.__init__(suffix=place.name.removeprefix("tmp")[RANDOM:], dir=place.parent)
    # The main module, too: what was there before the fork is never collected.
    main = types.ModuleType("__main__")
    vars(main).update(vars(sys.modules["__main__"]))
    sys.modules["__main__"] = main
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
