"""The sweep file: W&B's own format, read once and checked key by key.

Reading asks what W&B would make of a file; `runnable` and `program` ask what this machine can run
of it. A sweep that W&B holds is only read.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, repeat
from operator import mul, truediv
from pathlib import Path
from typing import Any, Literal

from hypertrain.sweepfile import command, program, runnable, text
from hypertrain.sweepfile.distributions import WORDS, is_number
from hypertrain.sweepfile.hints import joined, nearest, shown, typed
from hypertrain.sweepfile.notes import Key, Notes
from hypertrain.sweepfile.space import Parameter, parse

KEYS = (
    "program",
    "method",
    "metric",
    "parameters",
    "command",
    "early_terminate",
    "run_cap",
    "name",
    "project",
    "entity",
    "description",
    "controller",
    "scheduler",
    "metrics",
    "kind",
    "apiVersion",
    "job",
    "image_uri",
)
METRIC = ("name", "goal", "target", "impute", "impute_while_running")
HYPERBAND = ("type", "min_iter", "max_iter", "s", "eta", "strict")
SCHEDULER = ("engine", "source", "optimizer", "search_space")
METHODS = ("grid", "random", "bayes")
LARGEST = 10**9
"""More trials or iterations than anybody waits for."""

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


@dataclass(frozen=True)
class Bands:
    """Hyperband: iterations at which a trial is compared, and how.

    eta: 1/eta of the trials pass each band.
    strict: compare the value at the band itself, not the best one so far.
    sign: of the metric.
    """

    iterations: tuple[int, ...]
    eta: float
    strict: bool
    sign: int


@dataclass(frozen=True)
class Sweep:
    """What a sweep file says.

    raw: the file's mapping, as W&B takes it.
    program: what the trials run: a file, relative to the project's root, or where there is none the
        name of a module or command.
    named: what `${program}` stands for in the command; None where the file names nothing.
    id: names the search: method, program, metric, search space and command.
    warnings: lines to show before the first trial.
    """

    path: Path
    raw: dict[str, Any]
    id: str
    program: Path
    named: str | None
    method: str
    metric: Metric | None
    space: tuple[Parameter, ...]
    command: tuple[str, ...] | None
    bands: Bands | None
    run_cap: int | None
    name: str
    project: str
    entity: str | None
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def sent(self) -> dict[str, Any]:
        """The mapping for W&B's server, which does the search itself."""
        kept = {key: value for key, value in self.raw.items() if key != "scheduler"}
        return kept | ({"program": self.named} if self.named else {})


def load(path: Path, root: Path) -> Sweep:
    """Read the sweep file `path` of the project in `root`; what it says can be run here.

    Raises: UserError with a line for each problem: file, line, key and remedy.
    """
    raw, notes = text.read(path)
    sweep = _read(path, raw, root.name, notes)
    runnable.check(sweep.raw, notes)
    named, file = program.find(sweep.named, sweep.command, root, notes)
    notes.refuse()
    return replace(
        sweep,
        id=_digest(sweep.raw, file.as_posix() if named and file else named),
        program=file or sweep.program,
        named=named,
        warnings=tuple(notes.warnings),
    )


def from_mapping(path: Path, raw: dict[str, Any]) -> Sweep:
    """A sweep that W&B holds: what W&B let pass is left out, not refused."""
    return _read(path, raw, path.name, Notes(path))


def _read(path: Path, raw: dict[str, Any], project: str, notes: Notes) -> Sweep:
    raw = {key: value for key, value in raw.items() if not key.startswith("x-")}  # hold anchors
    raw = _corrected(raw, notes)
    method, metric = _method(raw, notes), _objective(raw, notes)
    space = _space(raw, method, notes)
    _texts(raw, notes)
    _scheduler(raw, notes)
    words, named = command.read(raw.get("command"), notes), _text(raw, "program")
    return Sweep(
        path=path,
        raw=raw,
        id=_digest(raw, named),
        program=Path(named or " ".join(word for word in words or () if "$" not in word)),
        named=named,
        method=method,
        metric=metric,
        space=space,
        command=words,
        bands=_bands(raw.get("early_terminate"), metric.sign if metric else 1, notes),
        run_cap=_whole(("run_cap",), raw.get("run_cap"), notes),
        name=_text(raw, "name") or path.stem,
        project=_text(raw, "project") or os.environ.get("WANDB_PROJECT") or project,
        entity=_text(raw, "entity"),
    )


# ---- keys that are none


