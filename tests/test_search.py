"""The search: W&B's distributions and grid, checked with its own engine; random and bayes."""

from __future__ import annotations

import itertools
import json
import math
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Semaphore
from typing import Any

import numpy as np
import optuna
import pytest
from hypertrain import UserError
from hypertrain.local.points import SearchPoints
from hypertrain.results.checkpoints import Checkpoints
from hypertrain.results.folder import today
from hypertrain.results.journal import FAILED, Journal
from hypertrain.search import bayes
from hypertrain.search.ahead import Ahead
from hypertrain.search.axes import axes
from hypertrain.search.bayes import DESIGN, MOST, tamed
from hypertrain.search.search import Grid, Point, Search, new_search, params_at
from hypertrain.sweepfile.quantiles import EDGE, Steps
from hypertrain.sweepfile.space import Parameter, as_sent
from hypertrain.sweepfile.sweep import Sweep
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial
from rich.console import Console
from scipy.stats import chisquare, ks_2samp  # type: ignore[import-untyped]
from sweep_files import sweep
from sweeps.grid_search import grid_search_next_runs
from sweeps.params import HyperParameter

QUANTILES = [EDGE, *(i / 499 for i in range(1, 499)), 1 - EDGE]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


def one(config: dict[str, Any]) -> Parameter:
    with TemporaryDirectory() as root:
        (parameter,) = sweep(Path(root), method="random", parameters={"x": config}).space
    return parameter


# --- Distributions

CONTINUOUS: list[dict[str, Any]] = [
    {"min": 0.0, "max": 1.0},
    {"min": -3, "max": 2.5},
    {"min": -2.5, "max": 3},
    {"distribution": "uniform", "min": 0, "max": 10},
    {"distribution": "log_uniform", "min": -7, "max": 2.5},
    {"distribution": "log_uniform_values", "min": 1e-5, "max": 0.1},
    {"distribution": "log_uniform_values", "min": 1, "max": 1000},
    {"distribution": "inv_log_uniform", "min": -2, "max": 3},
    {"distribution": "inv_log_uniform_values", "min": 0.01, "max": 20},
    {"distribution": "normal"},
    {"distribution": "normal", "mu": -3, "sigma": 0.25},
    {"distribution": "log_normal"},
    {"distribution": "log_normal", "mu": 1.5, "sigma": 0.5},
    {"distribution": "beta"},
    {"distribution": "beta", "a": 0.5, "b": 3},
]
QUANTISED: list[dict[str, Any]] = [
    {"distribution": "q_uniform", "min": 0, "max": 10},
    {"distribution": "q_uniform", "min": 0.3, "max": 2.9, "q": 0.25},
    {"distribution": "q_uniform", "min": -7, "max": 8, "q": 3},
    {"distribution": "q_log_uniform", "min": 0, "max": 5},
    {"distribution": "q_log_uniform", "min": 0, "max": 5, "q": 2},
    {"distribution": "q_log_uniform_values", "min": 3, "max": 100, "q": 5},
    {"distribution": "q_log_uniform_values", "min": 0.5, "max": 30, "q": 0.5},
    {"distribution": "q_normal"},
    {"distribution": "q_normal", "mu": 10, "sigma": 4, "q": 3},
    {"distribution": "q_log_normal"},
    {"distribution": "q_log_normal", "mu": 2, "sigma": 0.3, "q": 0.1},
    {"distribution": "q_beta"},
    {"distribution": "q_beta", "a": 2, "b": 1, "q": 0.125},
]
DISCRETE: list[dict[str, Any]] = [
    {"value": [1, {"a": None}]},
    {"distribution": "constant", "value": False},
    {"values": ["a"]},
    {"values": [1, 1.0, "1", True, None, [1, 2], {"a": 1}]},
    {"min": -3, "max": 4},
    {"distribution": "int_uniform", "min": 0, "max": 1},
]


