"""The sweep file: W&B's own format, read once and checked key by key.

Reading asks what W&B would make of a file; `runnable` and `program` ask what this machine can run
of it. A sweep that W&B holds is only read.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypertrain.sweepfile import command, early_terminate, metric, program, runnable, text
from hypertrain.sweepfile.distributions import ASTRAY, is_parameter
from hypertrain.sweepfile.early_terminate import Bands
from hypertrain.sweepfile.hints import nearest, shown, typed
from hypertrain.sweepfile.keys import LAUNCH, SCHEDULER, corrected, corrected_section
from hypertrain.sweepfile.metric import Metric
from hypertrain.sweepfile.notes import Notes
from hypertrain.sweepfile.numbers import whole
from hypertrain.sweepfile.space import Parameter, parse

__all__ = ["Bands", "Metric", "Sweep", "from_mapping", "load"]

SWEEP_FILE = "config/wandb-sweep.yaml"
"""Where nothing else is said."""
METHODS = ("grid", "random", "bayes")
NO_PROJECT = re.compile(r"[/\\#?%:]")
"""What W&B forbids in a project's name, which it wants no longer than LONGEST."""
LONGEST = 128
TEXTS = ("name", "project", "entity", "description", "program", "apiVersion", "job", "image_uri")


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
    raw = corrected(raw, notes)
    method, objective = _method(raw, notes), metric.read(raw, notes)
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
        metric=objective,
        space=space,
        command=words,
        bands=early_terminate.read(
            raw.get("early_terminate"), objective.sign if objective else 1, notes
        ),
        run_cap=whole(("run_cap",), raw.get("run_cap"), notes),
        name=_text(raw, "name") or path.stem,
        project=_text(raw, "project") or os.environ.get("WANDB_PROJECT") or _project(project),
        entity=_text(raw, "entity"),
    )


def _method(raw: Mapping[str, Any], notes: Notes) -> str:
    method = raw.get("method")
    if method in (*METHODS, "custom"):
        return str(method)
    near = nearest(method, METHODS) if isinstance(method, str) else None
    remedy = f"; write {near}" if near else ""
    notes.problem(("method",), f"must be one of {', '.join(METHODS)}, not {shown(method)}{remedy}")
    return str(method)


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


def _texts(raw: Mapping[str, Any], notes: Notes) -> None:
    """Keys that hold text; empty ones are as good as none."""
    for key in TEXTS:
        value = raw.get(key)
        if is_parameter(value):
            notes.problem((key,), ASTRAY)
        elif value is not None and not isinstance(value, str):
            spelled = notes.spelled.get((key,))
            quoted = f'; write `{key}: "{spelled}"`' if spelled else ""
            notes.problem((key,), f"must be text, not {shown(value)}{quoted}")
    if (name := _text(raw, "project")) and name != _project(name):
        text = f"W&B takes no / \\ # ? % : in a project's name, and {LONGEST} letters at most"
        notes.problem(("project",), f"{text}; write {typed(_project(name))}")
    if raw.get("kind", "sweep") != "sweep":
        notes.problem(("kind",), f"must be sweep, not {shown(raw['kind'])}; write sweep")
    controller = raw.get("controller")
    if controller is not None and (
        not isinstance(controller, dict) or controller.get("type") not in ("cloud", "local")
    ):
        notes.problem(("controller",), "must be `{type: cloud}`; write this or remove it")


def _project(name: str) -> str:
    """The name as W&B takes it."""
    return NO_PROJECT.sub("-", name)[:LONGEST]


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return value if isinstance(value, str) and value.strip() else None


def _scheduler(raw: Mapping[str, Any], notes: Notes) -> None:
    """W&B's own engine is the search of W&B's server; the others search by themselves."""
    scheduler = raw.get("scheduler")
    engine = scheduler.get("engine") if isinstance(scheduler, dict) else None
    launch = any(raw.get(key) for key in LAUNCH)
    if scheduler is None or (launch and engine is None):
        return  # said of the key of W&B Launch
    if is_parameter(scheduler):
        notes.problem(("scheduler",), ASTRAY)
        return
    if engine not in ("wandb", "optuna", "ax"):
        notes.problem(("scheduler",), "must be `{engine: wandb}`; write this or remove it")
        return
    corrected_section(scheduler, SCHEDULER, "scheduler", notes)
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
