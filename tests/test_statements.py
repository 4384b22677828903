"""Statements that hold: ties and noise, parameters without effect, importance against chance."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypertrain.answers.dead import dead_parameters
from hypertrain.answers.importance import DUMMY, ENOUGH, importances
from hypertrain.answers.noise import noise_of, standing
from hypertrain.results.outcome import Outcome, Row
from hypertrain.show import statements
from hypertrain.sweepfile.sweep import Metric

LOSS = Metric("loss", "minimize")
SEEDS = ("seed",)
OUTCOME = Outcome("title", "where", LOSS, [], file="config/small sweep.yaml")
Params = dict[str, Any]


def rows_of(*values: float | None) -> list[Row]:
    return [Row(str(n), "completed", value, {"a": n}) for n, value in enumerate(values, start=1)]


# Ties and noise


def test_one_of_several_equals_is_never_called_the_best() -> None:
    found = standing(rows_of(0.5, 0.25, None, 0.25, 0.3), LOSS, SEEDS)
    assert found
    assert [row.name for row in found.equal] == ["2", "4"]
    said = statements.place(found, OUTCOME)
    assert said.startswith("2 trials tie at loss 0.25: 2 and 4.")
    assert "hypertrain confirm --sweep 'config/small sweep.yaml'` finds out" in said
    assert "confirm" not in statements.place(found, replace(OUTCOME, file=None))


@pytest.mark.parametrize("metric", [None, LOSS])
@pytest.mark.parametrize("values", [(), (None,), (math.inf, math.nan)])
def test_where_nothing_has_a_value_nothing_is_first(
    values: tuple[float | None, ...], metric: Metric | None
) -> None:
    assert standing(rows_of(*values), metric, SEEDS) is None


def test_the_noise_is_known_from_trials_that_differ_in_the_seed_alone() -> None:
    random = np.random.default_rng(0)
    rows = [
        Row(f"{a}-{seed}", "completed", a + float(random.normal(0, 0.1)), {"a": a, "seed": seed})
        for a, seed in product((0, 0.05, 2), range(20))
    ]
    found = standing(rows, LOSS, SEEDS)
    assert found
    assert found.noise
    assert found.noise.freedom == 57
    assert 0.08 < found.noise.sd < 0.12
    near = {row.params["a"] for row in found.within}
    assert near == {0, 0.05}
    said = statements.place(found, OUTCOME)
    assert f"are within the noise of that (sd {found.noise.sd:.4g}, 60 runs)" in said


@pytest.mark.parametrize("other", [{"state": "stopped"}, {"state": "running"}, {"code": "older"}])
def test_what_was_cut_short_or_ran_with_other_code_is_no_noise(other: dict[str, Any]) -> None:
    of_seeds = [Row("1", "completed", 0.5, {"seed": 1}), Row("2", "completed", 0.9, {"seed": 2})]
    found = standing(of_seeds, LOSS, SEEDS)
    assert found
    assert found.noise
    found = standing([of_seeds[0], replace(of_seeds[1], **other)], LOSS, SEEDS)
    assert found
    assert found.noise is None


@pytest.mark.parametrize("values", [(1e200, 1.0), (1.7e308, 1.7e308, -1.7e308)])
def test_where_numbers_are_too_large_for_it_no_noise_is_known(values: tuple[float, ...]) -> None:
    assert noise_of([values, (0.5, 0.6)]) is None


def test_two_equal_trainings_are_told_apart_in_one_case_of_twenty() -> None:
    random = np.random.default_rng(1)
    apart = 0
    for _ in range(2000):
        noise = noise_of([list(random.normal(size=3)) for _ in range(3)])
        assert noise
        apart += abs(random.normal() - random.normal()) > noise.between()
    assert 0.035 < apart / 2000 < 0.065


# Parameters without effect


def logged(folder: Path, points: list[Params], log: Callable[[Params], list[Params]]) -> list[Row]:
    rows = []
    for number, params in enumerate(points, start=1):
        home = folder / str(number)
        home.mkdir()
        lines = log(params)
        (home / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        rows.append(Row(str(number), "completed", lines[-1]["loss"], params, folder=home))
    return rows


def grid(**values: list[Any]) -> list[Params]:
    return [dict(zip(values, point, strict=True)) for point in product(*values.values())]


GUIDE = grid(lr=[0.1, 0.01, 0.001], optimizer=["sgd", "adam"], scheduler=["const", "cosine"])


def train(params: Params, effect: float = 0.0) -> list[Params]:
    """As the recipe does whose `adam` is SGD; effect: of adam, if it were not."""
    course = [params["lr"] * (step if params["scheduler"] == "cosine" else 1) for step in (1, 2, 3)]
    return [
        {
            "loss": math.sin(1000 * rate) + effect * (params["optimizer"] == "adam"),
            "seconds": hash((step, params["optimizer"])) % 100 / 7,
        }
        for step, rate in enumerate(course)
    ]


def test_half_of_a_grid_that_repeats_the_other_half_is_noticed(tmp_path: Path) -> None:
    rows = logged(tmp_path, GUIDE, train)
    (only,) = dead_parameters(rows)
    assert (only.name, only.pairs) == ("optimizer", 6)
    assert statements.without_effect([only]) == ["`optimizer` had no effect in 6 of 6 pairs."]


def test_a_parameter_that_does_something_is_not_called_dead(tmp_path: Path) -> None:
    assert not dead_parameters(logged(tmp_path, GUIDE, lambda p: train(p, effect=1e-12)))


def test_one_pair_with_an_effect_is_enough(tmp_path: Path) -> None:
    def log(params: Params) -> list[Params]:
        return train(params, effect=1e-9 * (params["lr"] == 0.1))

    assert not dead_parameters(logged(tmp_path, GUIDE, log))


def test_what_is_logged_of_the_parameter_itself_is_no_effect(tmp_path: Path) -> None:
    points = grid(decay=[0.0, 0.1], lr=[1.0, 2.0])
    rows = logged(tmp_path, points, lambda p: [{"loss": p["lr"], "decay": p["decay"]}])
    assert [one.name for one in dead_parameters(rows)] == ["decay"]


@pytest.mark.parametrize("why", ["all the same", "one pair", "older code", "no pairs", "nothing"])
def test_too_little_is_no_ground_to_call_a_parameter_dead(why: str, tmp_path: Path) -> None:
    points = grid(a=[1, 2], b=[1, 2])
    log: Callable[[Params], list[Params]] = lambda p: [{"loss": p["b"]}]  # noqa: E731
    if why == "all the same":
        log = lambda p: [{"loss": 1.0}]  # noqa: E731
    elif why == "one pair":
        points = points[:3]
    elif why == "no pairs":
        points = [{"a": n, "b": n} for n in range(4)]
    rows = logged(tmp_path, points, log)
    if why == "older code":
        rows = [Row(**{**vars(row), "older": row.name == "1"}) for row in rows]
    elif why == "nothing":
        rows = [Row(**{**vars(row), "folder": None}) for row in rows]
    assert not [one for one in dead_parameters(rows) if one.name == "a"]


# Importance


def searched(count: int, seed: int, loss: Callable[[Params, Any], float]) -> list[Row]:
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        params: Params = {
            "lr": float(10 ** random.uniform(-5, 0)),
            "optimizer": ["sgd", "adam"][random.integers(2)],
            "layers": int(random.integers(1, 5)),
            **{f"x{i}": float(random.random()) for i in range(4)},
        }
        rows.append(Row(str(number), "completed", float(loss(params, random)), params))
    return rows


def matters(params: Params, random: Any) -> float:
    off = (math.log10(params["lr"]) + 2.5) ** 2 / 6
    return float(off + 0.3 * (params["optimizer"] == "sgd") + 0.1 * random.random())


def test_what_decides_is_seen_and_what_does_not_is_called_so() -> None:
    found, problem = importances(searched(100, 0, matters), LOSS)
    assert not problem
    visible = {one.name for one in found if one.visible}
    assert visible == {"lr", "optimizer"}
    assert {found[0].name, found[1].name} == visible
    assert found[-1].name == DUMMY
    for one in found[:-1]:
        assert one.low <= one.share * 1.01
        assert one.share <= one.high * 1.01
    said = statements.weight(found, problem)
    assert said.startswith("Importance: ")
    assert "No visible effect: " in said
    assert "lr" not in said.partition("No visible effect")[2]


def test_chance_is_seldom_called_an_effect() -> None:
    """In one sweep of twenty of which no parameter has an effect, whatever their number."""
    seen = [
        any(
            one.visible for one in importances(searched(40, seed, lambda p, r: r.random()), LOSS)[0]
        )
        for seed in range(60)
    ]
    assert sum(seen) <= 8, "more than 5 % of 60 by far"


def test_the_order_is_that_of_optunas_own_ped_anova() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = searched(200, 3, matters)
    study = optuna.create_study()
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(0, 1) for name in ("x0", "x1", "x2", "x3")
    }
    distributions |= {
        "lr": optuna.distributions.FloatDistribution(1e-5, 1, log=True),
        "optimizer": optuna.distributions.CategoricalDistribution(["sgd", "adam"]),
        "layers": optuna.distributions.IntDistribution(1, 4),
    }
    study.add_trials(
        optuna.trial.create_trial(params=row.params, distributions=distributions, value=row.value)
        for row in rows
    )
    theirs = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    ours = [one.name for one in importances(rows, LOSS)[0]]
    assert set(ours[:2]) == set(list(theirs)[:2]) == {"lr", "optimizer"}


def problems() -> Iterator[tuple[list[Row], Metric | None, str]]:
    yield searched(ENOUGH - 1, 0, matters), LOSS, f"19 of at least {ENOUGH} trials: too few"
    yield searched(40, 0, lambda p, r: 1.0), LOSS, "loss is the same in so many trials"
    yield searched(40, 0, matters), None, "without a metric"
    yield (
        [Row(str(n), "completed", n / 7, {"a": 1}) for n in range(40)],
        LOSS,
        "no parameter varied",
    )
    yield [], LOSS, "too few"


@pytest.mark.parametrize("case", range(5))
def test_it_says_why_nothing_can_be_said(case: int) -> None:
    rows, metric, said = list(problems())[case]
    found, problem = importances(rows, metric)
    assert not found
    assert said in problem
    assert statements.weight(found, problem) == f"Importance: {problem}."


def test_where_all_fails_is_important_too() -> None:
    rows = [
        Row(row.name, "failed", None, row.params) if row.params["lr"] > 0.01 else row
        for row in searched(80, 0, lambda p, r: r.random())
    ]
    found, _ = importances(rows, LOSS)
    assert [one.name for one in found if one.visible] == ["lr"]
