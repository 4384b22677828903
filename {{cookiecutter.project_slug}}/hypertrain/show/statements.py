"""What the search showed, in sentences that hold."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hypertrain.answers.dead import Dead
from hypertrain.answers.noise import Standing
from hypertrain.results.outcome import Outcome
from hypertrain.show.words import counted, listed, number
from hypertrain.sweepfile.sweep import SWEEP_FILE

if TYPE_CHECKING:
    from hypertrain.answers.importance import Importance


def place(standing: Standing, found: Outcome) -> str:
    """Who is first, and how many are as good."""
    name = found.metric.name if found.metric else "value"
    value = f"{name} {number(standing.equal[0].value)}"
    names = [row.name for row in standing.equal]
    if len(names) == 1:
        first = f"Best: {value}, trial {names[0]}."
    else:
        first = f"{len(names)} trials tie at {value}: {listed(names)}."
    return f"{first} {_noise(standing, found)}".strip()


def _noise(standing: Standing, found: Outcome) -> str:
    if standing.noise is None and found.file is None:
        return ""
    if standing.noise is None:
        named = "" if found.file == SWEEP_FILE else f" --sweep {shlex.quote(found.file or '')}"
        return (
            f"How much of a difference is chance, `python -m hypertrain confirm{named}` finds out."
        )
    known = f"(sd {number(standing.noise.sd)}, {counted(standing.noise.runs, 'run')})"
    if not standing.within:
        return f"No other is within the noise {known}."
    near = counted(len(standing.within), "other trial")
    verb = "is" if len(standing.within) == 1 else "are"
    names = listed([row.name for row in standing.within])
    return f"{near} {verb} within the noise of that {known}: {names}."


def without_effect(dead: Sequence[Dead]) -> list[str]:
    return [f"`{one.name}` had no effect in {one.pairs} of {one.pairs} pairs." for one in dead]


def weight(found: "Sequence[Importance]", problem: str) -> str:
    """Which parameters matter, in a line."""
    if problem:
        return f"Importance: {problem}."
    seen = [f"{one.name} {one.share:.0%}" for one in found if one.visible and not one.is_dummy]
    unseen = [one.name for one in found if not one.visible and not one.is_dummy]
    parts = [f"Importance: {listed(seen)}." if seen else ""]
    parts += [f"No visible effect: {listed(unseen)}." if unseen else ""]
    return " ".join(filter(None, parts))