@pytest.mark.parametrize("config", CONTINUOUS + QUANTISED, ids=str)
def test_value_at_each_quantile(config: dict[str, Any]) -> None:
    quantile = one(config).quantile
    assert quantile
    ours = [quantile(u) for u in QUANTILES]
    theirs = HyperParameter("x", dict(config)).ppf(np.array(QUANTILES)).tolist()
    assert [type(value) for value in ours] == [type(value) for value in theirs]
    if "q" in config or str(config.get("distribution")).startswith("q_"):
        assert ours == theirs
    else:
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("config", DISCRETE, ids=str)
def test_discrete_values_are_equally_likely(config: dict[str, Any]) -> None:
    values = one(config).values
    assert values is not None
    official = HyperParameter("x", dict(config))
    theirs = [official.ppf((i + 0.5) / len(values)) for i in range(len(values))]
    assert repr(list(values)) == repr(theirs)


@pytest.mark.parametrize(
    "config",
    [
        {"values": ["a", "b", "c"], "probabilities": [0.25, 0.5, 0.25]},
        {"values": [[1], None], "probabilities": [0.9, 0.1]},
        {
            "distribution": "categorical_w_probabilities",
            "values": [1, 2, 3],
            "probabilities": [0, 1, 0],
        },
    ],
    ids=str,
)
def test_weighted_choice(config: dict[str, Any]) -> None:
    quantile = one(config).quantile
    assert quantile
    official = HyperParameter("x", dict(config))
    assert [quantile(u) for u in QUANTILES] == [official.ppf(u) for u in QUANTILES]


def test_weighted_choice_where_rounding_leaves_a_gap() -> None:
    """Tenths add up to a bit less than 1; above it W&B's engine falls back to the first value."""
    config = {"values": ["a", "b", "never"], "probabilities": [0.5, 0.499999, 0.0]}
    quantile = one(config).quantile
    assert quantile
    assert quantile(1 - EDGE / 2) == "b"


def test_values_never_leave_their_bounds() -> None:
    """W&B's engine gives exp(log(0.001)) = 0.0010000000000000002 here."""
    for name in ("log_uniform_values", "inv_log_uniform_values"):
        quantile = one({"distribution": name, "min": 1e-5, "max": 0.001}).quantile
        assert quantile
        assert quantile(0.0) >= 1e-5
        assert quantile(1.0) <= 0.001


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (3.0, 3),
        (-0.0, 0),
        (0.5, 0.5),
        (1e20, 10**20),
        (1e21, 1e21),
        (math.inf, math.inf),
        (True, True),
        (None, None),
        ("3.0", "3.0"),
        ([1.0, {"a": [2.0, "x"]}], [1, {"a": [2, "x"]}]),
    ],
)
def test_values_as_the_server_sends_them(value: Any, sent: Any) -> None:
    assert repr(as_sent(value)) == repr(sent)


# --- Grid

GRIDS: dict[str, dict[str, Any]] = {
    "guide": {
        "lr": {"values": [0.1, 0.01, 0.001]},
        "scheduler": {"values": ["const", "cosine"]},
        "optimizer": {"values": ["sgd", "adam"]},
    },
    "nested": {
        "b": {"parameters": {"z": {"values": [1, 2]}, "a": {"parameters": {"k": {"value": 0}}}}},
        "a": {"parameters": {"z": {"values": ["x", "y"]}, "c": {"values": [3, 4]}}},
        "B": {"values": [5, 6]},
    },
    "equal once sent": {
        "a": {"values": [2, 1, 1.0, True, "1", 2.0, None]},
        "b": {"values": [0, 1]},
    },
    "whole numbers": {"n": {"min": -1, "max": 2}, "m": {"values": [1, 2]}},
    "multiples": {
        "a": {"distribution": "q_uniform", "min": 0.1, "max": 1, "q": 0.2},
        "b": {"distribution": "q_uniform", "min": 0, "max": 4},
        "c": {"distribution": "q_uniform", "min": 0, "max": 10, "q": 4},
    },
    "lists and dicts": {
        "layers": {"values": [[8], [8, 8], []]},
        "kwargs": {"values": [{"b": 1, "a": 2}, {"a": 2, "b": 1}, {"a": {}}, {}]},
    },
    "constants": {"a": {"value": 1}, "b": {"parameters": {"c": {"value": [1]}}}},
    "constants between": {"b": {"value": "x"}, "a": {"values": [1, 2]}, "c": {"value": None}},
}


