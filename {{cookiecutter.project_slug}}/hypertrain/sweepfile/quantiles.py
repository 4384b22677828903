"""The continuous distributions as inverse CDFs: from a quantile in (0, 1) to a value.

Meaning and bounds are those of W&B's own engine, the package `sweeps` 0.3.0 (`params.py`).
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

Inverse = Callable[[float], float]
EDGE = 1e-6
"""Quantiles are drawn from [EDGE, 1 - EDGE]: some distributions are infinite at 0 and 1."""


def is_finite(inverse: Inverse) -> bool:
    """Whether no quantile leads to a value too large to compute."""
    try:
        return all(math.isfinite(inverse(u)) for u in (EDGE, 1 - EDGE))
    except (OverflowError, ValueError):
        return False


def uniform(low: float, high: float) -> Inverse:
    return lambda u: low + (high - low) * u


def log_uniform(low: float, high: float) -> Inverse:
    return lambda u: math.exp(low + (high - low) * u)


def log_uniform_values(low: float, high: float) -> Inverse:
    inverse = log_uniform(math.log(low), math.log(high))
    return lambda u: min(max(inverse(u), low), high)


def inv_log_uniform(low: float, high: float) -> Inverse:
    return lambda u: math.exp(-(low + (high - low) * (1 - u)))


def inv_log_uniform_values(low: float, high: float) -> Inverse:
    inverse = inv_log_uniform(-math.log(high), -math.log(low))
    return lambda u: min(max(inverse(u), low), high)


def normal(mu: float, sigma: float) -> Inverse:
    return NormalDist(mu, sigma).inv_cdf


def log_normal(mu: float, sigma: float) -> Inverse:
    inverse = NormalDist(mu, sigma).inv_cdf
    return lambda u: math.exp(inverse(u))


def beta(a: float, b: float) -> Inverse:
    from scipy.special import betaincinv  # type: ignore[import-untyped]  # slow, seldom needed

    return lambda u: float(betaincinv(a, b, u))


class Steps(Sequence[Any]):
    """From `low` in steps of `q` to below `high`, as `numpy.arange` computes them."""

    def __init__(self, low: float, high: float, q: float) -> None:
        self._low, self._step, self._count = low, low + q - low, math.ceil((high - low) / q)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return self._low + range(self._count)[index] * self._step
