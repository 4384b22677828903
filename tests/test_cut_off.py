"""Trials that are cut off, by whatever, go on: nothing is lost, hardly anything is done twice."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from hypertrain.results.checkpoints import Checkpoints
from hypertrain.results.metrics import Reader, begin_anew, settled
from hypertrain.search.hyperband import Hyperband
from hypertrain.sweepfile.early_terminate import Bands
from test_sweep import (
    command,
    environment,
    kill_everything,
    records,
    results,
    run,
    wait_until,
    write_sweep,
)

EPOCHS = 10
TRAININGS = {"lr": {"values": [0.1, 0.05, 0.02]}, "seed": {"values": [0, 1, 2, 3]}}
EPOCH = re.compile(rf"^epoch (\d+)/{EPOCHS} ", re.MULTILINE)


# --- the project's own training, killed at random -------------------------------------------------


def project(bake: Bake) -> Path:
    root = bake(project_name="Cut off")
    sweep = {
        "program": "modules/train.py",
        "method": "grid",
        "metric": {"name": "accuracy01/valid", "goal": "maximize"},
        "parameters": {**TRAININGS, "epochs": {"value": EPOCHS}},
    }
    (root / "config" / "test.yaml").write_text(yaml.safe_dump(sweep))
    return root


def start(root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("--sweep", "config/test.yaml", "--workers", "2", "--keep", "all"),
        cwd=root,
        env=environment(WANDB_MODE="offline"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def epochs(root: Path) -> Counter[tuple[int, int]]:
    """How often each epoch of each trial has been trained to its end."""
    found: Counter[tuple[int, int]] = Counter()
    for output in root.glob("results/sweep-*/trials/*/output*.log"):
        trial = int(output.parent.name.split("-")[0])
        found.update((trial, int(epoch)) for epoch in EPOCH.findall(output.read_text()))
    return found


def histories(root: Path) -> dict[int, list[float]]:
    """What each trial logged of the metric, as it counts in the end."""
    found = {}
    for file in root.glob("results/sweep-*/trials/*/metrics.jsonl"):
        lines = [json.loads(line) for line in file.read_text().splitlines() if line]
        found[int(file.parent.name)] = [line["accuracy01/valid"] for line in settled(lines)]
    return found


def keeper(root: Path) -> int:
    """The process that keeps a running trial: the parent of one that writes a trial's output."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if re.search(r"/trials/\d+/output.log$", str((entry / "fd" / "1").readlink())):
                stat = (entry / "stat").read_text()
                parent = int(stat.rpartition(")")[2].split()[1])
                if str(root) in str((Path("/proc", str(parent)) / "cwd").readlink()):
                    return parent
        except OSError:
            continue
    return 0


def test_killed_at_random_no_training_repeats_more_than_an_epoch(bake: Bake) -> None:
    whole = project(bake)
    assert start(whole).wait(timeout=300) == 0
    expected = histories(whole)
    assert {len(values) for values in expected.values()} == {EPOCHS}
    assert len(expected) == 12

    root, dice = project(bake), random.Random(19)
    ways = ["tuner SIGKILL", "keeper", "SIGTERM", "all SIGKILL", "SIGINT", "keeper"]
    moments = sorted(dice.sample(range(6, 12 * EPOCHS - 6), 8))
    process = start(root)
    try:
        for number, moment in enumerate(moments):
            wait_until(lambda done=moment: epochs(root).total() >= done, 120)
            way = ways[number % len(ways)]
            if way == "keeper" and (pid := keeper(root)):
                os.kill(pid, signal.SIGKILL)  # the sweep goes on by itself
                continue
            if way == "all SIGKILL":
                kill_everything(root)
            else:
                process.send_signal(getattr(signal, way.split()[-1], signal.SIGKILL))
            process.wait(timeout=60)
            process = start(root)
        assert process.wait(timeout=300) == 0
    finally:
        kill_everything(root)
        process.wait()

    assert histories(root) == expected
    repeated = [number for number in epochs(root).values() if number > 1]
    cuts = len(list(root.glob("results/sweep-*/trials/*/output-*.log")))
    assert cuts >= 8
    assert sum(repeated) - len(repeated) <= cuts
    assert max(repeated, default=1) <= 2
    found = records(root).values()
    assert {record["state"] for record in found} == {"completed"}
    assert {record.get("attempt", 1) for record in found} == {1}
    assert {r["number"]: r["value"] for r in found} == {n: max(v) for n, v in expected.items()}
    names = {path.suffix for path in (root / "results" / "checkpoints").iterdir()}
    assert names == {".pt"}