def points(search: Search) -> list[Point]:
    found: list[Point] = []
    while (point := search.ask(len(found) + 1)) is not None:
        found.append(point)
    return found


@pytest.mark.parametrize("name", GRIDS)
def test_grid_is_wandbs(name: str, root: Path) -> None:
    parameters = GRIDS[name]
    one = sweep(root, parameters=parameters)
    search = new_search(one)
    ours = [params_at(one.space, point) for point in points(search)]
    runs = grid_search_next_runs([], {"method": "grid", "parameters": parameters}, n=10_000)
    theirs = [{key: v["value"] for key, v in run.config.items()} for run in runs if run]
    assert [canonical(params) for params in ours] == [canonical(params) for params in theirs]
    assert len(ours) == search.size
    assert all(list(params) == sorted(params) for params in ours)


def canonical(params: dict[str, Any]) -> str:
    return json.dumps(as_sent(params), sort_keys=True)


def test_equal_values_in_lists_are_one_point_too(root: Path) -> None:
    """Here W&B's engine takes [1] and [1.0] for two, though both reach the program as [1]."""
    one = sweep(root, parameters={"x": {"values": [[1], [1.0], [2]]}})
    assert [params_at(one.space, point) for point in points(new_search(one))] == [
        {"x": [1]},
        {"x": [2]},
    ]


@settings(deadline=None)
@given(
    low=st.one_of(st.integers(-50, 50), st.floats(-50, 50)),
    width=st.one_of(st.integers(1, 50), st.floats(0.01, 50)),
    q=st.one_of(st.integers(1, 9), st.floats(0.1, 9)),
)
def test_steps_are_those_of_numpy(low: float, width: float, q: float) -> None:
    high = low + width
    assume(low < high and low + q > low)
    ours, theirs = Steps(low, high, q), np.arange(low, high, q).tolist()
    assert list(map(as_sent, ours)) == list(map(as_sent, theirs))
    assert len(ours) == len(theirs)


HUGE = {
    "whole numbers": {name: {"min": 1, "max": 10} for name in "abcdefghijkl"},
    "wide": {"a": {"min": 1, "max": 10**6}, "b": {"min": 1, "max": 10**6}},
    "multiples": {
        "a": {"distribution": "q_uniform", "min": 0, "max": 10**6},
        "b": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 1e-6},
    },
}


@pytest.mark.parametrize("name", HUGE)
def test_a_grid_is_never_written_out(name: str, root: Path) -> None:
    one = sweep(root, parameters=HUGE[name])  # imports are paid for
    tracemalloc.start()
    try:
        one = sweep(root, parameters=HUGE[name])
        search = Grid(one.space)
        assert search.size == 10**12
        asked = [search.ask(number) for number in (1, 2, 10**12, 10**12 + 1)]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert asked[0] == [0] * len(one.space)
    assert asked[1] == [*[0] * (len(one.space) - 1), 1]
    assert asked[2] == [len(parameter.grid or ()) - 1 for parameter in one.space]
    assert asked[3] is None
    last = list(params_at(one.space, asked[2] or []).values())
    assert last == pytest.approx([p.grid[len(p.grid) - 1] for p in one.space if p.grid])


# --- Random

CHOICES: list[dict[str, Any]] = [
    {"values": ["a", "b", "c"]},
    {"min": 1, "max": 6},
    {"values": ["a", "b", "c"], "probabilities": [0.2, 0.5, 0.3]},
]


@pytest.fixture(scope="module")
def draws(root: Path) -> dict[str, list[Any]]:
    """2,000 draws of each parameter, by its configuration."""
    configs = {f"p{i}": config for i, config in enumerate(CONTINUOUS + QUANTISED + CHOICES)}
    one = sweep(root, method="random", parameters=configs)
    search = new_search(one)
    trials = [params_at(one.space, search.ask(number) or []) for number in range(1, 2001)]
    return {str(config): [trial[name] for trial in trials] for name, config in configs.items()}


