"""Candidates trained on the same seeds, compared: differences, intervals, an exact test.

Whoever looks for the best of several on a handful of seeds finds one. So «better» is said only
where a sign-flip test, which assumes nothing of the distribution, leaves chance at most 5 % over
all that is compared (Holm). With few seeds no difference, however large, can reach that.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
EXACT = 16
"""Of more seeds, not all flips of signs are counted but so many drawn:"""
DRAWS = 1 << EXACT
Values = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Of one candidate over the seeds; better is greater."""

    mean: float
    sd: float
    count: int


@dataclass(frozen=True)
class Comparison:
    """The chosen candidate against another, seed by seed; positive differences favour it.

    p: two-sided, of this comparison alone. better: so that all such claims together are wrong in
    at most 5 % of cases.
    """

    other: str
    wins: int
    count: int
    difference: float
    low: float
    high: float
    p: float
    better: bool


@dataclass(frozen=True)
class Verdict:
    chosen: str
    spreads: Mapping[str, Spread]
    comparisons: Sequence[Comparison]


def verdict(values: Mapping[str, Sequence[float]], baseline: str | None, sign: int) -> Verdict:
    """Which candidate is chosen, and what can be said of it against the others.

    values: of each candidate, seed by seed in one order; two seeds at least. baseline: the one that
    is compared with, and is chosen itself only if it is the only one. sign: of the metric, +1 when
    less is better.
    """
    found = {name: -sign * np.asarray(each, float) for name, each in values.items()}
    spreads = {
        name: Spread(float(np.mean(each)), float(np.std(each, ddof=1)), len(each))
        for name, each in found.items()
    }
    candidates = [name for name in found if name != baseline] or list(found)
    chosen = max(candidates, key=lambda name: spreads[name].mean)
    against = {name: found[chosen] - found[name] for name in found if name != chosen}
    better: set[str] = set()
    if baseline in against:
        family = [one_sided(found[name] - found[baseline]) for name in candidates]
        mine = family[candidates.index(chosen)]
        if holm(family, mine) <= LEVEL and two_sided(against[baseline]) <= LEVEL:
            better.add(baseline)
    if baseline not in against or better:
        # Only then the candidates among themselves, of which each pair might have been the one.
        pairs = len(candidates) * (len(candidates) - 1) // 2
        rivals = [name for name in against if name != baseline]
        ranked = sorted(rivals, key=lambda name: two_sided(against[name]))
        for place, name in enumerate(ranked):
            if (pairs - place) * two_sided(against[name]) > LEVEL or spreads[name].mean >= (
                spreads[chosen].mean
            ):
                break
            better.add(name)
    return Verdict(
        chosen,
        {name: Spread(-sign * one.mean, one.sd, one.count) for name, one in spreads.items()},
        [_compare(name, differences, name in better) for name, differences in against.items()],
    )


def two_sided(differences: Values) -> float:
    """How often flipped signs give a mean as far from 0, or farther."""
    sums, seen = _flipped(differences)
    return float(np.mean(np.abs(sums) >= abs(seen) - 1e-12 * abs(seen)))


def one_sided(differences: Values) -> float:
    """How often flipped signs give a mean as great, or greater."""
    sums, seen = _flipped(differences)
    return float(np.mean(sums >= seen - 1e-12 * abs(seen)))


def holm(family: Sequence[float], mine: float) -> float:
    """The p value of one test of several, adjusted (Holm 1979)."""
    ordered = sorted(family)
    place = ordered.index(mine)
    return min(1.0, max((len(ordered) - i) * ordered[i] for i in range(place + 1)))


def seeds_needed(p: float = LEVEL) -> int:
    """The least number of seeds with which a two-sided test can reach `p`."""
    return math.ceil(math.log2(2 / p))


def least(count: int) -> float:
    """The least two-sided p value that so many seeds can reach."""
    return 2.0 ** (1 - count)


def _flipped(differences: Values) -> tuple[NDArray[np.float64], float]:
    each = np.asarray(differences, float)
    if len(each) <= EXACT:
        flips = np.arange(1 << len(each))[:, None] >> np.arange(len(each)) & 1
    else:
        flips = np.random.default_rng(0).integers(2, size=(DRAWS, len(each)))
        flips[0] = 0  # what was seen is one of them
    sums = (1 - 2 * flips) @ each
    return sums, float(each.sum())


def _compare(other: str, differences: Values, better: bool) -> Comparison:
    from scipy.special import stdtrit  # type: ignore[import-untyped]  # slow, seldom needed

    each = np.asarray(differences, float)
    mean, count = float(each.mean()), len(each)
    half = float(stdtrit(count - 1, 1 - LEVEL / 2) * each.std(ddof=1) / math.sqrt(count))
    return Comparison(
        other, int((each > 0).sum()), count, mean, mean - half, mean + half, two_sided(each), better
    )