def _corrected(raw: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """Note keys that are none; with what was meant by them, so that the rest can be read."""
    corrected = dict(raw)
    for key, value in raw.items():
        if key in KEYS:
            continue
        if near := nearest(key, [known for known in KEYS if known not in raw]):
            corrected[near] = value
            notes.read_as(key, near)
            colon = "has a colon in its name" if key.endswith(":") else "is not supported"
            notes.problem((key.rstrip(" :"),), f"{colon}; write {near}", notes.lines.get((key,)))
        else:
            notes.problem((key,), _unknown(key, raw))
            corrected |= value if _is_sweep(value) else {}
    return corrected


def _is_sweep(value: Any) -> bool:
    return isinstance(value, dict) and {"method", "parameters"} <= value.keys()


def _unknown(key: str, raw: Mapping[str, Any]) -> str:
    value = raw[key]
    if key == "count":
        return f"is an option of wandb agent; write `run_cap: {typed(value)}`"
    if key == "interpreter":
        module = ["-m"] if str(raw.get("program")).startswith("-m ") else []
        words = ["${env}", str(value), *module, "${program}", "${args}"]
        return f"is no key of W&B's; remove it and write `command: {typed(words)}`"
    for section, below in {"metric": METRIC, "early_terminate": HYPERBAND}.items():
        if key in below and (section in raw or key == "goal"):
            return f"belongs to {section}; indent it below `{section}:`"
    if not isinstance(value, Mapping):
        word = "values" if isinstance(value, list) else "value"
        constant = f"`{key}: {{{word}: {typed(value)}}}` below `parameters:`"
        return f"is not supported; remove it, or write {constant} if it is a parameter"
    if _is_sweep(value):
        return "holds the keys of the sweep; remove this line and indent them less"
    if not WORDS.keys().isdisjoint(value):
        anchors = f"or write x-{key} if it only holds anchors"
        return f"looks like a parameter; indent it below `parameters:`, {anchors}"
    return f"is not supported; remove it, or write x-{key} if it only holds anchors"


def _section(
    value: Mapping[str, Any], allowed: Iterable[str], section: str, notes: Notes
) -> dict[str, Any]:
    """The same for the keys below a key."""
    corrected = dict(value)
    for key in value:
        if key not in allowed:
            near = nearest(key, [word for word in allowed if word not in value])
            remedy = f"write {near}" if near else f"remove it (supported: {', '.join(allowed)})"
            notes.problem((section, key), f"is not supported; {remedy}")
            corrected[near or key] = value[key]
    return corrected


# ---- the search


def _method(raw: Mapping[str, Any], notes: Notes) -> str:
    method = raw.get("method")
    if method in (*METHODS, "custom"):
        return str(method)
    near = nearest(method, METHODS) if isinstance(method, str) else None
    remedy = f"; write {near}" if near else ""
    notes.problem(("method",), f"must be one of {', '.join(METHODS)}, not {shown(method)}{remedy}")
    return str(method)


def _objective(raw: Mapping[str, Any], notes: Notes) -> Metric | None:
    """The metric; the first of `metrics`."""
    several = raw.get("metrics")
    if isinstance(several, list) and several and "metric" not in raw:
        return _metric(several[0], notes)
    value = raw.get("metric")
    if value is not None:
        return _metric(value, notes)
    needed = [key for key in ("early_terminate",) if raw.get(key)]
    needed += ["method: bayes"] if raw.get("method") == "bayes" else []
    if needed and several is None:
        below = "indent what belongs to it" if "metric" in raw and "name" in raw else "add"
        remedy = f"{below} `metric: {{name: ..., goal: ...}}`"
        notes.problem(("metric",), f"is needed by {needed[-1]}; {remedy}")
    return None


def _metric(value: Any, notes: Notes) -> Metric | None:
    if not isinstance(value, dict):
        meant = joined(value)
        if meant is None:
            name = value if isinstance(value, str) and ":" not in value else "loss"
            meant = {"name": name, "goal": "minimize"}
        notes.problem(("metric",), f"must be a mapping; write `metric: {typed(meant)}`")
        return None
    value = _section(value, METRIC, "metric", notes)
    name = value.get("name")
    if not isinstance(name, str) or not name:
        notes.problem(("metric", "name"), "is missing; name a value that the program logs")
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
        notes.problem(("metric", "target"), f"must be a number, not {_number(target)}")
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


def _space(raw: Mapping[str, Any], method: str, notes: Notes) -> tuple[Parameter, ...]:
    scheduler = raw.get("scheduler")
    if "parameters" not in raw and isinstance(scheduler, dict) and scheduler.get("search_space"):
        return ()
    space = parse(raw.get("parameters"), notes)
    for parameter in space:
        if method == "grid" and parameter.grid is None and parameter.quantile:
            key = tuple(level for name in parameter.path for level in ("parameters", name))
            notes.problem(
                key,
                "a grid needs `values: [...]`, whole numbers from min to max, or q_uniform; or use "
                "method: random",
            )
    return space


def _bands(value: Any, sign: int, notes: Notes) -> Bands | None:
    if value is None:
        return None
    section = "early_terminate"
    if not isinstance(value, dict):
        meant = joined(value) or {"type": "hyperband", "min_iter": 3}
        notes.problem((section,), f"must be a mapping; write `{section}: {typed(meant)}`")
        return None
    value = {k: v for k, v in _section(value, HYPERBAND, section, notes).items() if v is not None}
    if value.get("type") != "hyperband":
        text = f"must be hyperband, not {shown(value.get('type'))}; write `type: hyperband`"
        notes.problem((section, "type"), text)
    eta, strict = value.get("eta", 3), value.get("strict", True)
    if not is_number(eta) or eta <= 1:
        text = f"must be a number greater than 1, not {_number(eta)}"
        notes.problem((section, "eta"), text)
        eta = 3
    if not isinstance(strict, bool):
        notes.problem((section, "strict"), f"must be true or false, not {shown(strict)}")
    found = _iterations(value, eta, notes)
    if found is None:
        return None
    iterations = tuple(sorted({int(band) for band in found if 1 <= band <= LARGEST}))
    if not iterations:
        notes.problem((section,), "no band is left; raise max_iter or lower eta")
    return Bands(iterations, eta, bool(strict), sign)


def _iterations(value: Mapping[str, Any], eta: float, notes: Notes) -> Iterable[float] | None:
    """The bands as W&B computes them: below max_iter, or else above min_iter."""
    section = "early_terminate"
    if "max_iter" in value:
        max_iter = _whole((section, "max_iter"), value["max_iter"], notes)
        if "s" not in value:
            _bands_unnumbered(value, max_iter, eta, notes)
            return None
        s = _whole((section, "s"), value["s"], notes, largest=100)
        if max_iter is None or s is None:
            return None
        return accumulate(repeat(eta, s - 1), truediv, initial=max_iter / eta)
    if "min_iter" in value:
        min_iter = _whole((section, "min_iter"), value["min_iter"], notes)
        return None if min_iter is None else accumulate(repeat(eta, 99), mul, initial=min_iter)
    text = "give either max_iter and s, or min_iter, as `min_iter: 3`"
    notes.problem((section,), text)
    return None


def _bands_unnumbered(
    value: Mapping[str, Any], max_iter: int | None, eta: float, notes: Notes
) -> None:
    if "min_iter" in value:
        remedy = "remove max_iter, or remove min_iter and add s"
    elif max_iter is not None and max_iter >= eta:
        remedy = f"add `s: {int(math.log(max_iter, eta) + 1e-9)}`"
    else:
        remedy = "write `min_iter: 1` instead"
    notes.problem(("early_terminate",), f"max_iter needs s, the number of bands; {remedy}")


def _number(value: Any) -> str:
    """What stands where a number should, and which number it is meant to be."""
    try:
        meant = typed(float(value)) if isinstance(value, str) else None
    except ValueError:
        meant = None
    return f"{shown(value)}; write {meant}" if meant else shown(value)


def _whole(key: Key, value: Any, notes: Notes, largest: int = LARGEST) -> int | None:
    if value is None:
        return None
    if is_number(value) and 1 <= value <= largest and value == int(value):
        return int(value)
    notes.problem(key, f"must be a whole number from 1 to {largest}, not {_whole_meant(value)}")
    return None


def _whole_meant(value: Any) -> str:
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        number = math.nan
    whole = math.isfinite(number) and number.is_integer() and number >= 1
    return f"{shown(value)}; write {int(number)}" if whole else shown(value)


# ---- what is for W&B's server


def _texts(raw: Mapping[str, Any], notes: Notes) -> None:
    """Keys that hold text; empty ones are as good as none."""
    for key in (
        "name",
        "project",
        "entity",
        "description",
        "apiVersion",
        *runnable.LAUNCH,
        "program",
    ):
        value = raw.get(key)
        if value is not None and not isinstance(value, str):
            spelled = notes.spelled.get((key,))
            quoted = f'; write `{key}: "{spelled}"`' if spelled else ""
            notes.problem((key,), f"must be text, not {shown(value)}{quoted}")
    if raw.get("kind", "sweep") != "sweep":
        notes.problem(("kind",), f"must be sweep, not {shown(raw['kind'])}; write sweep")
    controller = raw.get("controller")
    if controller is not None and (
        not isinstance(controller, dict) or controller.get("type") not in ("cloud", "local")
    ):
        notes.problem(("controller",), "must be `{type: cloud}`; write this or remove it")


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return value if isinstance(value, str) and value.strip() else None


def _scheduler(raw: Mapping[str, Any], notes: Notes) -> None:
    """W&B's own engine is the search of W&B's server; the others search by themselves."""
    scheduler = raw.get("scheduler")
    launch = any(raw.get(key) for key in runnable.LAUNCH)
    if scheduler is None or (launch and "engine" not in scheduler):
        return  # said of the key of W&B Launch
    if not isinstance(scheduler, dict) or scheduler.get("engine") not in ("wandb", "optuna", "ax"):
        notes.problem(("scheduler",), "must be `{engine: wandb}`; write this or remove it")
        return
    _section(scheduler, SCHEDULER, "scheduler", notes)
    if raw.get("early_terminate") is not None:
        text = "does not go with early_terminate; remove it, the search stays the same"
        notes.problem(("scheduler",), text)


def _digest(raw: Mapping[str, Any], program: str | None) -> str:
    meaning = {
        "program": program,
        **{key: raw.get(key) for key in ("method", "metric", "parameters", "command")},
        "early_terminate": raw.get("early_terminate"),
    }
    text = json.dumps(meaning, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