@pytest.mark.parametrize("config", CONTINUOUS + QUANTISED, ids=str)
def test_random_draws_follow_the_distribution(
    config: dict[str, Any], draws: dict[str, list[Any]]
) -> None:
    drawn = draws[str(config)]
    middles = (np.arange(len(drawn)) + 0.5) / len(drawn)
    theirs = HyperParameter("x", dict(config)).ppf(middles)
    assert ks_2samp(drawn, theirs).pvalue > 0.01


@pytest.mark.parametrize("config", CHOICES, ids=str)
def test_random_choices_follow_the_probabilities(
    config: dict[str, Any], draws: dict[str, list[Any]]
) -> None:
    values = config.get("values") or range(config["min"], config["max"] + 1)
    drawn = Counter(draws[str(config)])
    assert set(drawn) <= set(values)
    likely = config.get("probabilities") or [1 / len(values)] * len(values)
    expected = [probability * 2000 for probability in likely]
    assert chisquare([drawn[value] for value in values], expected).pvalue > 0.01


SPACE = {"x": {"min": -5.0, "max": 10.0}, "y": {"min": 0, "max": 15}, "c": {"values": ["a", "b"]}}


def test_a_random_draw_depends_on_sweep_and_number_alone(root: Path) -> None:
    one = sweep(root, method="random", parameters=SPACE)
    forth, back = new_search(one), new_search(one)
    there = [forth.ask(number) for number in range(1, 21)]
    back.restore(3, [0, 0.5, 0])
    again = [back.ask(number) for number in range(20, 0, -1)]
    assert there == again[::-1]
    assert len({str(point) for point in there}) == 20
    other = new_search(sweep(root, method="random", parameters=SPACE | {"k": {"value": 1}}))
    assert (other.ask(1) or [])[:2] != (there[0] or [])[:2]


# --- Bayes

Trials = list[tuple[Point, float]]


def loss(params: dict[str, Any]) -> float:
    """A bowl, on the bottom at x = 2, y = 7, c = b."""
    return float((params["x"] - 2) ** 2 + (params["y"] - 7) ** 2 + 5 * (params["c"] != "b"))


def searched(one: Sweep, trials: int, objective: Callable[[dict[str, Any]], float]) -> Trials:
    search, history = new_search(one), []
    for number in range(1, trials + 1):
        point = search.ask(number)
        assert point is not None
        value = objective(params_at(one.space, point))
        history.append((point, value))
        search.tell(number, value)
    return history


def bowl(root: Path, method: str, goal: str = "minimize") -> Sweep:
    return sweep(root, method=method, metric={"name": "v", "goal": goal}, parameters=SPACE)


@pytest.fixture(scope="module")
def history(root: Path) -> Trials:
    return searched(bowl(root, "bayes"), 25, loss)


def test_bayes_gets_closer_than_random(root: Path, history: Trials) -> None:
    by_chance = searched(bowl(root, "random"), 25, loss)
    assert min(value for _, value in history) < 0.1 * min(value for _, value in by_chance)


def test_the_first_points_of_bayes_cover_the_space_evenly(root: Path) -> None:
    line = {"x": {"min": 0.0, "max": 4.0}}
    search = new_search(sweep(root, method="bayes", metric={"name": "v"}, parameters=line))
    points = [search.ask(number) for number in range(1, 5)]
    assert sorted(int(4 * point[0]) for point in points if point) == [0, 1, 2, 3]


def test_bayes_climbs_when_the_goal_is_maximize(root: Path) -> None:
    history = searched(bowl(root, "bayes", "maximize"), 16, lambda params: -loss(params))
    values = [value for _, value in history]
    assert np.mean(values[10:]) > np.mean(values[:10])
    assert max(values) == max(values[10:]) > -2


def test_bayes_coordinates_are_in_range(root: Path, history: Trials) -> None:
    for point, _ in history:
        params = params_at(bowl(root, "bayes").space, point)
        assert -5 <= params["x"] <= 10
        assert type(params["y"]) is int
        assert 0 <= params["y"] <= 15
        assert params["c"] in ("a", "b")
        assert json.loads(json.dumps(point)) == point  # as the journal keeps it


def restored(root: Path, trials: Trials) -> Search:
    search = new_search(bowl(root, "bayes"))
    for number, (point, value) in enumerate(trials, start=1):
        search.restore(number, point)
        search.tell(number, value)
    return search


