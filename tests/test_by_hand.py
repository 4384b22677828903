"""A trial is the command run by hand: every program shape by hand and by each other way.

`shapes/NAME/` is a small project each, its first comment tells what is special; `ways.py` runs them
and `outcome.py` compares, where it also says what is not promised.
"""

from __future__ import annotations

import compileall
import copy
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import outcome
import pytest
import ways
from _pytest.mark import ParameterSet
from conftest import Bake, tree
from outcome import Outcome
from ways import SHAPES, Place, Shape, TookTooLongError

NOTHING: frozenset[str] = frozenset()
SPECIAL = [
    Shape("aborts", reason="SIGABRT"),
    Shape("agent-inside", reason="UsageError"),
    Shape("chained-exceptions", reason="no schedule for the rate"),
    Shape("console-script", installed="as editable"),
    Shape("crash-half", reason="RuntimeError: diverged"),
    Shape("draws-at-random", unpromised=frozenset({"history"})),
    Shape("editable-package", installed="as editable"),
    Shape("error-of-many-lines", reason="RuntimeError: Error(s) in loading state_dict"),
    Shape("exits-with-a-message", reason="the rate 0.1 is too high"),
    # It says that it is offline.
    Shape("hf-trainer", online=False),
    Shape("installed-package", like="editable-package", installed="as a copy"),
    Shape("launcher-fails", reason="exit status 3"),
    Shape("leaves-by-os-exit", reason="exit status 7"),
    Shape("pythonpath-module", environ={"PYTHONPATH": "lib"}),
    Shape("raises-keyboardinterrupt", reason="SIGINT"),
    Shape("relative-import-as-script", reason="ImportError: attempted relative import"),
    Shape("lightgbm-callback", online=False),
    Shape("log-styles", online=False),
    Shape("table-with-metric", online=False),
    # Both ranks write one file of one run: which of their records it keeps is chance.
    Shape("torchrun-all-ranks-init", unpromised=frozenset({"runs", "value"})),
    # How far the other rank gets until it is ended is chance.
    Shape(
        "torchrun-rank-fails",
        reason="ArithmeticError: the loss is not a number",
        unpromised=frozenset({"console"}),
    ),
    Shape("unbuffered", reason="SIGKILL"),
    Shape("xgboost-callback", online=False),
]
NEVER_ENDS = "sleeps-with-a-child"
PLAIN = [Shape(folder.name) for folder in SHAPES.iterdir() if folder.is_dir()]
ALL = {shape.name: shape for shape in sorted([*PLAIN, *SPECIAL], key=lambda shape: shape.name)}
del ALL[NEVER_ENDS]
SOME = """
    argparse asks-for-sweep-id chained-exceptions cleans-up-at-exit closes-streams crash-half
    cross-validation editable-package hydra looks-around package-main shell-script
    table-with-metric
""".split()
"""Of different kinds, and quick."""
NO_HYDRA = pytest.mark.skipif(sys.version_info >= (3, 14), reason="Hydra 1.3 does not run there")
ENDS_OTHERWISE_ONLINE = "agent-inside"
"""It needs an account, which it has through the agent alone."""

LayOut = Callable[[Shape, str], Place]
ByHand = Callable[[Shape, int], Outcome]


@pytest.fixture(scope="module")
def plain_project(bake: Bake) -> Path:
    """Compiled, as after a first run: it is copied for each way."""
    project = bake(project_name="Neuro project")
    compileall.compile_dir(project / "hypertrain", quiet=1)
    return project


@pytest.fixture
def lay_out(plain_project: Path, tmp_path: Path) -> LayOut:
    """A fresh copy of a project with a shape in it."""
    return lambda shape, name: ways.lay_out(shape, plain_project, tmp_path / name)


@pytest.fixture(scope="module")
def by_hand(plain_project: Path, tmp_path_factory: pytest.TempPathFactory) -> ByHand:
    """What the first trials of a shape give by hand; each is run once, in a project of its own."""
    known: dict[str, list[Outcome]] = {}

    def run(shape: Shape, count: int) -> Outcome:
        found = known.setdefault(shape.name, [])
        folder = tmp_path_factory.mktemp("by-hand")
        for number in range(len(found), count):
            place = ways.lay_out(shape, plain_project, folder / str(number))
            found.append(ways.by_hand(place, shape.points[number]))
        return outcome.together(found[:count])

    return run


