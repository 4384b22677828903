"""The search space: a sweep file's parameters, level by level, and a trial's values under them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypertrain.sweepfile import distributions
from hypertrain.sweepfile.distributions import NEEDS, WORDS, Parameter, is_parameter, word_meant
from hypertrain.sweepfile.hints import joined, typed
from hypertrain.sweepfile.notes import Key, Notes
from hypertrain.sweepfile.numbers import is_number

__all__ = ["Parameter", "as_sent", "is_number", "nest", "parse"]

INNER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
"""What W&B's engine takes as a name below another; of one at the top it takes any."""
OUTER = ("method", "metric", "program", "early_terminate", "run_cap", "command")
"""Keys of the sweep that may have slipped below `parameters:`."""


def parse(parameters: Any, notes: Notes) -> tuple[Parameter, ...]:
    """Leaves of a sweep file's `parameters`, in W&B's order: sorted by name on every level."""
    return tuple(_leaves(parameters, (), ("parameters",), notes))


def nest(space: Sequence[Parameter], values: Sequence[Any]) -> dict[str, Any]:
    """Parameters of a trial: the values under their names, nested as in the sweep file."""
    params: dict[str, Any] = {}
    for parameter, value in zip(space, values, strict=True):
        level = params
        for name in parameter.path[:-1]:
            level = level.setdefault(name, {})
        level[parameter.path[-1]] = as_sent(value)
    return params


def as_sent(value: Any) -> Any:
    """The value as a W&B agent receives it: JSON from the server writes 3.0 as 3."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(value)
    if isinstance(value, list):
        return [as_sent(item) for item in value]
    if isinstance(value, dict):
        return {key: as_sent(item) for key, item in value.items()}
    return value


def _leaves(level: Any, above: tuple[str, ...], key: Key, notes: Notes) -> Iterator[Parameter]:
    if not isinstance(level, Mapping) or not level:
        notes.problem(key, f"give at least one parameter, {_meant(level)}")
        return
    empty = next((name for name, config in level.items() if config is None), None)
    for name, config in sorted(level.items()):
        path, at = (*above, name), (*key, name)
        if not name.strip() or not name.isprintable():
            notes.problem(at, f"{name!r} is no name of an option; write a word")
        elif above and not INNER.fullmatch(name):
            text = "W&B takes letters, digits and _ . - for a name below another"
            notes.problem(at, f"{text}; write {_as_inner(name)}")
        elif not above and name in OUTER and not is_parameter(config):
            notes.problem(at, "is no parameter; indent it less, as `parameters:` is")
        elif not above and name == "parameters" and isinstance(config, Mapping):
            notes.problem(at, "stands twice; remove this line and indent what is below it less")
            yield from _leaves(config, (), at, notes)
        elif empty and name in WORDS and not isinstance(config, Mapping):
            notes.problem(at, f"belongs to {empty}; indent it below {empty}:")
        elif not isinstance(config, Mapping):
            if config is not None or not WORDS.keys() & level.keys():
                notes.problem(at, _no_mapping(name, config))
            yield Parameter(path)
        elif "parameters" in config:
            for word in config.keys() - {"parameters"}:
                notes.problem((*at, word), "does not belong beside `parameters:`; remove it")
            yield from _leaves(config["parameters"], path, (*at, "parameters"), notes)
        elif _lacks_parameters(config):
            inner = {k: v if is_parameter(v) else {"value": v} for k, v in config.items()}
            meant = f"write `{name}: {typed({'parameters': inner})}`"
            notes.problem(at, f"the level `parameters:` is missing below it; {meant}")
            yield Parameter(path)
        elif config and not any(map(word_meant, config)):
            notes.problem(at, f"write `{name}: {typed({'value': config})}`")
            yield Parameter(path)
        else:
            yield distributions.read(path, at, config, notes)


def _lacks_parameters(config: Mapping[str, Any]) -> bool:
    """Whether nothing but parameters stands where `parameters:` should."""
    strangers = WORDS.keys().isdisjoint(config)
    return strangers and any(is_parameter(inner) for inner in config.values())


def _as_inner(name: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_")
    return word if INNER.fullmatch(word) else f"_{word}"


def _meant(level: Any) -> str:
    """How a list of parameters is written as a mapping."""
    if merged := joined(level):
        named = [item for item in level if "name" in item]
        if named:
            merged = {
                item["name"]: {k: v for k, v in item.items() if k != "name"} for item in named
            }
        text = ", ".join(f"{name}: {typed(config)}" for name, config in merged.items())
        return f"without a dash, as `{text}`"
    return "as `lr: {values: [0.1, 0.01]}`"


def _no_mapping(name: str, config: Any) -> str:
    if config is None:
        return f"is empty; {NEEDS} below it"
    if (merged := joined(config)) and is_parameter(merged):
        return f"leave out the dashes, as `{name}: {typed(merged)}`"
    found = re.match(r"(\w+)(:?)\s*(.*)", config) if isinstance(config, str) else None
    if found and found[1] in WORDS and (found[2] or found[3]):
        lacks = f"a blank is missing after {found[1]}:" if found[2] else "a colon is missing"
        return f"{lacks}; write `{found[1]}: {found[3]}`"
    word = "values" if isinstance(config, list) and config else "value"
    return f"write `{name}: {{{word}: {typed(config)}}}`"
