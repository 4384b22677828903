"""The search space: a sweep file's parameters as lists, integer ranges and inverse CDFs.

Meaning and bounds are those of W&B's own engine, the package `sweeps` 0.3.0 (`params.py`).
"""

import math
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from hypertrain import UserError
from hypertrain.sweepfile import quantiles
from hypertrain.sweepfile.quantiles import Inverse

NAME_RULE = "a letter or _ first, then letters, digits, _ . -"


@dataclass(frozen=True)
class Parameter:
    """One leaf of the search space: exactly one of `values` and `quantile` is set.

    values: the choices, or an integer range, or one constant.
    quantile: inverse CDF of a continuous distribution, from (0, 1) to a value.
    steps: what a grid makes of a quantised continuous distribution.
    """

    path: tuple[str, ...]
    values: Sequence[Any] | None = None
    quantile: Callable[[float], Any] | None = None
    steps: Sequence[Any] | None = None

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def grid(self) -> Sequence[Any] | None:
        return self.steps if self.values is None else self.values


def parse(parameters: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Leaves of a sweep file's `parameters`, in W&B's order: sorted by name on every level.

    Raises: UserError, naming the parameter and the key.
    """
    return tuple(_leaves(parameters, ()))


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


def _leaves(parameters: Any, above: tuple[str, ...]) -> Iterator[Parameter]:
    where = ".".join(("parameters", *above))
    if not isinstance(parameters, Mapping) or not parameters:
        raise UserError(f"{where}: give at least one parameter, as `name: {{values: [...]}}`")
    for name in parameters:
        if not isinstance(name, str) or not _is_name(name):
            raise UserError(f"{where}: the name {name!r} is not allowed; use {NAME_RULE}")
    for name, config in sorted(parameters.items()):
        path = (*above, name)
        if not isinstance(config, Mapping):
            raise UserError(
                f"{where}.{name}: give `value: ...`, `values: [...]` or `min: ...` and `max: ...`"
            )
        if "parameters" in config:
            _only(config, {"parameters"}, path)
            yield from _leaves(config["parameters"], path)
        else:
            yield _leaf(path, config)


def _is_name(name: str) -> bool:
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    return bool(name) and set(name) <= allowed and not (name[0].isdigit() or name[0] in ".-")


def _leaf(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
    distribution = config["distribution"] if "distribution" in config else _implied(path, config)
    read = DISTRIBUTIONS.get(distribution) if isinstance(distribution, str) else None
    if read is None:
        known = ", ".join(DISTRIBUTIONS)
        raise _error(path, "distribution", f"{distribution!r} is unknown; use one of: {known}")
    return read(path, {key: value for key, value in config.items() if key != "distribution"})


def _implied(path: tuple[str, ...], config: Mapping[str, Any]) -> str:
    if "value" in config:
        return "constant"
    if "values" in config:
        return "categorical_w_probabilities" if "probabilities" in config else "categorical"
    if "min" in config and "max" in config:
        bounds = (config["min"], config["max"])
        return "int_uniform" if all(type(bound) is int for bound in bounds) else "uniform"
    raise UserError(
        f"{_key(path)}: give `value: ...`, `values: [...]` or `min: ...` and `max: ...`"
    )


def _constant(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
    _only(config, {"value"}, path)
    if "value" not in config:
        raise _error(path, "value", "is missing")
    return Parameter(path, values=(config["value"],))


def _categorical(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
    _only(config, {"values"}, path)
    return Parameter(path, values=_list(path, config, "values"))


def _weighted(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
    _only(config, {"values", "probabilities"}, path)
    values = _list(path, config, "values")
    weights = _list(path, config, "probabilities")
    if not all(is_number(weight) and 0 <= weight <= 1 for weight in weights):
        raise _error(path, "probabilities", "must be numbers from 0 to 1")
    if len(weights) != len(values):
        raise _error(path, "probabilities", f"needs {len(values)} numbers, one for each value")
    if not math.isclose(sum(weights), 1, rel_tol=1e-5, abs_tol=1e-8):
        raise _error(path, "probabilities", f"must add up to 1, not {sum(weights)}")
    edges = list(accumulate(weights))
    last = max(i for i, weight in enumerate(weights) if weight > 0)
    return Parameter(path, quantile=lambda u: values[min(bisect_right(edges, u), last)])


def _int_uniform(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
    _only(config, {"min", "max"}, path)
    low, high = _bounds(path, config)
    if type(low) is not int or type(high) is not int:
        raise _error(path, "min, max", "must both be whole numbers for int_uniform")
    if high - low > MANY:
        raise _error(path, "min, max", "are too far apart for int_uniform; use uniform")
    return Parameter(path, values=range(low, high + 1))


def _between(shape: Callable[[float, float], Inverse], positive: bool = False) -> "_Reader":
    """Reader of a distribution with bounds, from its inverse CDF as a function of them."""

    def read(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
        _only(config, {"min", "max"}, path)
        low, high = _bounds(path, config)
        if positive and low <= 0:
            raise _error(path, "min", f"must be greater than 0, not {low}")
        return Parameter(path, quantile=_finite(path, shape(low, high)))

    return read


def _with(shape: Callable[..., Inverse], positive: set[str], **defaults: float) -> "_Reader":
    """Reader of a distribution with the parameters named in `defaults`."""

    def read(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
        _only(config, set(defaults), path)
        numbers = {key: _number(path, config, key, default) for key, default in defaults.items()}
        for key in positive:
            if numbers[key] <= 0:
                raise _error(path, key, f"must be greater than 0, not {numbers[key]}")
        return Parameter(path, quantile=_finite(path, shape(**numbers)))

    return read


def _quantised(read: "_Reader") -> "_Reader":
    """The distribution that `read` makes, rounded to multiples of `q`."""

    def read_quantised(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
        q = _number(path, config, "q", 1.0)
        if q <= 0:
            raise _error(path, "q", f"must be greater than 0, not {q}")
        rest = {key: value for key, value in config.items() if key != "q"}
        inverse = read(path, rest).quantile
        assert inverse is not None
        return Parameter(path, quantile=_finite(path, lambda u: round(inverse(u) / q) * q))

    return read_quantised


def _q_uniform(path: tuple[str, ...], config: Mapping[str, Any]) -> Parameter:
    parameter = _quantised(_between(quantiles.uniform))(path, config)
    low, high, q = config["min"], config["max"], config.get("q", 1.0)
    if (high - low) / q > MANY or low + q == low or high + q == high:
        raise _error(path, "q", f"{q} is too small for min {low} and max {high}; raise it")
    return Parameter(path, quantile=parameter.quantile, steps=quantiles.Steps(low, high, q))


_Reader = Callable[[tuple[str, ...], Mapping[str, Any]], Parameter]

_normal_reader = _with(quantiles.normal, {"sigma"}, mu=0.0, sigma=1.0)
_log_normal_reader = _with(quantiles.log_normal, {"sigma"}, mu=0.0, sigma=1.0)
_beta_reader = _with(quantiles.beta, {"a", "b"}, a=1.0, b=1.0)

DISTRIBUTIONS: dict[str, _Reader] = {
    "constant": _constant,
    "categorical": _categorical,
    "categorical_w_probabilities": _weighted,
    "int_uniform": _int_uniform,
    "uniform": _between(quantiles.uniform),
    "q_uniform": _q_uniform,
    "log_uniform": _between(quantiles.log_uniform),
    "log_uniform_values": _between(quantiles.log_uniform_values, positive=True),
    "q_log_uniform": _quantised(_between(quantiles.log_uniform)),
    "q_log_uniform_values": _quantised(_between(quantiles.log_uniform_values, positive=True)),
    "inv_log_uniform": _between(quantiles.inv_log_uniform),
    "inv_log_uniform_values": _between(quantiles.inv_log_uniform_values, positive=True),
    "normal": _normal_reader,
    "q_normal": _quantised(_normal_reader),
    "log_normal": _log_normal_reader,
    "q_log_normal": _quantised(_log_normal_reader),
    "beta": _beta_reader,
    "q_beta": _quantised(_beta_reader),
}


def _finite(path: tuple[str, ...], inverse: Inverse) -> Inverse:
    if quantiles.is_finite(inverse):
        return inverse
    raise UserError(
        f"{_key(path)}: these numbers lead to values too large to compute; log_uniform and "
        "log_normal take exponents of e, log_uniform_values takes plain values"
    )


MANY = 2**53
"""Floats tell no more whole numbers apart."""


def _bounds(path: tuple[str, ...], config: Mapping[str, Any]) -> tuple[Any, Any]:
    low, high = _number(path, config, "min"), _number(path, config, "max")
    if low >= high:
        raise _error(path, "min", f"{low} must be less than max {high}")
    return low, high


def _number(
    path: tuple[str, ...], config: Mapping[str, Any], key: str, default: float | None = None
) -> Any:
    value = config.get(key, default)
    if value is None:
        raise _error(path, key, "is missing")
    if isinstance(value, str):
        raise _error(path, key, f"{value!r} is text to YAML; write a number, such as 1.0e-4")
    if not is_number(value):
        raise _error(path, key, f"{value!r} is not a number that a float can hold")
    return value


def is_number(value: Any) -> bool:
    """Whether the value is a number, and finite as a float: YAML's integers have no bounds."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _list(path: tuple[str, ...], config: Mapping[str, Any], key: str) -> list[Any]:
    value = config.get(key)
    if not isinstance(value, list) or not value:
        raise _error(path, key, f"must be a list of at least one value, not {value!r}")
    return value


def _only(config: Mapping[str, Any], allowed: set[str], path: tuple[str, ...]) -> None:
    for key in config:
        if key not in allowed:
            names = ", ".join(sorted(allowed | {"distribution"}))
            raise _error(path, key, f"does not belong here; this distribution has: {names}")


def _key(path: tuple[str, ...]) -> str:
    return ".".join(("parameters", *path))


def _error(path: tuple[str, ...], key: str, problem: str) -> UserError:
    return UserError(f"{_key(path)}.{key}: {problem}")