@pytest.mark.parametrize("done", [0, 4, 12])
def test_a_resumed_search_repeats_no_point_and_knows_the_trials_before(
    done: int, root: Path, history: Trials
) -> None:
    known, space = [point for point, _ in history[:done]], bowl(root, "bayes").space
    search, twin = restored(root, history[:done]), restored(root, history[:done])
    losses = []
    for number in range(done + 1, done + 5):
        point = search.ask(number)
        assert point is not None
        assert point == twin.ask(number)
        assert point not in known
        known.append(point)
        losses.append(loss(params_at(space, point)))
        search.tell(number, losses[-1])
        twin.tell(number, losses[-1])
    not_suggested = [value for _, value in history[:DESIGN]]
    assert done < 10 or np.mean(losses) < np.median(not_suggested)


def test_bayes_respects_trials_that_still_run(root: Path, history: Trials) -> None:
    alone, beside = restored(root, history[:12]), restored(root, history[:12])
    expected = alone.ask(13)
    assert expected is not None
    beside.restore(14, expected)  # its neighbour runs that very point
    assert beside.ask(13) != expected
    assert alone.ask(14) != expected


def test_chance_is_each_sweeps_and_each_trials_own(
    root: Path, history: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = bowl(root, "bayes"), bowl(root, "bayes", "maximize")
    assert one.id != other.id
    assert new_search(one).ask(1) != new_search(other).ask(1)

    seeds: list[int] = []

    class Noted(bayes._Sampler):
        def __init__(self, space: Any, tried: Any, seed: int) -> None:
            super().__init__(space, tried, seed)
            seeds.append(seed)

    monkeypatch.setattr(bayes, "_Sampler", Noted)
    search = restored(root, history[:12])
    search.ask(13)
    search.ask(14)
    assert len(set(seeds)) == 2


def test_bayes_goes_on_after_trials_that_failed(root: Path) -> None:
    search, asked = new_search(bowl(root, "bayes")), []
    for number in range(1, 15):
        asked.append(search.ask(number))
        search.tell(number, None)
    assert len({str(point) for point in asked}) > 10


def test_bayes_learns_from_failures(root: Path) -> None:
    """The left half of the space fails, always."""
    line = {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}}
    one = sweep(root, method="bayes", metric={"name": "v"}, parameters=line)
    search, failed = new_search(one), []
    for number in range(1, 25):
        x, y = search.ask(number) or []
        failed.append(x < 0.5)
        search.tell(number, None if failed[-1] else (x - 0.6) ** 2 + (y - 0.3) ** 2)
    assert sum(failed[-10:]) <= 4


def test_one_value_that_exploded_does_not_hide_the_others() -> None:
    told = [3.0, 1.0, 2.0, 1e30, math.inf]
    learned = tamed(told)
    assert learned[:3] == told[:3]
    assert 3 < learned[3] == learned[4] < 10


# --- Choices


@pytest.mark.parametrize(
    ("config", "order"),
    [
        ({"values": [0.01, 1, 0.001, 0.1]}, [0.001, 0.01, 0.1, 1]),
        ({"values": [2, 1.0, 1, 2.0]}, [1, 2]),
        ({"values": [64, 16, 32], "probabilities": [0.5, 0.3, 0.2]}, [16, 32, 64]),
        ({"min": 3, "max": 5}, [3, 4, 5]),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5}, [0, 0.5, 1]),
        ({"distribution": "q_log_uniform_values", "min": 1, "max": 8, "q": 2}, [2, 4, 6, 8]),
        ({"values": ["b", "a"]}, None),
        ({"values": [2, 1, None]}, None),
        ({"values": [True, False]}, None),
        ({"values": [0.1, "1e-4", "1e-3"]}, ["1e-4", "1e-3", 0.1]),
        ({"values": ["b", "2"], "probabilities": [0.5, 0.5]}, None),
    ],
    ids=str,
)
def test_numbers_among_the_choices_are_in_order(config: dict[str, Any], order: Any) -> None:
    parameter = one(config)
    (axis,) = axes([parameter])
    assert axis.choices is not None
    values = [params_at([parameter], [choice])["x"] for choice in axis.choices]
    assert axis.ordered is (order is not None)
    assert values == (order or config["values"])
    assert [axis.position(choice) for choice in axis.choices] == list(range(len(values)))


