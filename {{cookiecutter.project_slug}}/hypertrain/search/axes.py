"""What a search sees of the search space: an axis for each parameter, a point for each trial.

A coordinate is the index of a value, or a quantile. Points, not values, are what the search works
on, so that lists, dicts and equal values are choices like any other.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from hypertrain.sweepfile.quantiles import EDGE
from hypertrain.sweepfile.space import Parameter, as_sent, nest

Point = list[float]
LATTICE = [(i + 0.5) / 1000 for i in range(1000)]
"""Quantiles at which a distribution is looked at; it is quantised if it takes few values there."""
FEW = 100


def params_at(space: Sequence[Parameter], point: Point) -> dict[str, Any]:
    """Parameters of the trial at `point`, nested as in the sweep file."""
    return nest(space, [_value(*pair) for pair in zip(space, point, strict=True)])


@dataclass(frozen=True)
class Axis:
    """The coordinates that a parameter has.

    choices: a coordinate for each value that differs once sent; None where they have no end.
    ordered: neighbours among them are alike, as numbers are.
    """

    parameter: Parameter
    choices: Sequence[float] | None
    ordered: bool

    def at(self, share: float) -> float:
        """What lies at this share, from 0 to below 1, of the parameter's distribution."""
        if self.parameter.values is None:
            return EDGE + share * (1 - 2 * EDGE)
        return int(share * len(self.parameter.values))

    def position(self, coordinate: float) -> float:
        """Which of the choices has the value found there; without choices, the coordinate."""
        choices = self.choices
        if choices is None or isinstance(choices, range):
            return coordinate
        found = self._positions.get(_text(_value(self.parameter, coordinate)))
        if found is None:  # a value so seldom that the lattice misses it
            return min(range(len(choices)), key=lambda i: abs(choices[i] - coordinate))
        return found

    @cached_property
    def _positions(self) -> dict[str, int]:
        texts = [_text(_value(self.parameter, coordinate)) for coordinate in self.choices or ()]
        return {text: position for position, text in enumerate(texts)}


def axes(space: Sequence[Parameter]) -> list[Axis]:
    return [_axis(parameter) for parameter in space]


def size(axes: Sequence[Axis]) -> int | None:
    """How many points differ; None if they have no end."""
    if any(axis.choices is None for axis in axes):
        return None
    return math.prod(len(axis.choices) for axis in axes if axis.choices is not None)


def distinct(values: Sequence[Any]) -> Sequence[int]:
    """Indices of the values that differ once sent: 1 and 1.0 are one point of a grid."""
    if not isinstance(values, list):
        return range(len(values))
    texts = [_text(value) for value in values]
    sent = {text: index for index, text in reversed(list(enumerate(texts)))}
    return sorted(sent.values())


def _axis(parameter: Parameter) -> Axis:
    values = parameter.values
    if values is None:
        return _quantised(parameter)
    if isinstance(values, range):
        return Axis(parameter, range(len(values)), ordered=True)
    return _choices(parameter, distinct(values))


def _quantised(parameter: Parameter) -> Axis:
    """Steps and weighted choices are choices too: a quantile in the middle of each."""
    runs: dict[str, float] = {}
    for text, run in groupby(LATTICE, key=lambda u: _text(_value(parameter, u))):
        quantiles = list(run)
        runs.setdefault(text, quantiles[len(quantiles) // 2])
        if len(runs) > FEW:
            return Axis(parameter, None, ordered=True)
    return _choices(parameter, list(runs.values()))


def _choices(parameter: Parameter, coordinates: Sequence[float]) -> Axis:
    """Numbers in their order, by rank: neighbours are as far apart on any scale."""
    numbers = {x: _number(_value(parameter, x)) for x in coordinates}
    if None in numbers.values():
        return Axis(parameter, coordinates, ordered=False)
    order = sorted(coordinates, key=lambda x: numbers[x] or 0.0)
    return Axis(parameter, order, ordered=True)


def _number(value: Any) -> float | None:
    """The number that a value is or spells: 1e-4 is text to YAML."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _value(parameter: Parameter, coordinate: float) -> Any:
    if parameter.quantile and not (parameter.steps and isinstance(coordinate, int)):
        return parameter.quantile(coordinate)
    assert parameter.grid is not None
    return parameter.grid[int(coordinate)]


def _text(value: Any) -> str:
    return json.dumps(as_sent(value), sort_keys=True)
