"""The search that learns from the trials so far: Optuna's Gaussian process."""

import math
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from hypertrain.search.axes import Axis, Point, axes, size
from hypertrain.search.search import Search, Untried, draws
from hypertrain.sweepfile.quantiles import EDGE
from hypertrain.sweepfile.sweep import Sweep

if TYPE_CHECKING:
    from optuna._gp.acqf import BaseAcquisitionFunc

optuna.logging.set_verbosity(optuna.logging.ERROR)

DESIGN = 5
"""So many trials end before the first that is suggested from what they gave."""
MOST = 150
"""So many trials the process is fitted to: its cost grows with their cube."""
SAMPLES, LEADERS = 2048, 5
"""Points of a finite space that are compared, and of these the ones whose neighbours are too."""

WIDE = 100

Indices = NDArray[np.int64]


class Bayes(Search):
    """Suggests by expected improvement; trials that still run count as pending, failed as worst.

    A suggestion depends on the sweep, the trial's number and what is known of the other trials
    alone. The first trials are points of a Sobol sequence, which covers the space more evenly than
    chance.
    """

    def __init__(self, sweep: Sweep) -> None:
        assert sweep.metric is not None
        self._id, self._sign, self._axes = sweep.id, sweep.metric.sign, axes(sweep.space)
        self.size = size(self._axes)
        self._untried = Untried(self._axes)
        self._positions: dict[int, tuple[float, ...]] = {}
        # Signed, so that less is better whatever the metric's goal; infinite of failed trials.
        self._values: dict[int, float] = {}
        self._distributions = {
            str(i): _distribution(axis)
            for i, axis in enumerate(self._axes)
            if axis.choices is None or len(axis.choices) > 1
        }

    def suggest(self, number: int) -> Point | None:
        if self.size is not None and len(self._untried) >= self.size:
            return None
        completed = sum(math.isfinite(value) for value in self._values.values())
        if len(self._values) < DESIGN or completed < 2:
            return self._untried.first(self._evenly(number))
        return self._untried.first(self._promising(number))

    def tell(self, number: int, value: float | None) -> None:
        self._values[number] = math.inf if value is None else self._sign * value

    def restore(self, number: int, point: Point) -> None:
        self._untried.remove(point)
        self._positions[number] = self._untried.positions(point)

    def prepare(self) -> None:
        import torch

        # More threads fight for the cores, with each other and with the trials.
        torch.set_num_threads(1)

    def _evenly(self, number: int) -> Iterator[Point]:
        from scipy.stats import qmc  # type: ignore[import-untyped]  # slow to import

        sequence = qmc.Sobol(len(self._axes), rng=_seed(f"{self._id}/0"))
        if number > 1:
            sequence.fast_forward(number - 1)
        (shares,) = sequence.random(1).tolist()
        yield [axis.at(share) for axis, share in zip(self._axes, shares, strict=True)]
        yield from draws(self._axes, f"{self._id}/{number}")

    def _promising(self, number: int) -> Iterator[Point]:
        self.prepare()
        best = sorted(self._positions, key=lambda n: self._values.get(n, math.inf))
        tried = [[self._positions[n][int(name)] for name in self._distributions] for n in best]
        seed = _seed(f"{self._id}/{number}")
        study = optuna.create_study(sampler=_Sampler(self._distributions, np.array(tried), seed))
        study.add_trials(self._known())
        params = study.ask(self._distributions).params
        yield [_coordinate(axis, params.get(str(i), 0)) for i, axis in enumerate(self._axes)]
        yield from draws(self._axes, f"{self._id}/{number}")

    def _known(self) -> list[FrozenTrial]:
        """The trials as Optuna takes them; of many, those with the best values and the newest."""
        ended = sorted(self._values, key=self._values.__getitem__)
        best, rest = ended[: MOST // 2], ended[MOST // 2 :]
        numbers = best + sorted(rest)[-MOST // 2 :]
        values = dict(zip(numbers, tamed([self._values[n] for n in numbers]), strict=True))
        running = self._positions.keys() - self._values.keys()
        return [self._trial(n, values.get(n)) for n in [*numbers, *sorted(running)]]

    def _trial(self, number: int, value: float | None) -> FrozenTrial:
        at = self._positions[number]
        return create_trial(
            state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
            value=value,
            params={
                name: at[int(name)] + (0.5 if _is_wide(self._axes[int(name)]) else 0)
                for name in self._distributions
            },
            distributions=self._distributions,
        )


def tamed(values: Sequence[float]) -> list[float]:
    """The values to learn from: the worst of those that completed stands for failures.

    What is much worse than most is not told apart: next to a loss that exploded, all others would
    look alike.
    """
    finite = [value for value in values if math.isfinite(value)]
    middle, best = float(np.median(finite)), min(finite)
    limit = min(max(finite), middle + 2 * (middle - best)) if middle > best else max(finite)
    return [min(value, limit) for value in values]


class _Sampler(optuna.samplers.GPSampler):
    """Optuna's sampler, except that in a finite space it compares untried points alone.

    tried: their positions, one row each, on the axes of `space`.
    """

    def __init__(self, space: dict[str, BaseDistribution], tried: Indices, seed: int) -> None:
        super().__init__(seed=seed, n_startup_trials=1)
        # A quarter of Optuna's own points to start from, half of the climbs, half of the time.
        self._n_preliminary_samples, self._n_local_search = 512, 5
        self._space, self._tried = space, tried

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._space

    def _optimize_acqf(
        self, acqf: "BaseAcquisitionFunc", best_params: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        if len(acqf.search_space.continuous_indices):
            found: NDArray[np.float64] = super()._optimize_acqf(acqf, best_params)
            return found
        return self._best_untried(acqf)

    def _best_untried(self, acqf: "BaseAcquisitionFunc") -> NDArray[np.float64]:
        grids = acqf.search_space.get_choices_of_discrete_params()
        sizes = np.array([len(grid) for grid in grids])

        def coordinates(points: Indices) -> NDArray[np.float64]:
            columns = zip(grids, points.T, strict=True)
            return np.column_stack([grid[indices] for grid, indices in columns])

        def scored(points: Indices) -> tuple[Indices, NDArray[np.float64]]:
            points = _without(points, self._tried)
            return points, acqf.eval_acqf_no_grad(coordinates(points))

        if sizes.prod(dtype=float) <= SAMPLES:
            start = np.argwhere(np.ones(sizes))
        else:
            start = self._rng.rng.randint(sizes, size=(SAMPLES, len(sizes)))
        points, scores = scored(np.vstack([start, _neighbours(self._tried[:LEADERS], sizes)]))
        while len(points):
            leaders = points[np.argsort(-scores)[:LEADERS]]
            nearby, gains = scored(_neighbours(leaders, sizes))
            if not len(nearby) or gains.max() <= scores.max():
                break
            points, scores = np.vstack([points, nearby]), np.concatenate([scores, gains])
        # Where chance found nothing untried, the caller does.
        best = points[np.argmax(scores)] if len(points) else self._tried[0]
        found: NDArray[np.float64] = coordinates(best[np.newaxis])[0]
        return found


def _neighbours(points: Indices, sizes: Indices) -> Indices:
    """All points that differ from one of `points` on one axis."""
    found = [points[:0]]
    for axis, count in enumerate(sizes):
        moved = np.repeat(points, count, axis=0)
        moved[:, axis] = np.tile(np.arange(count), len(points))
        found.append(moved)
    return np.vstack(found)


def _without(points: Indices, tried: Indices) -> Indices:
    """The points, each once, that are not among those tried."""
    known = set(map(tuple, tried.tolist()))
    fresh = [point for point in set(map(tuple, points.tolist())) if point not in known]
    return np.array(sorted(fresh), dtype=np.int64).reshape(len(fresh), points.shape[1])


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.choices is None:
        return FloatDistribution(EDGE, 1 - EDGE)
    if _is_wide(axis):
        return FloatDistribution(0, len(axis.choices))
    if axis.ordered:
        return IntDistribution(0, len(axis.choices) - 1)
    return CategoricalDistribution(list(range(len(axis.choices))))


def _coordinate(axis: Axis, param: float) -> float:
    if axis.choices is None:
        return param
    return axis.choices[min(int(param), len(axis.choices) - 1)]


def _is_wide(axis: Axis) -> bool:
    """Whether so many whole numbers follow each other that they are as good as a line."""
    return axis.choices is not None and axis.ordered and len(axis.choices) > WIDE


def _seed(text: str) -> int:
    return random.Random(text).getrandbits(32)
