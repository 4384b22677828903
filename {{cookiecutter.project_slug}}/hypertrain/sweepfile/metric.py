"""The metric: what trials are compared by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hypertrain.sweepfile.distributions import ASTRAY, is_parameter
from hypertrain.sweepfile.hints import joined, nearest, shown, typed
from hypertrain.sweepfile.keys import METRIC, corrected_section
from hypertrain.sweepfile.notes import Notes
from hypertrain.sweepfile.numbers import is_number, no_number

Imputed = Literal["worst", "latest", "best"]


@dataclass(frozen=True)
class Metric:
    """What the search compares trials by.

    target: the sweep ends once a trial reaches it.
    impute: which value a failed trial counts with, of its own (latest, best) or of all (worst).
    impute_while_running: the same for a trial that still runs; None: it counts as pending.
    """

    name: str
    goal: Literal["minimize", "maximize"]
    target: float | None = None
    impute: Imputed = "worst"
    impute_while_running: Imputed | None = None

    @property
    def sign(self) -> int:
        """+1 when less is better, -1 when more is."""
        return -1 if self.goal == "maximize" else 1

    def best(self, values: list[float]) -> float:
        return min(values, key=lambda value: self.sign * value)

    def reaches_target(self, value: float) -> bool:
        return self.target is not None and self.sign * value <= self.sign * self.target


def read(raw: Mapping[str, Any], notes: Notes) -> Metric | None:
    """The metric; the first of `metrics`."""
    several = raw.get("metrics")
    if isinstance(several, list) and several and "metric" not in raw:
        return _one(several[0], notes)
    value = raw.get("metric")
    if value is not None:
        return _one(value, notes)
    needed = [key for key in ("early_terminate",) if raw.get(key)]
    needed += ["method: bayes"] if raw.get("method") == "bayes" else []
    if needed and several is None:
        below = "indent what belongs to it" if "metric" in raw and "name" in raw else "add"
        remedy = f"{below} `metric: {{name: ..., goal: ...}}`"
        notes.problem(("metric",), f"is needed by {needed[-1]}; {remedy}")
    return None


def _one(value: Any, notes: Notes) -> Metric | None:
    if not isinstance(value, dict):
        meant = joined(value)
        if meant is None:
            name = value if isinstance(value, str) and ":" not in value else "loss"
            meant = {"name": name, "goal": "minimize"}
        notes.problem(("metric",), f"must be a mapping; write `metric: {typed(meant)}`")
        return None
    if is_parameter(value) and "name" not in value:
        notes.problem(("metric",), ASTRAY)
        return None
    value = corrected_section(value, METRIC, "metric", notes)
    name = value.get("name")
    if not isinstance(name, str) or not name:
        text = "is missing; name a value that the program logs"
        if name is not None and (spelled := notes.spelled.get(("metric", "name"))):
            text = f'must be text, not {shown(name)}; write `name: "{spelled}"`'
        notes.problem(("metric", "name"), text)
    goal: Any = value.get("goal", "minimize")
    if goal not in ("minimize", "maximize"):
        near = nearest(str(goal), ("minimize", "maximize"))
        remedy = f"write {near}" if near else "write minimize or maximize"
        notes.problem(
            ("metric", "goal"), f"must be minimize or maximize, not {shown(goal)}; {remedy}"
        )
        goal = "minimize"  # as W&B does
    target = value.get("target")
    if target is not None and not is_number(target):
        notes.problem(("metric", "target"), f"must be a number, not {no_number(target)}")
        target = None
    impute = _imputed(value, "impute", notes)
    running = _imputed(value, "impute_while_running", notes)
    return Metric(name, goal, target, impute or "worst", running) if isinstance(name, str) else None


def _imputed(value: Mapping[str, Any], key: str, notes: Notes) -> Imputed | None:
    found: Any = value.get(key)
    if found in ("worst", "latest", "best"):
        return found  # type: ignore[no-any-return]
    if found is not None and (key == "impute" or found not in (False, "false")):
        notes.problem(("metric", key), f"must be worst, latest or best, not {shown(found)}")
    return None
