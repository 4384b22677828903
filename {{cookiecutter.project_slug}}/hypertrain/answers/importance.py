"""Which parameters decide whether a trial is among the best.

PED-ANOVA (Watanabe, Bansal, Hutter: arXiv 2304.10255): how far the best trials' distribution of a
parameter departs from that of all trials, as Pearson's divergence. Numbers are taken by rank, so
that a search that had favourites, or a logarithmic scale, does not count as importance. What
chance alone would show is found by drawing «best» trials at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypertrain.results.journal import FAILED
from hypertrain.results.outcome import Row
from hypertrain.sweepfile.sweep import Metric

ENOUGH = 20
"""With fewer trials than this, chance looks like importance."""
MOST = 1000
"""Of more trials, so many are drawn: they tell as much in less time."""
CHOICES = 6
"""A parameter with more values than this, all of them numbers, is a scale."""
BINS, DRAWS, CHANCES = 16, 200, 1000
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """Of one parameter, as a share of the sum over all parameters.

    low, high: 95 % bootstrap interval. chance: what a parameter without effect stays below in 95 %
    of such sweeps.
    """

    name: str
    share: float
    low: float
    high: float
    chance: float

    @property
    def visible(self) -> bool:
        return self.share > self.chance

    @property
    def is_dummy(self) -> bool:
        return self.name == DUMMY


def importances(rows: Sequence[Row], metric: Metric | None) -> tuple[list[Importance], str]:
    """The parameters, most important first, a random dummy last; or why nothing can be said.

    Failed trials count as worse than all others.
    """
    ended = [row for row in rows if row.value is not None or row.state == FAILED]
    scored = sum(row.value is not None for row in ended)
    if metric is None or scored < ENOUGH:
        few = f"{scored} of at least {ENOUGH} trials: too few to tell which parameters matter"
        return [], few if metric else "without a metric no parameter is better than another"
    random = np.random.default_rng(0)
    if len(ended) > MOST:
        ended = [ended[i] for i in sorted(random.choice(len(ended), MOST, replace=False))]
    loss = np.array([np.inf if r.value is None else metric.sign * r.value for r in ended])
    best = _best(loss, random)
    if best is None:
        return [], f"{metric.name} is the same in so many trials that no parameter stands out"
    params = [row.flat for row in ended]
    names = [n for n in dict.fromkeys(k for p in params for k in p) if _varies(params, n)]
    if not names:
        return [], "no parameter varied"
    columns = [_positions([p.get(name) for p in params]) for name in names]
    dummy = _positions(random.random(len(ended)).tolist())
    chosen = np.stack([random.permutation(best) for _ in range(CHANCES)])
    picks = random.integers(len(ended), size=(DRAWS, len(ended)))
    resampled = np.stack([np.bincount(pick, minlength=len(ended)) * best for pick in picks])
    whole = [float(_divergence(column, best[None])[0]) for column in columns]
    total = sum(whole) or 1.0
    quantile = 1 - 0.05 / len(names)
    found = []
    for name, column, point in zip(names, columns, whole, strict=True):
        low, high = np.quantile(_divergence(column, resampled), [0.025, 0.975]) / total
        chance = np.quantile(_divergence(column, chosen), quantile) / total
        found.append(Importance(name, point / total, float(low), float(high), float(chance)))
    by_chance = np.quantile(_divergence(dummy, chosen), [0.025, 0.5, 0.975]) / total
    low, middle, high = map(float, by_chance)
    found.sort(key=lambda one: -one.share)
    return [*found, Importance(DUMMY, middle, low, high, high)], ""


DUMMY = "(a random dummy)"


def _best(loss: Matrix, random: np.random.Generator) -> Matrix | None:
    """1 for the best trials, 0 for the others; None when they cannot be told apart."""
    count = max(-(-len(loss) // 10), min(-(-len(loss) // 4), ENOUGH))
    cutoff = np.sort(loss)[count - 1]
    best = loss <= cutoff
    if best.sum() > len(loss) / 2:
        best = loss < cutoff
    return best.astype(float) if best.any() else None


def _varies(params: Sequence[dict[str, Any]], name: str) -> bool:
    return len({repr(found.get(name)) for found in params}) > 1


@dataclass(frozen=True)
class _Column:
    """Where each trial stands in one parameter; scale: neighbouring positions are alike."""

    positions: NDArray[np.intp]
    size: int
    scale: bool


def _positions(values: Sequence[Any]) -> _Column:
    kinds = {repr(value): value for value in values}
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in kinds.values())
    if not numbers or len(kinds) <= CHOICES:
        places = {kind: place for place, kind in enumerate(kinds)}
        return _Column(np.array([places[repr(value)] for value in values]), len(kinds), False)
    array = np.asarray(values, float)
    ordered = np.sort(array)
    ranks = (np.searchsorted(ordered, array) + np.searchsorted(ordered, array, "right")) / 2
    bins = np.minimum(ranks * BINS / len(array), BINS - 1).astype(np.intp)
    return _Column(bins, BINS, True)


def _divergence(column: _Column, best: Matrix) -> Matrix:
    """Pearson's divergence of the best trials from all trials, for each row of weights.

    best: weights of the trials, draws by trials.
    """
    member = np.zeros((len(column.positions), column.size))
    member[np.arange(len(column.positions)), column.positions] = 1.0
    member = member[:, member.any(axis=0)]
    every = member.sum(axis=0) / len(member)
    top = best @ member
    size = top.sum(axis=1, keepdims=True)
    if column.scale:
        top = _smooth(top)
    top = (top + every) / (size + 1)  # one trial more, that knows nothing
    divergence: Matrix = (every * (top / every - 1) ** 2).sum(axis=1)
    return divergence


def _smooth(counts: Matrix) -> Matrix:
    """Each trial spread over its neighbourhood, as wide as Scott's rule says."""
    places = np.arange(counts.shape[1])
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mean = (counts * places).sum(axis=1, keepdims=True) / total
    spread = np.sqrt((counts * (places - mean) ** 2).sum(axis=1, keepdims=True) / total)
    width = np.maximum(1.06 * spread * total**-0.2, 0.3)[..., None]
    kernel = np.exp(-0.5 * ((places[:, None] - places[None, :]) / width) ** 2)
    kernel /= kernel.sum(axis=2, keepdims=True)
    smooth: Matrix = np.einsum("dp,dpq->dq", counts, kernel)
    return smooth