def warm(place: Place) -> Outcome:
    found = ways.sweep(place)
    assert place.shape.is_python or "each a new process" in place.log.read_text()
    return found


def cold(place: Place) -> Outcome:
    return ways.sweep(place, "--cold", "--count=1")


def through_the_agent(place: Place) -> Outcome:
    return ways.agent(place, count=1)


def shape_named(name: str, *marks: pytest.MarkDecorator) -> ParameterSet:
    return pytest.param(name, marks=(*marks, *([NO_HYDRA] if name == "hydra" else [])))


@pytest.mark.parametrize("name", [shape_named(name) for name in SOME])
def test_a_trial_is_the_command_run_by_hand(name: str, lay_out: LayOut, by_hand: ByHand) -> None:
    found = warm(lay_out(ALL[name], "warm"))
    assert judge(ALL[name], by_hand(ALL[name], len(found.trials)), found) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [shape_named(name) for name in ALL])
def test_a_trial_is_the_command_run_by_hand_whichever_way_it_runs(
    name: str, lay_out: LayOut, by_hand: ByHand
) -> None:
    shape = ALL[name]
    ways_to_run = [
        *([] if name in SOME else [warm]),  # those have run so above
        *([cold] if shape.is_python else []),
        *([] if name == ENDS_OTHERWISE_ONLINE else [through_the_agent]),
    ]
    told = []
    for way in ways_to_run:
        try:
            found = way(lay_out(shape, way.__name__))
        except TookTooLongError:
            if way is not through_the_agent:
                raise
            # wandb 0.31 (`ServiceConnection.teardown`): where its service answers something just
            # when a program ends without `finish`, each waits for the other for good.
            found = way(lay_out(shape, "once-more"))
        expected = by_hand(shape, len(found.trials))
        told += [f"{way.__name__}: {text}" for text in judge(shape, expected, found)]
    assert told == []


def judge(shape: Shape, expected: Outcome, found: Outcome) -> list[str]:
    """What is not as by hand, and what is wrong with the reasons of failures."""
    told = outcome.differences(expected, found, shape.unpromised)
    for hand, trial in zip(expected.trials, found.trials, strict=False):
        if trial.status is None:
            continue  # the agent tells no reasons
        if hand.status and (shape.reason is None or shape.reason not in trial.reason):
            told.append(f"reason {trial.reason!r} does not name {shape.reason!r}")
        known = hand.value is not None or "value" in shape.unpromised
        if not hand.status and trial.completed != known:
            told.append(f"completed is {trial.completed}, {trial.reason!r}")
        if "\x1b" in trial.reason:
            told.append(f"colour in the reason {trial.reason!r}")
    return told


@pytest.mark.parametrize(
    "name", [shape_named(name, *([] if name in SOME else [pytest.mark.slow])) for name in ALL]
)
def test_check_only_looks_and_says_what_the_sweep_does(
    name: str, lay_out: LayOut, by_hand: ByHand
) -> None:
    place = lay_out(ALL[name], "check")
    words = [place.python, "-m", "hypertrain", "check", "--trial-time=1s"]
    status = ways.run_command(words, place, {"WANDB_MODE": "offline"})
    said = place.log.read_text()
    assert not re.search("^Traceback", said, re.MULTILINE), said
    after = {path: content for path, content in tree(place.root).items() if not cached(path)}
    assert after == {path: content for path, content in place.before.items() if not cached(path)}
    trial = by_hand(ALL[name], 1).trials[0]
    wrong = bool(trial.status) or (trial.value is None and "value" not in ALL[name].unpromised)
    assert (status, "problem  " in said) == (int(wrong), wrong), said
    assert ways.leftovers(place, patience=2) == []


def cached(path: str) -> bool:
    return "__pycache__" in path


def test_random_numbers_are_each_trials_own(lay_out: LayOut) -> None:
    """Forked from one process, trials would draw the same ones."""
    trials = ways.sweep(lay_out(ALL["draws-at-random"], "warm")).trials
    for source in ("python", "numpy", "torch"):
        assert len({trial.runs[0].history[0][source] for trial in trials}) == len(trials), source


