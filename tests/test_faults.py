"""Faults of daily life: nothing is lost, nothing runs on, and one line says what happened."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from conftest import Bake
from test_sweep import COUNTING, notes, records, run, write_sweep

BROKEN = COUNTING.replace('note("start")', 'note("start"); assert args.a != 2, "two is broken"')
FOUR = {"a": {"values": [0, 1, 2, 3]}, "b": {"value": 0}}


@pytest.fixture
def root(bake: Bake) -> Path:
    return bake(project_name="Faults")


# What failed before


def test_failed_trials_are_tried_again_for_a_reason_only(root: Path) -> None:
    arguments = write_sweep(root, BROKEN, parameters=FOUR)
    run(root, *arguments)
    assert notes(root, "start") == Counter(["0,0", "1,0", "2,0", "3,0"])

    same = run(root, *arguments)
    assert "1 failed trial is not tried again: the program is the same (--retry" in same.stdout
    assert notes(root, "start")["2,0"] == 1
    assert same.returncode == 0

    asked = run(root, *arguments, "--retry")
    assert "1 failed trial is tried again: as --retry asks" in asked.stdout
    assert "[4/4] trial 3" in asked.stdout
    assert notes(root, "start")["2,0"] == 2

    (root / "modules" / "data.py").write_text("# not of this program\n")
    assert "not tried again" in run(root, *arguments).stdout
    mended = run(root, *write_sweep(root, COUNTING, parameters=FOUR))
    assert "1 failed trial is tried again: the program has changed" in mended.stdout
    assert notes(root, "end") == Counter(["0,0", "1,0", "2,0", "3,0"])
    assert records(root)[3]["attempt"] == 3


def test_count_is_of_trials_whatever_became_of_them(root: Path) -> None:
    arguments = write_sweep(root, BROKEN, parameters=FOUR)
    run(root, *arguments, "--count", "3")
    assert {n: one["state"] for n, one in records(root).items()} == {
        1: "completed",
        2: "completed",
        3: "failed",
    }
    assert "[4/4] trial 4" in run(root, *arguments, "--count", "4").stdout
    assert sorted(records(root)) == [1, 2, 3, 4]
    assert notes(root, "start").total() == 4


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_finite_space_needs_no_end_and_says_that_it_is_exhausted(root: Path, method: str) -> None:
    arguments = write_sweep(root, COUNTING, method=method, parameters=FOUR)
    for _ in range(2):
        done = run(root, *arguments)
        assert done.returncode == 0, done.stderr
        assert "All 4 points of the search space have been tried." in done.stdout
    assert notes(root, "start") == Counter(["0,0", "1,0", "2,0", "3,0"])


def test_a_space_that_nobody_means_to_try_whole_is_asked_for_its_end(root: Path) -> None:
    wide = {"a": {"min": 1, "max": 2000}, "b": {"value": 0}}
    done = run(root, *write_sweep(root, COUNTING, method="random", parameters=wide))
    assert done.returncode == 2
    assert "method random would end after 2,000 trials; add `run_cap: 30`" in done.stderr
