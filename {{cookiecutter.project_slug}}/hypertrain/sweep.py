"""The sweep file: W&B's own format, read once and checked key by key."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from hypertrain import UserError
from hypertrain.space import Parameter, parse

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
)
METHODS = ("grid", "random", "bayes")


@dataclass(frozen=True)
class Metric:
    name: str
    goal: Literal["minimize", "maximize"]

    @property
    def sign(self) -> int:
        """+1 when less is better, -1 when more is."""
        return -1 if self.goal == "maximize" else 1

    def best(self, values: list[float]) -> float:
        return min(values, key=lambda value: self.sign * value)


@dataclass(frozen=True)
class Bands:
    """Hyperband: iterations at which a trial is compared, and how.

    eta: 1/eta of the trials pass each band.
    strict: compare the value at the band itself, not the best one before.
    """

    iterations: tuple[int, ...]
    eta: float
    strict: bool


@dataclass(frozen=True)
class Sweep:
    """A valid sweep file.

    raw: the file's mapping, as W&B takes it.
    program: relative to the project's root.
    id: names the search: method, program, metric, search space and command.
    """

    path: Path
    raw: dict[str, Any]
    id: str
    program: Path
    method: str
    metric: Metric | None
    space: tuple[Parameter, ...]
    command: tuple[Any, ...] | None
    bands: Bands | None
    run_cap: int | None
    name: str
    project: str
    entity: str | None


def load(path: Path, root: Path) -> Sweep:
    """Read and check the sweep file `path` of the project in `root`.

    Raises: UserError with the file, the key and the remedy.
    """
    try:
        return _sweep(path, _mapping(path), root)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _sweep(path: Path, raw: dict[str, Any], root: Path) -> Sweep:
    for key in raw:
        if key not in KEYS:
            raise UserError(f"{key}: is not supported; remove it (supported: {', '.join(KEYS)})")
    method = raw.get("method")
    if method not in METHODS:
        raise UserError(f"method: must be one of {', '.join(METHODS)}, not {method!r}")
    metric = _metric(raw.get("metric"))
    program = _program(raw.get("program"), root)
    bands = _bands(raw.get("early_terminate"))
    if metric is None and (method == "bayes" or bands):
        reason = "method: bayes" if method == "bayes" else "early_terminate"
        raise UserError(f"metric: is needed by {reason}; add `metric: {{name: ..., goal: ...}}`")
    parameters = parse(raw.get("parameters", {}))
    if method == "grid":
        for parameter in parameters:
            if parameter.grid is None:
                raise UserError(
                    f"parameters.{parameter.name}: a grid needs `values: [...]`, whole numbers "
                    "from min to max, or q_uniform; or use method: random"
                )
    return Sweep(
        path=path,
        raw=raw,
        id=_digest(raw, program),
        program=program,
        method=method,
        metric=metric,
        space=parameters,
        command=_command(raw.get("command")),
        bands=bands,
        run_cap=_run_cap(raw.get("run_cap")),
        name=_text(raw, "name") or path.stem,
        project=_text(raw, "project") or os.environ.get("WANDB_PROJECT") or root.name,
        entity=_text(raw, "entity"),
    )


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice instead of forgetting the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise UserError(f"{key}: is given twice in the mapping at line {line}; keep one")
        return super().construct_mapping(node, deep)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
        json.dumps(raw, sort_keys=True)
    except FileNotFoundError:
        raise UserError("no such file; name the sweep file with --sweep FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"is not valid YAML: {' '.join(str(error).split())}") from None
    except (TypeError, ValueError, RecursionError):
        raise UserError(
            "holds a value that JSON has no form for (a date, say); quote it to make it text"
        ) from None
    if not isinstance(raw, dict):
        raise UserError("must be a mapping with the keys program, method, metric and parameters")
    return raw


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise UserError(f"{key}: must be text, not {value!r}")
    return value


def _program(value: Any, root: Path) -> Path:
    if not isinstance(value, str) or not value:
        raise UserError("program: is missing; name the training script, such as modules/train.py")
    program = Path(value)
    if program.is_absolute():
        # The platform mounts the project at /project: such a path means the same file here.
        parts = program.parts[2:] if program.parts[:2] == ("/", "project") else ()
        program = Path(*parts) if parts and not program.is_relative_to(root) else program
    full = (root / program).resolve()
    if not full.is_relative_to(root.resolve()):
        raise UserError(f"program: {value} is outside the project; use a path relative to {root}")
    if not full.is_file():
        raise UserError(f"program: there is no file {value}; use a path relative to {root}")
    return full.relative_to(root.resolve())


def _metric(value: Any) -> Metric | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        raise UserError("metric.name: is missing; name a value that the program logs")
    for key in value:
        if key not in ("name", "goal"):
            raise UserError(f"metric.{key}: is not supported; remove it (supported: name, goal)")
    goal = value.get("goal", "minimize")
    if goal not in ("minimize", "maximize"):
        raise UserError(f"metric.goal: must be minimize or maximize, not {goal!r}")
    return Metric(value["name"], goal)


def _command(value: Any) -> tuple[Any, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        raise UserError('command: must be a list, such as ["${env}", "python", "${program}"]')
    for part in value:
        if not isinstance(part, str | int | float):
            raise UserError(f"command: {part!r} is not one word; quote it")
    return tuple(value)


def _run_cap(value: Any) -> int | None:
    if value is not None and (type(value) is not int or value < 1):
        raise UserError(f"run_cap: must be a whole number of 1 or more, not {value!r}")
    return value


def _bands(value: Any) -> Bands | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("type") != "hyperband":
        raise UserError("early_terminate.type: must be hyperband")
    for key in value:
        if key not in ("type", "max_iter", "min_iter", "s", "eta", "strict"):
            raise UserError(f"early_terminate.{key}: is not supported; remove it")
    for key in ("max_iter", "min_iter", "s"):
        if key in value and (type(value[key]) is not int or value[key] < 1):
            raise UserError(f"early_terminate.{key}: must be a whole number of 1 or more")
    eta, strict = value.get("eta", 3), value.get("strict", True)
    if type(eta) not in (int, float) or not eta > 1:
        raise UserError(f"early_terminate.eta: must be a number greater than 1, not {eta!r}")
    if not isinstance(strict, bool):
        raise UserError(f"early_terminate.strict: must be true or false, not {strict!r}")
    if "max_iter" in value and "s" in value:
        found = [int(value["max_iter"] / eta**k) for k in range(1, value["s"] + 1)]
    elif "min_iter" in value and "max_iter" not in value:
        found = [int(value["min_iter"] * eta**k) for k in range(100)]
    else:
        raise UserError("early_terminate: give either max_iter and s, or min_iter")
    iterations = tuple(sorted({band for band in found if band >= 1}))
    if not iterations:
        raise UserError("early_terminate: no band is left; raise max_iter or lower eta")
    return Bands(iterations, eta, strict)


def _digest(raw: Mapping[str, Any], program: Path) -> str:
    meaning = {
        "program": program.as_posix(),
        **{key: raw.get(key) for key in ("method", "metric", "parameters", "command")},
        "early_terminate": raw.get("early_terminate"),
    }
    text = json.dumps(meaning, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