@pytest.mark.parametrize("options", [[], pytest.param(["--cold"], marks=pytest.mark.slow)])
def test_nothing_of_a_trial_outlives_a_killed_tuner(options: list[str], lay_out: LayOut) -> None:
    place = lay_out(Shape(NEVER_ENDS), "killed")
    words = [place.python, "-m", "hypertrain", "--workers=2", *options]
    with place.log.open("wb") as log:
        tuner = subprocess.Popen(
            words, cwd=place.root, env=place.environ, stdin=subprocess.DEVNULL, stdout=log
        )
    try:
        until = time.monotonic() + 90
        while sum("LEFTOVER" in words for words in ways.marked(place).values()) < 2:
            assert time.monotonic() < until, place.log.read_text()
            time.sleep(0.1)
    finally:
        tuner.send_signal(signal.SIGKILL)
        tuner.wait()
    assert ways.leftovers(place, patience=20) == []


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_closed_streams_of_the_tuner_kill_no_trial(
    closed: list[int], lay_out: LayOut, by_hand: ByHand
) -> None:
    shape = ALL["find-spec"]
    place = lay_out(shape, "closed")

    def close() -> None:
        for number in closed:
            os.close(number)

    found = ways.sweep(place, before=close)
    assert outcome.differences(by_hand(shape, 2), found, NOTHING) == []


# The comparison itself


def test_the_comparison_sees_every_kind_of_difference(by_hand: ByHand) -> None:
    shape = ALL["cleans-up-at-exit"]
    expected = by_hand(shape, 2)
    assert outcome.differences(expected, copy.deepcopy(expected), NOTHING) == []

    def spoiled(change: Callable[[Outcome], object]) -> list[str]:
        found = copy.deepcopy(expected)
        for trial in found.trials:
            trial.completed = True
        change(found)
        return outcome.differences(expected, found, NOTHING)

    first = "out/0.1-finalized.txt"
    changes: list[tuple[Callable[[Outcome], object], str]] = [
        (lambda o: o.trials.pop(), "1 trials, by hand 2"),
        (lambda o: setattr(o.trials[0], "status", 1), "trial 1: status 1 (), by hand 0"),
        (lambda o: setattr(o.trials[1], "value", 2.0), "trial 2: value 2.0 (), by hand 0.01"),
        (lambda o: o.trials[0].console.update(["more"]), "trial 1: console has 'more'"),
        (lambda o: o.files.pop(first), f"file {first} is missing, by hand {{'1 lines'}}"),
        (lambda o: o.files.update({first: {"empty"}}), f"file {first} is {{'empty'}}, by hand"),
        (lambda o: o.files.update({"x": {"empty"}}), "file x is {'empty'}, by hand there is none"),
        (lambda o: o.leftovers.append("sleep 300"), "still running: sleep 300"),
        (lambda o: o.trials[0].runs.clear(), "trial 1: 0 runs, by hand 1"),
        (lambda o: o.others.extend(o.trials[0].runs), "other runs has"),
    ]
    run_changes: list[tuple[Callable[[outcome.Run], object], str]] = [
        (lambda run: run.history.pop(), "run: 0 rows of history, by hand 1"),
        (lambda run: run.history[0].update(acc=3), "run: history 0 acc is 3, by hand 0.1"),
        (lambda run: run.summary.pop("acc"), "run: summary acc is missing, by hand 0.1"),
        (lambda run: run.config.update(lr=3), "run: config lr is 3, by hand 0.1"),
        (
            lambda run: run.attributes.update(job_type="x"),
            "run: attribute job_type is 'x', by hand",
        ),
        (lambda run: run.artifacts.append("x"), "run: artifacts ['x'], by hand []"),
        (lambda run: run.output.update(["x"]), "run: W&B's console has 'x'"),
        (lambda run: run.files.add("media/x"), "run: files ['media/x'], by hand []"),
        (lambda run: setattr(run, "exit_code", 1), "run: exit code 1, by hand 0"),
    ]
    for change, told in changes:
        assert any(line.startswith(told) for line in spoiled(change)), told
    for change_run, told in run_changes:
        found = spoiled(lambda o, change=change_run: change(o.trials[0].runs[0]))  # type: ignore[misc]
        assert any(line.startswith(f"trial 1: {told}") for line in found), told
