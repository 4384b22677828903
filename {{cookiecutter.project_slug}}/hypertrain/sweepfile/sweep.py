"""The sweep file: W&B's own format, read once and checked key by key."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import mul, truediv
from pathlib import Path
from typing import Any, Literal

import yaml

from hypertrain import UserError
from hypertrain.sweepfile.space import Parameter, is_number, parse

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
LARGEST = 10**9
"""More trials or iterations than anybody waits for."""
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


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
    strict: compare the value at the band itself, not the best one so far.
    sign: of the metric.
    """

    iterations: tuple[int, ...]
    eta: float
    strict: bool
    sign: int


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
    with _named(path):
        return _sweep(path, _mapping(path), root)


def from_mapping(path: Path, raw: dict[str, Any], root: Path) -> Sweep:
    """Check a sweep that comes from elsewhere; errors name it `path`."""
    with _named(path):
        return _sweep(path, raw, root)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path}: {line}") from None


def _sweep(path: Path, raw: dict[str, Any], root: Path) -> Sweep:
    for key in raw:
        if key not in KEYS:
            raise UserError(f"{key}: is not supported; remove it (supported: {', '.join(KEYS)})")
    method = raw.get("method")
    if method not in METHODS:
        raise UserError(f"method: must be one of {', '.join(METHODS)}, not {method!r}")
    metric = _metric(raw.get("metric"))
    program = _program(raw.get("program"), root)
    bands = _bands(raw.get("early_terminate"), metric.sign if metric else 1)
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
    _text(raw, "description")  # for W&B's pages alone
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
    """YAML as far as JSON goes, which W&B sends; a key given twice is not forgotten but refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if key.tag == TEXT):
            if key.value in seen:
                raise _at(key, f"{key.value} is given twice; keep one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Also called for what `<<` merges into a mapping."""
        for key, _ in node.value:
            if key.tag not in (TEXT, MERGE):
                raise _at(key, "this key is not text to YAML; quote it")
        super().flatten_mapping(node)

    def refuse(self, node: yaml.Node) -> None:
        kind = node.tag.rpartition(":")[2]
        raise _at(node, f"this is a {kind} to YAML; quote it to make it text")


def _at(node: yaml.Node, problem: str) -> UserError:
    return UserError(f"line {node.start_mark.line + 1}: {problem}")


for _kind in ("timestamp", "binary", "set", "omap", "pairs"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.refuse)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError("no such file; name the sweep file with --sweep FILE") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read as UTF-8 text: {error}") from None
    try:
        raw = yaml.load(text, Loader=_Loader)
        json.dumps(raw)  # neither endless nor with numbers too long to print
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001
        # PyYAML lets many kinds through: KeyError for `!!bool x`
        raise UserError(f"is not valid YAML: {error}") from None
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
    try:
        full = (root / program).resolve()
        exists = full.is_file()
    except (OSError, ValueError):  # too long, say
        exists = False
    if not exists:
        raise UserError(f"program: there is no file {value}; use a path relative to {root}")
    if not full.is_relative_to(root.resolve()):
        raise UserError(f"program: {value} is outside the project; use a path relative to {root}")
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
    return None if value is None else _whole("run_cap", value)


def _whole(key: str, value: Any, largest: int = LARGEST) -> int:
    if type(value) is not int or not 1 <= value <= largest:
        raise UserError(f"{key}: must be a whole number from 1 to {largest}, not {value!r}")
    return value


def _bands(value: Any, sign: int) -> Bands | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("type") != "hyperband":
        raise UserError("early_terminate.type: must be hyperband")
    for key in value:
        if key not in ("type", "max_iter", "min_iter", "s", "eta", "strict"):
            raise UserError(f"early_terminate.{key}: is not supported; remove it")
    eta, strict = value.get("eta", 3), value.get("strict", True)
    if not is_number(eta) or eta <= 1:
        raise UserError(f"early_terminate.eta: must be a number greater than 1, not {eta!r}")
    if not isinstance(strict, bool):
        raise UserError(f"early_terminate.strict: must be true or false, not {strict!r}")
    given = value.keys() & {"max_iter", "min_iter", "s"}
    if given == {"max_iter", "s"}:
        max_iter = _whole("early_terminate.max_iter", value["max_iter"])
        s = _whole("early_terminate.s", value["s"], largest=100)
        found = accumulate(repeat(eta, s - 1), truediv, initial=max_iter / eta)
    elif given == {"min_iter"}:
        min_iter = _whole("early_terminate.min_iter", value["min_iter"])
        found = accumulate(repeat(eta, 99), mul, initial=min_iter)
    else:
        raise UserError("early_terminate: give either max_iter and s, or min_iter")
    iterations = tuple(sorted({int(band) for band in found if 1 <= band <= LARGEST}))
    if not iterations:
        raise UserError("early_terminate: no band is left; raise max_iter or lower eta")
    return Bands(iterations, eta, strict, sign)


def _digest(raw: Mapping[str, Any], program: Path) -> str:
    meaning = {
        "program": program.as_posix(),
        **{key: raw.get(key) for key in ("method", "metric", "parameters", "command")},
        "early_terminate": raw.get("early_terminate"),
    }
    text = json.dumps(meaning, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
