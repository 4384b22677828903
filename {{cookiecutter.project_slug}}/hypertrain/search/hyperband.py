"""Early termination as W&B does it: Hyperband's bands, one value per logged metric."""

import math
from bisect import insort

from hypertrain.sweepfile.sweep import Bands


class Hyperband:
    """Compares trials at each band, by the values as the program logged them.

    The rule is that of the package `sweeps` 0.3.0, `hyperband_stopping.py`.
    """

    def __init__(self, bands: Bands) -> None:
        self._bands = bands
        # Signed, so that less is better whatever the metric's goal.
        self._at_band: dict[int, list[float]] = {band: [] for band in bands.iterations}

    def add(self, history: list[float]) -> None:
        """Take in the newest value of a trial, the last of its `history`."""
        if len(history) in self._at_band:
            insort(self._at_band[len(history)], self._bands.sign * history[-1])

    def values_at_bands(self, history: list[float]) -> list[float]:
        return [history[band - 1] for band in self._at_band if band <= len(history)]

    def restore(self, values: list[float]) -> None:
        """Take in what `values_at_bands` gave for a trial of an earlier session."""
        for band, value in zip(self._at_band, values, strict=False):
            insort(self._at_band[band], self._bands.sign * value)

    def stops(self, history: list[float]) -> bool:
        """Whether a running trial with this history is to be stopped now."""
        passed = [band for band in self._at_band if band <= len(history)]
        if not passed:
            return False
        values = self._at_band[passed[-1]]
        threshold = values[int(len(values) * (1 / self._bands.eta))] if values else math.inf
        own = [history[passed[-1] - 1]] if self._bands.strict else history
        return min(self._bands.sign * value for value in own) > threshold
