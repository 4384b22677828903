"""Which point of the search space comes next."""

import math
import random
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import product

from hypertrain import UserError
from hypertrain.search.axes import Axis, Point, axes, distinct, params_at, size
from hypertrain.sweepfile.space import Parameter
from hypertrain.sweepfile.sweep import Sweep

__all__ = ["Grid", "Point", "Random", "Search", "Untried", "new_search", "params_at"]
DRAWS = 100
"""So often chance may hit a point that was tried, before the first that was not is taken."""


class Search:
    """Suggests points; `tell` lets later suggestions learn from the trials that ended.

    size: how many points there are, None if there is no end of them.
    """

    size: int | None = None

    def ask(self, number: int) -> Point | None:
        """The point of trial `number`, from 1; None when the search space is exhausted."""
        point = self.suggest(number)
        if point is not None:
            self.restore(number, point)
        return point

    def suggest(self, number: int) -> Point | None:
        """What `ask` would answer now; nothing is remembered."""
        raise NotImplementedError

    def tell(self, number: int, value: float | None) -> None:
        """Trial `number` ended with the metric's best `value`; None when it failed."""

    def restore(self, number: int, point: Point) -> None:
        """Trial `number` was asked for earlier."""

    def prepare(self) -> None:
        """Import what suggestions will need; may take seconds, in any thread."""

    def close(self) -> None:
        """Nothing more is asked."""


def new_search(sweep: Sweep) -> Search:
    if sweep.method == "grid":
        return Grid(sweep.space)
    if sweep.method == "random":
        return Random(sweep)
    for package in ("optuna", "scipy", "torch"):
        if find_spec(package) is None:
            raise UserError(
                f"{sweep.path}: method: bayes needs the package {package}, which is not installed; "
                "run `python -m pip install -r requirements.txt`, or write `method: random`"
            )
    from hypertrain.search.bayes import Bayes  # what it needs is slow to import

    return Bayes(sweep)


class Grid(Search):
    """Product of the values, parameters sorted by name, the last one fastest, as W&B does."""

    def __init__(self, space: Sequence[Parameter]) -> None:
        self._choices = [distinct(parameter.grid or ()) for parameter in space]
        self.sizes = [len(choices) for choices in self._choices]
        self.size = math.prod(self.sizes)

    def suggest(self, number: int) -> Point | None:
        rest = number - 1
        point: list[float] = []
        for choices in reversed(self._choices):
            rest, index = divmod(rest, len(choices))
            point.append(choices[index])
        return None if rest else point[::-1]


class Untried:
    """The points that no trial has had: in a finite space none is tried twice."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self._axes = axes
        self._tried: set[tuple[float, ...]] = set()

    def __len__(self) -> int:
        return len(self._tried)

    def remove(self, point: Point) -> None:
        self._tried.add(self.positions(point))

    def positions(self, point: Point) -> tuple[float, ...]:
        return tuple(axis.position(x) for axis, x in zip(self._axes, point, strict=True))

    def __contains__(self, point: Point) -> bool:
        return self.positions(point) not in self._tried

    def first(self, points: Iterable[Point]) -> Point | None:
        """The first untried one of `points`, else of all points; None when there is none."""
        for point in points:
            if point in self:
                return point
        if size(self._axes) is None:
            return point
        every = product(*(axis.choices or () for axis in self._axes))
        return next((list(point) for point in every if list(point) in self), None)


class Random(Search):
    """Independent draws; a trial's draw depends on the sweep and the trial's number alone.

    In a finite space it also depends on the trials before, whose points are not drawn again.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._id, self._axes = sweep.id, axes(sweep.space)
        self.size = size(self._axes)
        self._untried = Untried(self._axes)

    def suggest(self, number: int) -> Point | None:
        return self._untried.first(draws(self._axes, f"{self._id}/{number}"))

    def restore(self, number: int, point: Point) -> None:
        if self.size is not None:
            self._untried.remove(point)


def draws(axes: Sequence[Axis], seed: str) -> Iterable[Point]:
    """Points drawn from the parameters' distributions."""
    chance = random.Random(seed)
    for _ in range(DRAWS):
        yield [axis.at(chance.random()) for axis in axes]