def test_bayes_sees_that_numbers_in_a_list_are_near_each_other(root: Path) -> None:
    """64 words would take it 32 trials on average."""
    rates = {"lr": {"values": [2.0**-i for i in range(64)][::-1]}}
    one = sweep(root, method="bayes", metric={"name": "v"}, parameters=rates)
    history = searched(one, 16, lambda params: abs(math.log2(params["lr"]) + 45))
    assert min(value for _, value in history) == 0


FINITE = {
    "numbers": {"a": {"values": [1, 10, 100]}, "b": {"min": 1, "max": 4}, "c": {"value": 0}},
    "words": {"a": {"values": ["x", "y", [1], None]}, "b": {"values": [True, False, True]}},
    "steps": {"a": {"distribution": "q_uniform", "min": 0, "max": 2}, "b": {"values": [1, 1.0]}},
    "likely or not": {
        "a": {"values": ["x", "y", "z"], "probabilities": [0.98, 0.02, 0.0]},
        "b": {"min": 0, "max": 3},
    },
    "nothing but constants": {"k": {"value": 3}},
}
SIZES = {"numbers": 12, "words": 8, "steps": 3, "likely or not": 8, "nothing but constants": 1}


@pytest.mark.parametrize("method", ["random", "bayes"])
@pytest.mark.parametrize("name", FINITE)
def test_no_point_of_a_finite_space_is_tried_twice(name: str, method: str, root: Path) -> None:
    one = sweep(root, method=method, metric={"name": "v"}, parameters=FINITE[name])
    search = new_search(one)
    asked: list[str] = []
    while (point := search.ask(len(asked) + 1)) is not None:
        asked.append(canonical(params_at(one.space, json.loads(json.dumps(point)))))
        search.tell(len(asked), len(asked[-1]) if len(asked) % 3 else None)
    assert len(set(asked)) == len(asked) == search.size == SIZES[name]
    resumed = new_search(one)
    for number in range(1, len(asked)):
        resumed.restore(number, search_point(one, asked[number - 1]))
    last = resumed.ask(len(asked))
    assert last is not None
    assert canonical(params_at(one.space, last)) == asked[-1]
    assert resumed.ask(len(asked) + 1) is None


def search_point(one: Sweep, params: str) -> Point:
    """The point with these parameters."""
    every = product(*(axis.choices or () for axis in axes(one.space)))
    return next(list(p) for p in every if canonical(params_at(one.space, list(p))) == params)


def test_whole_numbers_far_apart_cost_nothing(root: Path) -> None:
    wide = {"n": {"min": 1, "max": 10**12}, "k": {"values": ["a", "b"]}}
    one = sweep(root, method="bayes", metric={"name": "v"}, parameters=wide)
    tracemalloc.start()
    history = searched(one, 20, lambda params: abs(params["n"] / 10**12 - 0.3))
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 200_000_000
    assert min(value for _, value in history) < 0.01
    assert all(type(params_at(one.space, point)["n"]) is int for point, _ in history)


# --- How long a suggestion takes


