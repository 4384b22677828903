"""Early termination stops the trials that W&B's own engine stops."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypertrain import UserError
from hypertrain.search.hyperband import Hyperband
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_files import sweep
from sweeps.hyperband_stopping import hyperband_stop_runs
from sweeps.run import RunState, SweepRun

# Few different values, so that ties happen.
HISTORIES = st.lists(st.lists(st.integers(-6, 6).map(lambda i: i / 4), max_size=30), max_size=12)
ETAS = st.sampled_from([2, 3, 4, 1.5, 2.7, 10.0])
BANDS = st.one_of(
    st.fixed_dictionaries({"max_iter": st.integers(1, 90), "s": st.integers(1, 5)}),
    st.fixed_dictionaries({"min_iter": st.integers(1, 6)}),
)
OPTIONS = st.fixed_dictionaries({}, optional={"eta": ETAS, "strict": st.booleans()})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


def told(hyperband: Hyperband, trial: int, history: list[float]) -> None:
    """Report a trial's values one after the other, as they are logged."""
    for value in history:
        hyperband.add(trial, value)


@settings(max_examples=100, deadline=None)
@given(
    ended=HISTORIES,
    running=HISTORIES,
    bands=BANDS,
    options=OPTIONS,
    goal=st.sampled_from(["minimize", "maximize"]),
)
def test_stops_what_wandb_stops(
    root: Path,
    ended: list[list[float]],
    running: list[list[float]],
    bands: dict[str, Any],
    options: dict[str, Any],
    goal: str,
) -> None:
    early = {"type": "hyperband", **bands, **options}
    keys: dict[str, Any] = {"metric": {"name": "m", "goal": goal}, "early_terminate": early}
    runs = [
        SweepRun(name=f"{state} {i}", state=state, history=[{"m": value} for value in history])
        for state, histories in ((RunState.finished, ended), (RunState.running, running))
        for i, history in enumerate(histories)
    ]
    try:
        stopped = {run.name for run in hyperband_stop_runs(runs, {"method": "grid", **keys})}
    except ValueError:  # no band is left
        with pytest.raises(UserError, match="no band is left"):
            sweep(root, **keys)
        return
    read = sweep(root, **keys).bands
    assert read
    hyperband = Hyperband(read)
    for i, history in enumerate(ended):
        if i % 2:  # in an earlier session, of which the journal keeps the values at the bands
            earlier = Hyperband(read)
            told(earlier, 1, history)
            hyperband.restore(earlier.end(1))
        else:
            told(hyperband, -1, history)
            hyperband.end(-1)
    for i, history in enumerate(running):
        told(hyperband, i, history)
    ours = {f"{RunState.running} {i}" for i in range(len(running)) if hyperband.stops(i)}
    assert ours == stopped


def test_many_values_cost_little(root: Path) -> None:
    """What is not kept cannot be gone over: of 200,000 values those at the bands stay."""
    early = {"type": "hyperband", "min_iter": 1, "eta": 2}
    read = sweep(root, metric={"name": "m"}, early_terminate=early).bands
    assert read
    hyperband, draw = Hyperband(read), random.Random(0)
    tracemalloc.start()
    try:
        for _ in range(200_000):
            hyperband.add(1, draw.random())
            hyperband.stops(1)
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()
    assert len(hyperband.end(1)) == 18  # 1, 2, 4, ... 131072
    assert hyperband.end(1) == []


@pytest.mark.parametrize(
    ("bands", "iterations"),
    [
        ({"max_iter": 27, "s": 2}, (3, 9)),
        ({"max_iter": 27, "s": 9}, (1, 3, 9)),
        ({"max_iter": 50, "s": 3, "eta": 2}, (6, 12, 25)),
        ({"min_iter": 3}, (3, 9, 27)),
        ({"min_iter": 1, "eta": 1.5}, (1, 2, 3)),
    ],
)
def test_bands(root: Path, bands: dict[str, Any], iterations: tuple[int, ...]) -> None:
    early = {"type": "hyperband", **bands}
    read = sweep(root, metric={"name": "m"}, early_terminate=early).bands
    assert read
    assert read.iterations[: len(iterations)] == iterations
    assert (read.strict, read.sign) == (True, 1)
