"""Which point of the search space comes next.

A point has one coordinate per parameter: the index of a value, or a quantile. Points, not values,
are what the search works on, so that lists, dicts and equal values are choices like any other.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hypertrain.sweepfile.quantiles import EDGE
from hypertrain.sweepfile.space import Parameter, as_sent, nest
from hypertrain.sweepfile.sweep import Sweep

if TYPE_CHECKING:
    import optuna

Point = list[float]
DESIGN = 5
"""So many completed trials come before the first that `bayes` suggests."""


def params_at(space: Sequence[Parameter], point: Point) -> dict[str, Any]:
    """Parameters of the trial at `point`, nested as in the sweep file."""
    return nest(space, [_value(*pair) for pair in zip(space, point, strict=True)])


class Search:
    """Suggests points; `tell` lets later suggestions learn from the trials that ended."""

    size: int | None = None

    def ask(self, number: int) -> Point | None:
        """The point of trial `number`, from 1; None when the search space is exhausted."""
        raise NotImplementedError

    def tell(self, number: int, value: float | None) -> None:
        """Trial `number` ended with the metric's best `value`; None when it failed."""

    def restore(self, number: int, point: Point) -> None:
        """Trial `number` was asked for in an earlier session."""


def new_search(sweep: Sweep) -> Search:
    if sweep.method == "grid":
        return Grid(sweep.space)
    if sweep.method == "random":
        return Random(sweep)
    return Bayes(sweep)


class Grid(Search):
    """Product of the values, parameters sorted by name, the last one fastest, as W&B does."""

    def __init__(self, space: Sequence[Parameter]) -> None:
        self._choices = [_distinct(parameter.grid or ()) for parameter in space]
        self.size = 1
        for choices in self._choices:
            self.size *= len(choices)

    def ask(self, number: int) -> Point | None:
        rest = number - 1
        point: list[float] = []
        for choices in reversed(self._choices):
            rest, index = divmod(rest, len(choices))
            point.append(choices[index])
        return None if rest else point[::-1]


class Random(Search):
    """Independent draws; a trial's draw depends on the sweep and the trial's number alone."""

    def __init__(self, sweep: Sweep) -> None:
        self._id = sweep.id
        self._distributions = _distributions(sweep.space)

    def ask(self, number: int) -> Point:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.RandomSampler(seed=_seed(self._id, number))
        trial = optuna.create_study(sampler=sampler).ask(self._distributions)
        return [trial.params[name] for name in self._distributions]


class Bayes(Search):
    """Gaussian process; trials that still run count as pending.

    The first trials are points of a Sobol sequence, which covers the space more evenly than chance.
    """

    def __init__(self, sweep: Sweep) -> None:
        import optuna

        assert sweep.metric is not None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._id, self._space = sweep.id, sweep.space
        self._distributions = _distributions(sweep.space)
        self._completed = 0
        self._numbers: dict[int, int] = {}  # optuna counts from 0, in the order of asking
        self._study = optuna.create_study(direction=sweep.metric.goal)
        self._sampling = False

    def ask(self, number: int) -> Point:
        import optuna

        if self._completed < DESIGN:
            point = self._evenly(number)
            self.restore(number, point)
            return point
        if not self._sampling:
            # Seeded by the trial's number: a resumed search would else repeat its random choices.
            self._study.sampler = optuna.samplers.GPSampler(
                seed=_seed(self._id, number), n_startup_trials=DESIGN
            )
            self._sampling = True
        trial = self._study.ask(self._distributions)
        self._numbers[number] = trial.number
        return [trial.params[name] for name in self._distributions]

    def tell(self, number: int, value: float | None) -> None:
        import optuna

        self._completed += value is not None
        failed = optuna.trial.TrialState.FAIL if value is None else None
        self._study.tell(self._numbers[number], value, state=failed)

    def restore(self, number: int, point: Point) -> None:
        import optuna

        self._numbers[number] = len(self._numbers)
        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=dict(zip(self._distributions, point, strict=True)),
                distributions=self._distributions,
            )
        )

    def _evenly(self, number: int) -> Point:
        from scipy.stats import qmc  # type: ignore[import-untyped]

        sequence = qmc.Sobol(len(self._space), rng=_seed(self._id, 0))
        if number > 1:
            sequence.fast_forward(number - 1)
        (shares,) = sequence.random(1).tolist()
        return [_coordinate(*pair) for pair in zip(self._space, shares, strict=True)]


def _coordinate(parameter: Parameter, share: float) -> float:
    """What lies at this share, from 0 to below 1, of the parameter's points."""
    if parameter.values is None:
        return EDGE + share * (1 - 2 * EDGE)
    return int(share * len(parameter.values))


def _value(parameter: Parameter, coordinate: float) -> Any:
    if parameter.quantile and not (parameter.steps and isinstance(coordinate, int)):
        return parameter.quantile(coordinate)
    assert parameter.grid is not None
    return parameter.grid[int(coordinate)]


def _distinct(values: Sequence[Any]) -> Sequence[int]:
    """Indices of the values that differ once sent: 1 and 1.0 are one point of a grid."""
    if not isinstance(values, list):
        return range(len(values))
    texts = [json.dumps(as_sent(value), sort_keys=True) for value in values]
    sent = {text: index for index, text in reversed(list(enumerate(texts)))}
    return sorted(sent.values())


def _distributions(
    space: Sequence[Parameter],
) -> "dict[str, optuna.distributions.BaseDistribution]":
    return {str(i): _distribution(parameter) for i, parameter in enumerate(space)}


def _distribution(parameter: Parameter) -> "optuna.distributions.BaseDistribution":
    from optuna import distributions

    if parameter.values is None:
        return distributions.FloatDistribution(EDGE, 1 - EDGE)
    if isinstance(parameter.values, range):
        return distributions.IntDistribution(0, len(parameter.values) - 1)
    return distributions.CategoricalDistribution(list(range(len(parameter.values))))


def _seed(sweep_id: str, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{sweep_id}/{number}".encode()).digest()[:4])