LINGERS = """
import time
if not Path("killed").exists():
    Path(f"ended-{os.getpid()}").touch()
    time.sleep(600)
"""


def test_killed_at_its_very_end_a_training_is_not_repeated(bake: Bake) -> None:
    root = project(bake)
    with (root / "modules" / "train.py").open("a") as file:
        file.write(LINGERS)
    process = start(root)
    try:
        wait_until(lambda: len(list(root.glob("ended-*"))) == 2, 120)
        (root / "killed").touch()
        kill_everything(root)
        process.wait()
        process = start(root)
        assert process.wait(timeout=300) == 0
    finally:
        kill_everything(root)
        process.wait()
    assert max(epochs(root).values()) == 1
    assert {record["state"] for record in records(root).values()} == {"completed"}
    assert not list((root / "results" / "checkpoints").glob("*.state"))


# --- other programs -------------------------------------------------------------------------------

# It notes each start, and logs ten values; given a folder, it goes on from where it was.
PROGRAM = """
import argparse, pathlib, sys, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
run = wandb.init()
state = pathlib.Path(f"{{run.id}}.txt")
begun = int(state.read_text()) if state.exists() and {goes_on} else 0
with open("notes.txt", "a") as file:
    file.write(f"start {{args.a}} {{run.id}} {{begun}} {{run.settings.resume}}\\n")
cut = pathlib.Path(f"cut-{{args.a}}")
for step in range(begun, 10):
    better = 100 if {worse} and args.a < 2 and not cut.exists() else 0
    wandb.log({{"score": args.a + step + better}}{step})
    state.write_text(str(step + 1))
    if step == 6 and args.a < 2 and not cut.exists():
        cut.touch()
        time.sleep(600)
"""


def cut_off_once(
    root: Path, sweep: dict[str, Any], by: str = "Ctrl-C", **how: Any
) -> list[list[str]]:
    """Run a sweep whose first two trials are cut off after seven values; return its notes."""
    (root / "modules" / "program.py").write_text(PROGRAM.format(**how))
    whole = {
        "program": "modules/program.py",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"a": {"values": [0, 1, 2]}},
        **sweep,
    }
    (root / "config" / "test.yaml").write_text(yaml.safe_dump(whole))
    process = start(root)
    try:
        wait_until(lambda: (root / "cut-0").exists() and (root / "cut-1").exists())
        if by == "keepers":
            for _ in range(2):  # each trial sleeps until it goes on with another keeper
                pid = keeper(root)
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda gone=pid: keeper(root) != gone)
            assert process.wait(timeout=60) == 0
        else:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
    finally:
        kill_everything(root)
        process.wait()
    done = run(root, "--sweep", "config/test.yaml", "--workers", "2", WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split()[1:] for line in (root / "notes.txt").read_text().splitlines()]


@pytest.mark.parametrize("goes_on", [True, False], ids=["goes on", "from scratch"])
@pytest.mark.parametrize("step", [", step=step", ""], ids=["with steps", "without"])
def test_what_is_logged_again_replaces_what_was(bake: Bake, goes_on: bool, step: str) -> None:
    root = bake(project_name="Cut off")
    notes = cut_off_once(root, {}, goes_on=goes_on, step=step, worse=not goes_on)
    starts = {a: [note[1:] for note in notes if note[0] == a] for a in "012"}
    assert [len(starts[a]) for a in "012"] == [2, 2, 1]
    for a in "01":
        (id_, _, fresh), (again, begun, resume) = starts[a]
        assert id_ == again
        assert (fresh, resume) == ("None", "allow")
        assert int(begun) == (7 if goes_on else 0)
    found = records(root)
    # What had been better before a start from scratch was not seen again: it does not count.
    assert [found[number]["value"] for number in (1, 2, 3)] == [9, 10, 11]
    assert {record["state"] for record in found.values()} == {"completed"}
    assert not list((results(root) / "trials").glob("*-*"))


