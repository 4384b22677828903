"""How it is found that trials slow each other down."""

from __future__ import annotations

import pytest
from hypertrain.pace import ENOUGH, Pace


def watch(pace: Pace, begun: float, values: int, each: float, alone: bool) -> float:
    """Log values at one pace, looking every tenth of a second; return when that ends."""
    logged, end = 0, begun + values * each
    for look in range(int((end - begun) * 10) + 2):
        now = begun + look / 10
        new = min(values, int((now - begun) / each + 1e-9)) - logged
        logged += new
        pace.look(now, new, alone)
    return end + 0.2


@pytest.mark.parametrize("each", [0.03, 0.4])
@pytest.mark.parametrize("times", [1.0, 1.6])
def test_a_value_beside_others_is_compared_with_one_alone(each: float, times: float) -> None:
    pace = Pace()
    now = watch(pace, 0, 200, each * times, alone=False)
    assert pace.slowdown() is None
    watch(pace, now + 50, 200, each, alone=True)  # what lies between is nobody's
    assert pace.slowdown() == pytest.approx(times, rel=0.05)


def test_a_few_values_say_nothing() -> None:
    pace = Pace()
    now = watch(pace, 0, 50, 1, alone=False)
    watch(pace, now, ENOUGH, 0.3, alone=True)  # one fewer spans of time than values
    assert pace.slowdown() is None