@pytest.mark.parametrize("parameters", [SPACE, {n: {"values": [1, 2, 4, 8, 16]} for n in "abcdef"}])
def test_bayes_learns_from_so_many_trials_and_no_more(
    parameters: dict[str, Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt_from: list[int] = []

    def counted(study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
        learnt_from.append(len(trials))
        add(study, trials)

    add = optuna.Study.add_trials
    monkeypatch.setattr(optuna.Study, "add_trials", counted)
    one = sweep(root, method="bayes", metric={"name": "v"}, parameters=parameters)
    search, by_chance = new_search(one), new_search(replace(one, method="random"))
    for number in range(1, 1001):
        search.restore(number, by_chance.ask(number) or [])
        search.tell(number, number % 17)
    assert search.ask(1001)
    assert learnt_from == [MOST]


def test_a_missing_package_is_named_before_the_first_trial(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hypertrain.search.search.find_spec", lambda name: None if name == "torch" else name
    )
    with pytest.raises(UserError, match=r"needs the package torch.*pip install -r requirements"):
        new_search(bowl(root, "bayes"))


class Slow(Search):
    """Waits until it may suggest; a suggestion says how much was known when it was begun."""

    def __init__(self) -> None:
        self.told = self.given = 0
        self.may = Semaphore(0)
        self.made: SimpleQueue[int] = SimpleQueue()

    def suggest(self, number: int) -> Point:
        known: Point = [number, self.told, self.given]
        assert self.may.acquire(timeout=60)
        self.made.put(number)
        return known

    def tell(self, number: int, value: float | None) -> None:
        self.told += 1

    def restore(self, number: int, point: Point) -> None:
        self.given += 1


def test_the_next_suggestion_is_made_while_trials_run() -> None:
    slow = Slow()
    search = Ahead(slow)
    slow.may.release(2)
    assert search.ask(1) == [1, 0, 0]
    assert [slow.made.get(timeout=60) for _ in range(2)] == [1, 2]  # though nobody asked for it
    assert search.ask(2) == [2, 0, 1]  # the first was pending
    slow.may.release()
    assert slow.made.get(timeout=60) == 3
    search.tell(1, 0.5)
    assert search.ask(3) == [3, 0, 2]  # nobody waits for one that knows the news
    slow.may.release(2)  # that one, and the next
    assert search.ask(4) == [4, 1, 3]
    slow.may.release(9)
    search.close()


def test_after_long_trials_a_worker_waits_for_what_knows_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow()
    slow.may.release(99)
    search = Ahead(slow)
    clock = itertools.count(0, 1200)  # each trial takes 20 minutes
    monkeypatch.setattr("hypertrain.search.ahead.monotonic", lambda: next(clock))
    for number in range(1, 20):
        assert search.ask(number) == [number, number - 1, number - 1]
        search.tell(number, None)
    search.close()


def test_what_goes_wrong_in_the_search_is_not_lost() -> None:
    search = Ahead(Search())
    with pytest.raises(NotImplementedError):
        search.ask(1)
    search.close()


# --- What a failed or running trial counts as


class Told(Search):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.values: list[float | None] = []

    def suggest(self, number: int) -> Point:
        return [0.5]

    def tell(self, number: int, value: float | None) -> None:
        self.values.append(value)


@pytest.mark.parametrize(
    ("impute", "told"),
    [
        ({}, [None]),
        ({"impute": "worst"}, [None]),
        ({"impute": "latest"}, [2]),
        ({"impute": "best"}, [3]),
        ({"impute_while_running": "best"}, [1, 3, None]),
        ({"impute_while_running": "latest"}, [1, 3, None]),  # W&B takes the best so far for all
        ({"impute_while_running": "worst"}, [None, 1, 3, None]),
        ({"impute_while_running": False, "impute": "best"}, [3]),
    ],
    ids=str,
)
def test_a_failed_or_running_trial_counts_as_impute_says(
    impute: dict[str, Any], told: list[float | None], tmp_path: Path
) -> None:
    metric = {"name": "v", "goal": "maximize", **impute}
    one = sweep(tmp_path, method="bayes", metric=metric, parameters={"x": {"min": 0.0, "max": 1.0}})
    with Journal(tmp_path / "results" / f"sweep-{one.id}") as journal:

        def source() -> tuple[SearchPoints, Told]:
            made = SearchPoints(one, journal, 1, 5, False, Console(file=StringIO()))
            made._search = search = Told()
            return made, search

        first, search = source()
        first._told = today(journal.folder, one, tmp_path)
        trial = first.next()
        assert trial
        first.begun(trial)
        file = journal.folder / trial.folder / "metrics.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text('{"v": 1}\n{"v": 3}\n{"v": 2}\n')
        for value in (1, 3, 2):
            first.logged(trial, value)
        first.ended(replace(trial, state=FAILED, reason="it diverged", exit=1))
        assert search.values == told
        later, search = source()
        later.restore(Checkpoints(tmp_path, None, -1))
        assert search.values == told[-1:]
