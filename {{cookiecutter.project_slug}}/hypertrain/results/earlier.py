"""Trainings that another sweep has done already: nothing is trained twice.

A training is known by program, sources, command and parameters, not by the sweep file that asked
for it: a grown grid, another metric, another method or a renamed file change nothing of it.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hypertrain.results.folder import About, about, folders
from hypertrain.results.journal import COMPLETED, STOPPED, Record, read
from hypertrain.sweepfile.command import secrets
from hypertrain.sweepfile.space import as_sent
from hypertrain.sweepfile.sweep import Sweep


def earlier(root: Path, folder: Path, sweep: Sweep, now: About) -> dict[str, Record]:
    """Ended trainings of the same program, command and code elsewhere in `results/`.

    folder: of the sweep that asks; its own trials are not among them. now: what it says of itself.
    Returns: by `key(params)`, what `take` makes a record of `sweep` from. A trial that was stopped
    early counts only where the same would be stopped: with equal metric and `early_terminate`.
    """
    found: dict[str, Record] = {}
    if secrets(sweep.command):  # what these variables held is not noted anywhere
        return found
    for other in reversed(folders(root)):  # the newest wins
        told = about(other)
        if other.resolve() == folder.resolve() or not told:
            continue
        if told.program != sweep.program.as_posix() or told.command != _command(sweep):
            continue
        alike = told.early_terminate == sweep.raw.get("early_terminate") and (
            sweep.metric is not None
            and (told.metric, told.goal) == (sweep.metric.name, sweep.metric.goal)
        )
        for record in read(other)[0].values():
            trained = record.state == COMPLETED or record.exit == 0
            wanted = alike if record.state == STOPPED else trained
            if wanted and record.code == now.code_of(record.params):
                home = record.origin or f"{other.name}/{record.folder}"
                found[key(record.params)] = replace(record, origin=home)
    return found


def key(params: Mapping[str, Any]) -> str:
    """The same for parameters that a program is told alike."""
    return json.dumps(as_sent(dict(params)), sort_keys=True)


def take(record: Record, found: Record, values: list[float], sweep: Sweep) -> Record:
    """`record`, ended as the training `found` by `earlier` ended.

    values: of the metric, as that training logged them. A training that never logged the metric has
    no value: `record` then stays as it is, and must be run.
    """
    if sweep.metric and not values:
        return record
    state = STOPPED if found.state == STOPPED else COMPLETED
    value = sweep.metric.best(values) if sweep.metric else None
    return replace(
        found,
        number=record.number,
        point=record.point,
        params=record.params,
        attempt=record.attempt,
        state=state,
        value=value,
        reason=None,
        bands=[],
    )


def misspelt(metric: str, logged: set[str]) -> str | None:
    """What to say when a whole training logged names that are near the metric's, but not that.

    logged: every name that the training logged. Returns: None where nothing is near.
    """
    if metric in logged:
        return None
    folded = {name.casefold(): name for name in sorted(logged)}
    near = [folded[name] for name in get_close_matches(metric.casefold(), folded, n=3)]
    if not near:
        return None
    return (
        f"metric.name: {metric} was never logged; did you mean {' or '.join(near)}? Correct the "
        "sweep file: what has been trained is taken over"
    )


def _command(sweep: Sweep) -> list[Any] | None:
    return list(sweep.command) if sweep.command else None
