"""Numbers in a sweep file: which are some, and which were meant by a text."""

import math
import sys
from typing import Any

from hypertrain.sweepfile.hints import shown, typed
from hypertrain.sweepfile.notes import Key, Notes

LARGEST = 10**9
"""More trials or iterations than anybody waits for."""


def is_number(value: Any) -> bool:
    """Whether the value is a number, and finite as a float: YAML's integers have no bounds."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def whole(key: Key, value: Any, notes: Notes, largest: int = LARGEST) -> int | None:
    """The whole number at `key`, 27 for 27.0; None if there is none."""
    if value is None:
        return None
    if is_number(value) and 1 <= value <= largest and value == int(value):
        return int(value)
    meant = _read(value)
    fits = meant is not None and 1 <= meant <= largest and meant == int(meant)
    remedy = f"; write {int(meant)}" if meant and fits else ""
    text = f"must be a whole number from 1 to {largest}, not {shown(value)}{remedy}"
    notes.problem(key, text)
    return None


def no_number(value: Any) -> str:
    """What stands where a number should, and which number it is meant to be."""
    meant = _read(value)
    return shown(value) if meant is None else f"{shown(value)}; write {typed(meant)}"


def _read(value: Any) -> float | None:
    """The number that a text spells."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
