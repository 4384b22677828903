"""Warm starts: trials are forked from a process that has imported what they all need.

A trial then starts in milliseconds instead of seconds, and is still a process of its own. Without
this file, with `start_method` returning `spawn`, everything works the same, only slower.
"""

import ast
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from hypertrain import compiler

PROGRAM = "HYPERTRAIN_PRELOAD"
LAZY = {
    "numpy": ("numpy.ma",),
    "wandb": ("requests", "yaml", "wandb.sdk.lib.gitlib"),
}
RUN = ("wandb.apis.public", "wandb.sdk.launch.inputs.internal")
"""Only for a W&B run that is not disabled."""
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
"""In bytes: glibc would give memory back after each batch of a training, only to ask for it again."""


def can_fork() -> bool:
    """Whether forking is there and safe: macOS has it, but its frameworks do not survive it."""
    return sys.platform == "linux"


def start_method(program: Path) -> BaseContext:
    """How trials of this program start; begins at once to import what the program imports."""
    if not can_fork():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "hypertrain.trial"])
    with _environment({**ALLOCATOR, **os.environ, PROGRAM: str(program)}):
        forkserver.ensure_running()
    return context


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def imports(program: Path) -> list[str]:
    """Modules that the program and its siblings import on their top level, siblings left out."""
    return list(dict.fromkeys(_imports(program, set())))


def _imports(program: Path, seen: set[Path]) -> Iterator[str]:
    seen.add(program)
    try:
        tree = ast.parse(program.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names = [statement.module]
        else:
            continue
        for name in names:
            top = program.parent / name.split(".")[0]
            sibling = top.with_suffix(".py")
            if sibling.is_file():
                yield from _imports(sibling, seen) if sibling not in seen else ()
            elif not top.is_dir():
                yield name


def _preload(program: Path) -> None:
    """Import what every trial would; never the user's own modules, never anything of CUDA."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    for name in imports(program):
        for module in (name, *_lazy(name.split(".")[0])):
            _import(module)
    compiler.put_off()
    _list_packages()
    _leave_finalizers()
    gc.freeze()
    gc.enable()


def _lazy(package: str) -> tuple[str, ...]:
    """What the package puts off until its first use, which is in every trial."""
    return LAZY.get(package, ()) + (RUN if package == "wandb" and _real_runs() else ())


def _real_runs() -> bool:
    return os.environ.get("WANDB_MODE") != "disabled"


def _list_packages() -> None:
    """Every W&B run lists the installed packages, in 50 ms and more: once is enough for all."""
    util: Any = sys.modules.get("wandb.util")
    if _real_runs() and hasattr(util, "working_set"):
        with suppress(Exception):  # as in _import
            packages = list(util.working_set())
            util.working_set = lambda: packages


def _leave_finalizers() -> None:
    """Let trials skip what the imported packages do at exit: PyTorch takes 30 ms to clear up."""
    inherited = list(weakref.finalize._registry)  # type: ignore[attr-defined]

    def skip() -> None:
        for finalizer in inherited:
            finalizer.atexit = False

    os.register_at_fork(after_in_child=skip)


def _import(name: str) -> None:
    # What goes wrong here goes wrong in the trial too, and its log shows it.
    with suppress(BaseException):
        importlib.import_module(name)


if PROGRAM in os.environ:
    _preload(Path(os.environ.pop(PROGRAM)))