@pytest.mark.parametrize("by", ["Ctrl-C", "keepers"])
def test_hyperband_counts_on(bake: Bake, by: str) -> None:
    """A trial that was cut off after seven values is compared at its ninth, not two later."""
    root = bake(project_name="Cut off")
    sweep = {"early_terminate": {"type": "hyperband", "min_iter": 9, "eta": 3}}
    cut_off_once(root, sweep, by, goes_on=True, step=", step=step", worse=False)
    assert [records(root)[number]["bands"] for number in (1, 2, 3)] == [[8], [9], [10]]


def test_a_failed_trial_begins_anew_under_another_id(bake: Bake) -> None:
    root = bake(project_name="Cut off")
    program = PROGRAM.format(goes_on=True, step=", step=step", worse=False)
    (root / "modules" / "program.py").write_text(program.replace("time.sleep(600)", "sys.exit(1)"))
    whole = {
        "program": "modules/program.py",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"a": {"values": [0, 2]}},
    }
    (root / "config" / "test.yaml").write_text(yaml.safe_dump(whole))
    for options in ([], ["--retry"]):
        run(root, "--sweep", "config/test.yaml", *options, WANDB_MODE="offline")
    first, second = [n for n in (root / "notes.txt").read_text().splitlines() if "start 0" in n]
    assert first.split()[2] != second.split()[2]
    assert second.split()[3:] == ["0", "None"]
    assert records(root)[1]["attempt"] == 2


ENDS_UNSEEN = """
import argparse, pathlib, signal, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("notes.txt", "a") as file:
    file.write(f"start {args.a}\\n")
wandb.init()
wandb.log({"score": args.a})
pathlib.Path(f"logged-{args.a}").touch()
if not pathlib.Path("killed").exists():
    time.sleep(2)
"""


@pytest.mark.parametrize("options", [[], ["--cold"]], ids=["warm", "cold"])
def test_a_trial_that_ends_after_its_tuner_was_killed_counts(
    bake: Bake, options: list[str]
) -> None:
    root = bake(project_name="Cut off")
    arguments = write_sweep(root, ENDS_UNSEEN, parameters={"a": {"values": [1, 2, 3]}})
    words = command(*arguments, "--workers", "2", *options)
    process = subprocess.Popen(words, cwd=root, env=environment(WANDB_MODE="offline"))
    try:
        wait_until(lambda: (root / "logged-1").exists() and (root / "logged-2").exists())
    finally:
        process.kill()
        process.wait()
    (root / "killed").touch()
    with (root / "modules" / "program.py").open("a") as program:
        program.write("# changed")
    done = run(root, *arguments, "--workers", "2", *options, WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "* trained before modules/program.py changed" in done.stdout
    assert sorted((root / "notes.txt").read_text().split()[1::2]) == ["1", "2", "3"]
    found = records(root)
    assert {number: found[number]["value"] for number in found} == {1: 1, 2: 2, 3: 3}
    assert all(2 <= found[number]["seconds"] < 60 for number in (1, 2))
    assert all(r["state"] == "completed" and r["begun"] < r["ended"] for r in found.values())
    assert found[1]["code"] == found[2]["code"] != found[3]["code"], "each its own"


# --- the pieces -----------------------------------------------------------------------------------


def line(value: float, step: int | None = None) -> str:
    return json.dumps({"score": value} | ({} if step is None else {"_step": step}))


AGAIN = '{"_begun": 1}'


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        ([line(1), line(2), AGAIN, line(3)], [3]),
        ([line(1), line(2), AGAIN], [1, 2]),
        ([line(1, 1), line(2, 2), AGAIN, line(9, 2), line(3, 3)], [1, 9, 3]),
        ([line(1, 1), line(2, 2), AGAIN, line(3, 3)], [1, 2, 3]),
        ([line(1, 1), line(2, 2), AGAIN, line(9, 1)], [9]),
        ([line(1, 1), line(2, 2), AGAIN, line(9)], [9]),
        ([line(1), line(2), AGAIN, line(9, 5)], [9]),
        ([line(1, 1), AGAIN, line(2, 2), AGAIN, AGAIN, line(9, 2), line(3, 3)], [1, 9, 3]),
        ([line(1, 1), '{"other": 2}', AGAIN, '{"other": 3}', line(2, 2)], [1, 2]),
        ([line(1, 1), line(7, 1)], [1, 7]),
    ],
)
def test_from_the_first_step_on_the_new_values_count(
    lines: list[str], values: list[float], tmp_path: Path
) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text("\n".join(lines) + "\n")
    at_once = Reader(file, "score")
    at_once.read()
    at_once.read_run([], max)
    assert at_once.values == values
    kept = settled([json.loads(text) for text in lines])
    assert [kept_line["score"] for kept_line in kept if "score" in kept_line] == values
    assert all(not name.startswith("_") for kept_line in kept for name in kept_line)

    file.unlink()
    bit_by_bit = Reader(file, "score")
    for text in lines:
        with file.open("a") as stream:
            stream.write(text + "\n")
        bit_by_bit.read()
    bit_by_bit.read_run([], max)
    assert bit_by_bit.values == values


