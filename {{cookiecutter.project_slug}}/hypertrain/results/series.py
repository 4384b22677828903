"""Everything that a trial logged, name by name, read back from its folder."""

import json
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

from hypertrain.results.metrics import settled

METRICS = "metrics.jsonl"
CLOCK = re.compile(
    r"(^|[^a-z])(time|times|timestamp|runtime|seconds?|secs?|duration|elapsed|eta|speed|"
    r"throughput|memory|mem|gpu|cpu)([^a-z]|$)|per_s|/s$|^_",
    re.IGNORECASE,
)
"""Names of what differs between two runs of the same training."""


def series(folder: Path, names: Collection[str]) -> dict[str, list[float]]:
    """What was logged under these names, in order; a name that never was is left out."""
    found: dict[str, list[float]] = {}
    for logged in _lines(folder):
        for name in names & logged.keys():
            found.setdefault(name, []).append(logged[name])
    return found


def names(folder: Path) -> set[str]:
    """Every name that was logged."""
    return {name for logged in _lines(folder) for name in logged}


@cache
def digests(folder: Path) -> dict[str, int]:
    """A number for each name, equal in two trials that logged the same under it.

    Only for trials that have ended: the answer is kept. What a clock says is left out.
    """
    found: dict[str, list[float]] = {}
    for logged in _lines(folder):
        for name, value in logged.items():
            found.setdefault(name, []).append(value)
    return {name: hash(repr(vs)) for name, vs in found.items() if not CLOCK.search(name)}


def _lines(folder: Path) -> list[dict[str, float]]:
    try:
        text = (folder / METRICS).read_bytes()
    except OSError:
        return []
    found = []
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        try:
            logged = dict(json.loads(line))
            found.append({k: float(v) for k, v in logged.items() if isinstance(v, int | float)})
        except (ValueError, TypeError, OverflowError, RecursionError):  # it is damaged
            continue
    return settled(found)
