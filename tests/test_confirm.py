"""`confirm`: the best trials and the defaults on fresh seeds, and what may be said of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import Bake
from hypertrain.answers.paired import holm, least, one_sided, seeds_needed, two_sided, verdict
from hypertrain.show.confirmed import lines
from hypertrain.sweepfile.sweep import Metric

# The best of the search owes its place to its seed; `optimizer` does nothing.
PROGRAM = """
import argparse, random, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--optimizer", default="sgd")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--test", action="store_true")
args = parser.parse_args()
run = wandb.init(config=vars(args))
with open("notes.txt", "a") as file:
    file.write(f"{args.lr},{args.optimizer},{args.seed}{',test' * args.test}\\n")
noise = random.Random(f"{args.seed}/{args.lr}").gauss(0, 0.01)
score = 0.9 - abs(args.lr - 0.1) / 2 + noise
for step in (2, 1, 0):
    run.log({"score": score - step / 10})
if args.test:
    run.summary["score/test"] = score - 0.05
"""
RATES = [0.1, 0.11, 0.3, 0.9]


@pytest.fixture(scope="module")
def searched(bake: Bake) -> Path:
    root = bake(project_name="Confirm")
    (root / "modules" / "program.py").write_text(PROGRAM)
    sweep = {
        "program": "modules/program.py",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"lr": {"values": RATES}, "optimizer": {"values": ["sgd", "adam"]}},
    }
    (root / "config" / "wandb-sweep.yaml").write_text(yaml.safe_dump(sweep))
    assert "`optimizer` had no effect in 4 of 4 pairs" in hypertrain(root)
    (root / "notes.txt").unlink()
    return root


@pytest.fixture
def root(searched: Path, tmp_path: Path) -> Path:
    there = tmp_path / "project"
    subprocess.run(["cp", "-r", str(searched), str(there)], check=True)
    return there


def hypertrain(root: Path, *words: str, status: int = 0) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    done = subprocess.run(
        [sys.executable, "-m", "hypertrain", *words],
        cwd=root,
        env={**kept, "HOME": "/nonexistent", "WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
        timeout=280,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback (most" not in done.stderr, done.stderr
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def trained(root: Path) -> Counter[str]:
    return Counter((root / "notes.txt").read_text().split())


def test_the_best_and_the_defaults_are_trained_on_the_same_fresh_seeds(root: Path) -> None:
    said = hypertrain(root, "confirm", "--workers", "2")
    runs = [line.split(",") for line in trained(root).elements()]
    assert Counter(rate for rate, _, _ in runs) == {"0.1": 5, "0.11": 5, "0.3": 5, "0.5": 5}
    seeds = {rate: {seed for other, _, seed in runs if other == rate} for rate, _, _ in runs}
    (shared,) = {frozenset(each) for each in seeds.values()}
    assert len(shared) == 5
    assert "0" not in shared
    assert "5 seeds cannot go below p = 0.06 (two-sided)" in said
    assert "6 reach 0.03: --seeds 6 trains only what is missing" in said
    assert "is better" not in said

    again = hypertrain(root, "confirm", "--workers", "2", "--seeds", "6", "--test")
    assert sum(trained(root).values()) == 4 * 6 + 1
    assert set(trained(root).values()) == {1}
    assert "is better than the defaults in 6 of 6 seeds, +" in again
    assert "points (95 % interval +" in again
    assert "is not to be told from trial" in again
    assert "On the test set, once, trial" in again
    assert "score/test 0.8" in again

    once_more = hypertrain(root, "confirm", "--seeds", "6", "--test")
    assert sum(trained(root).values()) == 4 * 6 + 1, "the test set is touched once"
    assert "score/test 0.8" in once_more

    board = hypertrain(root, "leaderboard")
    assert "is better than the defaults in 6 of 6 seeds" in board
    assert "within the noise of" in board or "runs)" in board
    (report,) = root.glob("results/sweep-*/report.html")
    hypertrain(root, "report")
    assert "is better than the defaults in 6 of 6 seeds" in report.read_text()


def test_it_goes_on_where_it_was_cut_off(root: Path) -> None:
    hypertrain(root, "confirm", "--workers", "2", "--seeds", "2")
    (journal,) = root.glob("results/sweep-*/confirm/journal.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    lost = {3, 5}
    kept = [r for r in records if not (r["number"] in lost and "state" in r)]
    journal.write_text("".join(json.dumps(record) + "\n" for record in kept))
    for number in lost:  # what their keepers would have noted had they ended
        (journal.parent / "trials" / str(number) / "exit").unlink()
    hypertrain(root, "confirm", "--workers", "2", "--seeds", "2")
    assert Counter(trained(root).values()) == {1: 6, 2: 2}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--seed-option", "sead"], 1, "--seed-option NAME"),
        (["--seeds", "1"], 2, "1 seed shows no spread"),
        (["--sweep", "config/none.yaml"], 2, "no such file"),
    ],
)
def test_what_cannot_be_confirmed_is_said(
    words: list[str], status: int, said: str, root: Path
) -> None:
    assert said in hypertrain(root, "confirm", *words, status=status)


def test_nothing_to_confirm_is_one_line(bake: Bake) -> None:
    assert "has not been run yet" in hypertrain(bake(project_name="New"), "confirm", status=2)


# What may be said


def test_the_exact_test_counts_all_flips() -> None:
    assert two_sided([1, 2, 3, 4, 5]) == pytest.approx(2 / 32)
    assert one_sided([1, 2, 3, 4, 5]) == pytest.approx(1 / 32)
    assert two_sided([1, -1, 1, -1]) == 1
    assert one_sided([-1, -2]) == 1
    assert two_sided([0.0, 0.0]) == 1
    many = np.random.default_rng(0).normal(0.2, 1, size=40)
    from scipy.stats import permutation_test  # type: ignore[import-untyped]

    other = permutation_test(
        (many, np.zeros(40)),
        lambda a, b: float(np.mean(a - b)),
        permutation_type="samples",
        n_resamples=50_000,
        rng=np.random.default_rng(1),
    )
    assert two_sided(many) == pytest.approx(other.pvalue, abs=0.01)


def test_holm_is_that_of_his_paper() -> None:
    family = [0.01, 0.04, 0.03, 0.005]
    assert [holm(family, p) for p in family] == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_how_many_seeds_can_show_anything() -> None:
    assert [round(least(count), 4) for count in (5, 6)] == [0.0625, 0.0312]
    assert seeds_needed() == 6


@pytest.mark.parametrize("count", [5, 6, 8])
def test_better_is_said_falsely_in_one_case_of_twenty_at_most(count: int) -> None:
    random = np.random.default_rng(count)
    labels = ("trial 1", "trial 2", "trial 3", "defaults")
    claims = [
        any(
            one.better
            for one in verdict(
                {label: list(random.normal(size=count)) for label in labels}, "defaults", -1
            ).comparisons
        )
        for _ in range(1500)
    ]
    assert np.mean(claims) < 0.05


def test_a_clear_difference_is_said() -> None:
    random = np.random.default_rng(0)
    base = random.normal(size=6)
    told = verdict(
        {"trial 1": list(base - 5), "trial 2": list(base - 4.9), "defaults": list(base)},
        "defaults",
        +1,
    )
    assert told.chosen == "trial 1"
    said = " ".join(lines(told, dict.fromkeys(told.spreads, 1.0) | {"trial 2": 0.5}, LOSS))
    assert "trial 1 is better than the defaults in 6 of 6 seeds, +5 (95 % interval" in said
    assert told.spreads["trial 1"].mean == pytest.approx(base.mean() - 5)


def test_a_small_p_among_several_comparisons_is_explained() -> None:
    base = np.random.default_rng(0).normal(size=6)
    shifts = {"trial 1": 5.0, "trial 2": 4.9, "trial 3": 4.8, "defaults": 0.0}
    told = verdict({name: list(base - by) for name, by in shifts.items()}, "defaults", +1)
    said = lines(told, dict.fromkeys(shifts, 1.0), LOSS)
    (other,) = (line for line in said if "trial 2:" in line)
    assert "is not to be told from trial 2: ahead in 6 of 6 seeds" in other
    assert "p = 0.031, not enough among several comparisons)" in other


def test_a_faster_one_that_is_as_good_is_named() -> None:
    random = np.random.default_rng(0)
    values = {name: list(random.normal(size=6)) for name in ("trial 1", "trial 4")}
    told = verdict(values, None, +1)
    (other,) = {"trial 1", "trial 4"} - {told.chosen}
    said = lines(told, {told.chosen: 2.0, other: 1.0}, LOSS)[1]
    assert f"is not to be told from {other}, which trains 2.0 times as fast" in said


def test_a_seed_without_effect_is_asked_about() -> None:
    told = verdict({"trial 1": [1, 1], "defaults": [2, 2]}, "defaults", +1)
    assert (
        "is it the option of the program's seed?"
        in lines(told, {"trial 1": 1, "defaults": 1}, LOSS)[-1]
    )


LOSS = Metric("loss", "minimize")


def test_another_choice_and_another_program_are_measured_anew(root: Path) -> None:
    words = ("confirm", "--workers", "2", "--seeds", "2", "--test")
    said = hypertrain(root, *words)
    assert "On the test set, once, trial" in said
    program = root / "modules" / "program.py"
    program.write_text(program.read_text().replace("args.lr - 0.1)", "args.lr - 0.3)"))
    board = hypertrain(root, "leaderboard")
    assert "Confirmed before" not in board, "no session has begun since"
    hypertrain(root)
    board = hypertrain(root, "leaderboard")
    assert "Confirmed before modules/program.py changed:\n" in board
    said = hypertrain(root, *words)
    assert "On the test set, trial" in said
    assert "looked at 2 times" in said
    tested = [run for run in trained(root).elements() if run.endswith(",test")]
    assert len(tested) == len(set(tested)) == 2
    board = hypertrain(root, "leaderboard")
    assert "* trained before modules/program.py changed" in board
    assert "Confirmed before" not in board
