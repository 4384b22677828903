"""Early termination as W&B does it: Hyperband's bands, one value per logged metric."""

import math
from bisect import insort
from dataclasses import dataclass, field

from hypertrain.sweepfile.sweep import Bands


@dataclass
class _Progress:
    """How far a running trial is; `best` and `at_bands` are signed."""

    iterations: int = 0
    best: float = math.inf
    at_bands: list[float] = field(default_factory=list)


class Hyperband:
    """Compares trials at each band, by the values as the program logged them.

    A value costs the same however many came before. The rule is that of the package `sweeps` 0.3.0,
    `hyperband_stopping.py`.
    """

    def __init__(self, bands: Bands) -> None:
        self._bands = bands
        # Signed, so that less is better whatever the metric's goal.
        self._at_band: list[list[float]] = [[] for _ in bands.iterations]
        self._running: dict[int, _Progress] = {}

    def add(self, trial: int, value: float) -> None:
        """Take in the newest value of a running trial."""
        progress = self._running.setdefault(trial, _Progress())
        progress.iterations += 1
        progress.best = min(progress.best, self._bands.sign * value)
        passed = len(progress.at_bands)
        if self._bands.iterations[passed : passed + 1] == (progress.iterations,):
            progress.at_bands.append(self._bands.sign * value)
            insort(self._at_band[passed], self._bands.sign * value)

    def stops(self, trial: int) -> bool:
        """Whether a running trial is to be stopped now."""
        progress = self._running.get(trial)
        if progress is None or not progress.at_bands:
            return False
        values = self._at_band[len(progress.at_bands) - 1]
        threshold = values[int(len(values) * (1 / self._bands.eta))]
        return (progress.at_bands[-1] if self._bands.strict else progress.best) > threshold

    def forget(self, trial: int) -> None:
        """A trial that was cut off begins again: what it logged does not count, or comes again."""
        progress = self._running.pop(trial, _Progress())
        for at_band, value in zip(self._at_band, progress.at_bands, strict=False):
            at_band.remove(value)

    def end(self, trial: int) -> list[float]:
        """The values at the bands of a trial that ended, for `restore`; the rest is forgotten."""
        progress = self._running.pop(trial, _Progress())
        return [self._bands.sign * value for value in progress.at_bands]

    def restore(self, values: list[float]) -> None:
        """Take in what `end` gave for a trial of an earlier session."""
        for at_band, value in zip(self._at_band, values, strict=False):
            insort(at_band, self._bands.sign * value)
