"""Warm starts: trials are forked from a process that has imported what they all need.

A trial then starts in milliseconds instead of seconds, and is still a process of its own. Without
`preload` and `compiler`, with `start_method` returning `spawn`, all works the same, only slower.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path

from hypertrain.warm.preload import PROGRAM

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
    context.set_forkserver_preload(["hypertrain.warm.preload", "hypertrain.trial.process"])
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
