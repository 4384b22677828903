"""Failed trials by cause: one line for each, and where to read on."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypertrain.results.journal import FAILED
from hypertrain.results.outcome import OUTPUT, Outcome, Row, shown
from hypertrain.show.words import counted
from hypertrain.sweepfile.command import without

DETAIL = re.compile(r"0x[0-9a-fA-F]+|\d+(\.\d+)?([eE][-+]?\d+)?")
"""What may differ between failures of one cause."""
SHOWN = 12


@dataclass(frozen=True)
class Cause:
    """reason: of the first of these trials."""

    reason: str
    rows: Sequence[Row]


def causes(rows: Sequence[Row]) -> list[Cause]:
    """The most frequent first."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.state == FAILED or (row.state == "crashed"):
            found.setdefault(DETAIL.sub("0", row.note), []).append(row)
    groups = sorted(found.values(), key=len, reverse=True)
    return [Cause(group[0].note or group[0].state, group) for group in groups]


def told(found: Outcome) -> Iterator[str]:
    """One line for each cause, under how many failed in all."""
    groups = causes(found.rows)
    if len(groups) > 1:
        yield f"{sum(len(cause.rows) for cause in groups)} failed, by cause:"
    for cause in groups[:SHOWN]:
        yield _line(cause, found)
    if len(groups) > SHOWN:
        yield f"and {counted(len(groups) - SHOWN, 'cause')} more, in the report"


def _line(cause: Cause, found: Outcome) -> str:
    """How many failed for this cause, and the log of the latest."""
    log = shown(found, cause.rows[-1], OUTPUT)
    return f"{counted(len(cause.rows), 'trial')} failed: {cause.reason}" + (
        f"; see {log}" if log else ""
    )


def tail(path: Path, count: int, secrets: Sequence[str]) -> list[str]:
    """The last lines of a file that are not empty, without W&B's own; none if there is no file.

    secrets: variables whose values are not to be shown; where one is not known, nothing is.
    """
    if any(name not in os.environ for name in secrets):
        return []
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
            text = without(secrets, file.read().decode(errors="replace"))
    except OSError:
        return []
    kept = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [line for line in kept if not line.startswith("wandb:")][-count:]