def test_a_line_cut_short_does_not_swallow_the_mark(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    begin_anew(file)
    assert not file.exists()
    file.write_text(line(1, 1) + "\n" + line(2, 2)[:8])
    begin_anew(file)
    reader = Reader(file, "score")
    assert reader.read() == []
    with file.open("a") as stream:
        stream.write(line(5, 2) + "\n")
    assert reader.read() == [1, 5]


def test_hyperband_forgets_a_trial_that_begins_again() -> None:
    hyperband = Hyperband(Bands((1, 3), 3, True, 1))
    for value in (5.0, 6.0, 7.0):
        hyperband.add(1, value)
    hyperband.forget(1)
    assert not hyperband.stops(1)
    hyperband.add(2, 9.0)
    assert not hyperband.stops(2)  # nothing is left to compare it with
    assert hyperband.end(2) == [9.0]


def test_only_the_best_checkpoints_stay(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "checkpoints"
    folder.mkdir(parents=True)

    def trained(run_id: str) -> None:
        for name in (f"{run_id}.pt", f"{run_id}.state", f"{run_id}-best.pt"):
            (folder / name).touch()

    checkpoints = Checkpoints(tmp_path, keep=2, sign=-1)
    (folder / "mine.pt").touch()
    for number, value in enumerate([0.1, 0.9, 0.5, 0.7], start=1):
        trained(f"s-{number}")
        assert checkpoints.goes_on(f"s-{number}")
        checkpoints.ended(f"s-{number}", value, done=True)
        assert not checkpoints.goes_on(f"s-{number}")
    trained("s-5")
    checkpoints.ended("s-5", None, done=False)
    trained("s-6")
    kept = {path.name for path in folder.iterdir() if not path.name.endswith("-best.pt")}
    assert kept == {"mine.pt", "s-2.pt", "s-4.pt", "s-6.pt", "s-6.state"}
    assert len(list(folder.glob("*-best.pt"))) == 6  # a name that is not the id's
    assert checkpoints.removed == 3

    everything = Checkpoints(tmp_path, keep=None, sign=-1)
    everything.ended("s-2", 0.9, done=True)
    everything.ended("s-6", 0.1, done=True)
    assert (folder / "s-6.pt").exists()
    assert not (folder / "s-6.state").exists()
    unranked = Checkpoints(tmp_path, keep=0, sign=None)
    unranked.ended("s-6", None, done=True)
    assert (folder / "s-6.pt").exists()


@pytest.mark.parametrize("name", ["", "../mine", "*", "s/../mine", "s-1\n"])
def test_a_name_that_is_no_run_s_removes_nothing(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "mine.pt").touch()
    (folder.parent / "mine.pt").touch()
    Checkpoints(tmp_path, keep=0, sign=1).ended(name, None, done=False)
    assert (folder / "mine.pt").exists()
    assert (folder.parent / "mine.pt").exists()
