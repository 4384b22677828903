"""How sure the first place is: which trials are equal, which differ by no more than chance."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypertrain.results.outcome import WHOLE, Row
from hypertrain.sweepfile.sweep import Metric


@dataclass(frozen=True)
class Noise:
    """sd: of one trial's value when only its seed changes; freedom: degrees of it.

    runs: from which it is known.
    """

    sd: float
    freedom: int
    runs: int

    def between(self) -> float:
        """Two trials that are the same differ by more than this in one case of twenty."""
        from scipy.special import stdtrit  # type: ignore[import-untyped]  # slow, seldom needed

        return float(stdtrit(self.freedom, 0.975)) * math.sqrt(2) * self.sd


@dataclass(frozen=True)
class Standing:
    """equal: the first place, all of it. within: further trials that are within the noise of it."""

    equal: Sequence[Row]
    within: Sequence[Row]
    noise: Noise | None


def standing(
    rows: Sequence[Row],
    metric: Metric | None,
    seeds: Iterable[str],
    repeats: Iterable[Sequence[float]] = (),
) -> Standing | None:
    """Who is first; None where no trial has a value.

    seeds: names of parameters that only change the seed. repeats: values of further trials, those
    of one group being equal but for their seed.
    """
    scored = [row for row in rows if row.value is not None and math.isfinite(row.value)]
    if not scored or metric is None:
        return None
    first = metric.best([row.value for row in scored if row.value is not None])
    equal = [row for row in scored if row.value == first]
    noise = noise_of([*_groups(scored, set(seeds)), *repeats])
    if noise is None:
        return Standing(equal, [], None)
    reach = noise.between()
    near = [r for r in scored if r.value != first and abs((r.value or 0.0) - first) <= reach]
    return Standing(equal, near, noise)


def noise_of(groups: Iterable[Sequence[float]]) -> Noise | None:
    """Pooled over the groups; None where no group has two values, or they are too large for it."""
    squares, freedom, runs = 0.0, 0, 0
    for group in groups:
        if len(group) > 1:
            mean = sum(group) / len(group)
            squares += sum((value - mean) * (value - mean) for value in group)
            freedom += len(group) - 1
            runs += len(group)
    known = freedom and math.isfinite(squares)
    return Noise(math.sqrt(squares / freedom), freedom, runs) if known else None


def _groups(rows: Sequence[Row], seeds: set[str]) -> list[list[float]]:
    """Values of the trials, run to their end, that differ in nothing but a seed."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        rest = {name: value for name, value in row.flat.items() if name not in seeds}
        if row.state in WHOLE:
            same = repr((row.code, sorted(rest.items())))
            groups.setdefault(same, []).append(row.value or 0.0)
    return list(groups.values())
