"""Early termination: at which iterations trials are compared."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import mul, truediv
from typing import Any

from hypertrain.sweepfile.hints import joined, shown, typed
from hypertrain.sweepfile.keys import HYPERBAND, corrected_section
from hypertrain.sweepfile.notes import Notes
from hypertrain.sweepfile.numbers import LARGEST, is_number, no_number, whole

SECTION = "early_terminate"


@dataclass(frozen=True)
class Bands:
    """Hyperband: iterations at which a trial is compared, and how.

    eta: 1/eta of the trials pass each band.
    strict: compare the value at the band itself, not the best one so far.
    sign: of the metric.
    """

    iterations: tuple[int, ...]
    eta: float
    strict: bool
    sign: int


def read(value: Any, sign: int, notes: Notes) -> Bands | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        meant = joined(value) or {"type": "hyperband", "min_iter": 3}
        notes.problem((SECTION,), f"must be a mapping; write `{SECTION}: {typed(meant)}`")
        return None
    value = {
        k: v
        for k, v in corrected_section(value, HYPERBAND, SECTION, notes).items()
        if v is not None
    }
    if value.get("type") != "hyperband":
        text = f"must be hyperband, not {shown(value.get('type'))}; write `type: hyperband`"
        notes.problem((SECTION, "type"), text)
    eta, strict = value.get("eta", 3), value.get("strict", True)
    if not is_number(eta) or eta <= 1:
        text = f"must be a number greater than 1, not {no_number(eta)}"
        notes.problem((SECTION, "eta"), text)
        eta = 3
    if not isinstance(strict, bool):
        notes.problem((SECTION, "strict"), f"must be true or false, not {shown(strict)}")
    found = _iterations(value, eta, notes)
    if found is None:
        return None
    iterations = tuple(sorted({int(band) for band in found if 1 <= band <= LARGEST}))
    if not iterations:
        notes.problem((SECTION,), "no band is left; raise max_iter or lower eta")
    return Bands(iterations, eta, bool(strict), sign)


def _iterations(value: Mapping[str, Any], eta: float, notes: Notes) -> Iterable[float] | None:
    """The bands as W&B computes them: below max_iter, or else above min_iter."""
    if "max_iter" in value:
        max_iter = whole((SECTION, "max_iter"), value["max_iter"], notes)
        if "s" not in value:
            _say_s_is_missing(value, max_iter, eta, notes)
            return None
        s = whole((SECTION, "s"), value["s"], notes, largest=100)
        if max_iter is None or s is None:
            return None
        return accumulate(repeat(eta, s - 1), truediv, initial=max_iter / eta)
    if "min_iter" in value:
        min_iter = whole((SECTION, "min_iter"), value["min_iter"], notes)
        return None if min_iter is None else accumulate(repeat(eta, 99), mul, initial=min_iter)
    text = "give either max_iter and s, or min_iter, as `min_iter: 3`"
    notes.problem((SECTION,), text)
    return None


def _say_s_is_missing(
    value: Mapping[str, Any], max_iter: int | None, eta: float, notes: Notes
) -> None:
    if "min_iter" in value:
        remedy = "remove max_iter, or remove min_iter and add s"
    elif max_iter is not None and max_iter >= eta:
        remedy = f"add `s: {int(math.log(max_iter, eta) + 1e-9)}`"
    else:
        remedy = "write `min_iter: 1` instead"
    notes.problem((SECTION,), f"max_iter needs s, the number of bands; {remedy}")
