"""Why a trial failed, in one line, from its exit code and what it printed."""

import os
import re
import signal
from pathlib import Path

COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TRACEBACK = re.compile(r"^(.*?)Traceback \(most recent call last\):$")
EXCEPTION = re.compile(r"([A-Za-z_][\w.]*)(: .*)?$")
CAUSE = "The above exception was the direct cause of the following exception:"
MESSENGERS = ("ChildFailedError", "ProcessRaisedException", "ProcessExitedException")
"""Exceptions that only pass on that another process has failed."""
NOTICED = re.compile(r"connection (closed|reset) by peer|remote process exited", re.IGNORECASE)
"""In a message: another process of a distributed training is gone, and that one knows why."""
LONGEST = 200
NEAR = 5
"""Lines that an exception's message may take."""
OUT_OF_MEMORY = re.compile(
    r"out of memory|OutOfMemory|MemoryError|ALLOC_FAILED|RESOURCE_EXHAUSTED", re.IGNORECASE
)
"""In a reason: PyTorch, CUDA, the system; Python; cuBLAS and cuDNN; JAX and TensorFlow."""


def failure(exit_code: int, output: Path) -> str | None:
    """Why a trial that ended so has failed, in one line; None if it has not."""
    if exit_code == 0:
        return None
    number = -exit_code if exit_code < 0 else exit_code - 128
    if number in set(signal.Signals):
        name = signal.Signals(number).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    said = _said(last_lines(output, 2000))
    return f"exit status {exit_code}" + (f": {said[:LONGEST]}" if said else "")


def has_crashed(output: Path) -> bool:
    """Whether the last that a program printed is how it failed: it is about to end."""
    lines = [line for line in last_lines(output, 200) if not line.startswith("wandb:")]
    return len(_exceptions(lines)) > len(_exceptions(lines[:-NEAR]))


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file that are not empty, without colours; none if there is no file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 200_000))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = (COLOURS.sub("", line).rstrip() for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if line.strip()][-count:]


def _said(lines: list[str]) -> str:
    """The last exception that is the program's own, else the last line that is."""
    raised = _exceptions(lines)
    own = [
        text
        for text in raised
        if not text.split(":")[0].endswith(MESSENGERS) and not NOTICED.search(text)
    ]
    if own or raised:
        return (own or raised)[-1]
    printed = [line.strip() for line in lines if not line.lstrip().startswith("wandb:")]
    return printed[-1] if printed else ""


def _exceptions(lines: list[str]) -> list[str]:
    """First lines of the exceptions whose tracebacks stand here; of a chain, of its first cause."""
    found: list[str] = []
    place, chained = 0, False
    while place < len(lines):
        begin = TRACEBACK.match(lines[place])
        if not begin:
            chained = chained or CAUSE in lines[place]
            place += 1
            continue
        place += 1
        follows = place < len(lines) and lines[place].startswith(f"{begin[1]} ")
        prefix = begin[1] if follows else ""  # what stood on the line already
        while place < len(lines) and lines[place].startswith(f"{prefix} "):
            place += 1  # the frames
        if place < len(lines):
            text = lines[place].removeprefix(prefix).strip()
            if EXCEPTION.match(text) and not chained:
                found.append(text)
        chained = False
    return found
