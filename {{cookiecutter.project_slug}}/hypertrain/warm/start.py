"""Workers whose trials are forked from a process that has imported what they all need.

A trial then starts in milliseconds instead of seconds, and is still a process of its own.
"""

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue

from hypertrain.trial.interpreter import PythonProgram
from hypertrain.trial.process import Event, Worker, detached
from hypertrain.warm.preload import TASK

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**28)}
"""In bytes: glibc would give memory back after each batch of a training, only to ask for it again."""


def can_fork() -> bool:
    """Whether forking is there and safe: macOS has it, but its frameworks do not survive it."""
    return sys.platform == "linux" and hasattr(os, "fork")


def warm_workers(
    count: int,
    program: PythonProgram,
    environ: Mapping[str, str],
    log: Path,
    events: "SimpleQueue[Event]",
) -> list[Worker]:
    """Workers for trials of this program; at once they begin to import what it imports.

    environ: of the trials, as far as it is the same for all. log: takes what the imports print.
    """
    pairs = [socket.socketpair() for _ in range(count)]
    channels = [theirs.fileno() for _, theirs in pairs]
    task = {"program": program.program, "is_module": program.is_module, "channels": channels}
    environ = {**ALLOCATOR, **environ, TASK: json.dumps(task)}
    with log.open("w+b") as output:
        started = detached(program.start, environ, channels, output.fileno(), program.executable)
    for _, theirs in pairs:
        theirs.close()
    return [Worker(ours, events, started) for ours, _ in pairs]
