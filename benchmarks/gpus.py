"""What `--trials-per-gpu auto` gains on the GPUs of this machine, and whether it changes anything:

    python benchmarks/gpus.py PROJECT

with a Python that has a PyTorch for these GPUs and the packages of PROJECT, a freshly generated
project. In turns with one trial on each GPU, the stock program with 24 seeds; then a sweep is
interrupted, another one killed, and whoever is still on a GPU is named. Every sweep goes to
gpus.jsonl, a line each. Linux only.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pynvml

RAW = Path(__file__).with_suffix(".jsonl")
ROUNDS, TRIALS = 3, 24
WAYS = {"one": (), "auto": ("--trials-per-gpu", "auto")}
SWEEP = f"""\
program: modules/train.py
project: gpus
method: grid
metric: {{name: accuracy01/valid, goal: maximize}}
parameters:
  seed: {{values: {list(range(TRIALS))}}}
"""
SWEEPING = ("--sweep", "config/gpus.yaml")
ENDING = 20
"""Seconds after which nothing of a sweep may be left on a GPU."""


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1], "hypertrain").is_dir():
        sys.exit("name a freshly generated project: python benchmarks/gpus.py PROJECT")
    project = Path(sys.argv[1])
    boards = found_boards()
    (project / "config" / "gpus.yaml").write_text(SWEEP)
    before = processes(boards)
    print(", ".join(pynvml.nvmlDeviceGetName(board) for board in boards))
    rounds = [{way: sweep(project, WAYS[way]) for way in turn} for turn in turns()]
    left = {
        number.name: left_after(project, number, boards, before)
        for number in (signal.SIGINT, signal.SIGKILL)
    }
    report(rounds, left)


def found_boards() -> list[Any]:
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        sys.exit(f"no GPU here: {error}")
    return [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(count)]


def turns() -> list[list[str]]:
    return [list(WAYS) if number % 2 else list(WAYS)[::-1] for number in range(ROUNDS)]


def start(project: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "hypertrain", *options],
        cwd=project,
        env={**os.environ, "WANDB_MODE": "offline"},
        stdout=subprocess.PIPE,
        text=True,
    )


def output(project: Path, *options: str) -> str:
    process = start(project, *options)
    said, _ = process.communicate()
    if process.returncode:
        sys.exit(f"hypertrain {' '.join(options)}: {said}")
    return said


def sweep(project: Path, options: Sequence[str]) -> dict[str, Any]:
    """Seconds of the whole sweep, what it said of its workers, and each trial's value."""
    shutil.rmtree(project / "results", ignore_errors=True)
    began = time.perf_counter()
    told = output(project, *SWEEPING, *options)
    seconds = time.perf_counter() - began
    trials = json.loads(output(project, "leaderboard", "--json"))["trials"]
    spans = [(trial["begun"], trial["ended"]) for trial in trials]
    found = {
        "options": list(options),
        "seconds": round(seconds, 2),
        "minutes_of_trials": (max(b for _, b in spans) - min(a for a, _ in spans)) / 60,
        "at_once": max(sum(a <= at < b for a, b in spans) for at, _ in spans),
        "values": {str(trial["params"]["seed"]): trial["value"] for trial in trials},
        "said": [line for line in told.splitlines() if "worker" in line or "at once" in line],
    }
    with RAW.open("a") as file:
        file.write(json.dumps(found) + "\n")
    return found


def left_after(
    project: Path, number: signal.Signals, boards: Sequence[Any], before: set[int]
) -> list[int]:
    """Processes that a sweep which ends by this signal leaves on a GPU."""
    shutil.rmtree(project / "results", ignore_errors=True)
    tuner = start(project, *SWEEPING, *WAYS["auto"])
    while tuner.poll() is None and not processes(boards) - before:
        time.sleep(0.1)
    time.sleep(5)
    tuner.send_signal(number)
    tuner.communicate()
    until = time.monotonic() + ENDING
    while (left := processes(boards) - before) and time.monotonic() < until:
        time.sleep(0.1)
    return sorted(left)


def processes(boards: Sequence[Any]) -> set[int]:
    return {one.pid for it in boards for one in pynvml.nvmlDeviceGetComputeRunningProcesses(it)}


def report(rounds: Sequence[dict[str, dict[str, Any]]], left: dict[str, list[int]]) -> None:
    rate = {
        way: [len(it[way]["values"]) / it[way]["minutes_of_trials"] for it in rounds]
        for way in WAYS
    }
    for way, values in rate.items():
        most = max(it[way]["at_once"] for it in rounds)
        print(f"{way}: {median(values):.1f} trials a minute, {most} at once at most")
    ratios = [auto / one for one, auto in zip(rate["one"], rate["auto"], strict=True)]
    print(f"auto : one {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), goal 2.5")
    first = rounds[0]["one"]["values"]
    for number, way in ((n, w) for n in range(len(rounds)) for w in WAYS):
        differing = sum(rounds[number][way]["values"][seed] != first[seed] for seed in first)
        print(f"round {number + 1}, {way}: {differing} of {len(first)} values differ")
    for name, pids in left.items():
        print(f"after {name}: {pids or 'nothing'} left on a GPU")


if __name__ == "__main__":
    main()
