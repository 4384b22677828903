"""How good is the best of 30 trials: ours, W&B's own engine and random search, on three functions.

Regret is the distance to the best possible value. Run by `run.py`; `python search_quality.py table`
makes `trainings.csv` anew, in the baked project and with its environment.
"""

import csv
import itertools
import json
import math
import os
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

TRIALS, SEEDS = 30, 10
TABLE = Path(__file__).with_name("trainings.csv")
CHOICES: dict[str, list[Any]] = {
    "lr": [1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002],
    "optimizer": ["sgd", "adam"],
    "scheduler": ["const", "cosine"],
    "batch_size": [16, 32, 64, 128, 256],
}
Params = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something to minimize. parameters: as in a sweep file. best: its least value."""

    value: Callable[[Params], float]
    parameters: dict[str, Any]
    best: float

    @property
    def config(self) -> dict[str, Any]:
        metric = {"name": "loss", "goal": "minimize"}
        return {"method": "bayes", "metric": metric, "parameters": self.parameters}


def branin(params: Params) -> float:
    x, y = params["x"], params["y"]
    parabola = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(parabola**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def hartmann6(params: Params) -> float:
    weights = [1.0, 1.2, 3.0, 3.2]
    a = [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
    p = [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
    x = [params[name] for name in "abcdef"]
    total = 0.0
    for weight, scales, centre in zip(weights, a, p, strict=True):
        away = sum(s * (v - c / 1e4) ** 2 for s, v, c in zip(scales, x, centre, strict=True))
        total -= weight * math.exp(-away)
    return total


def error_rate(params: Params) -> float:
    return 1 - table()[row(params)]


@cache
def table() -> dict[Any, float]:
    """Validation accuracy of real trainings."""
    with TABLE.open(newline="") as file:
        return {row(line): float(line["accuracy"]) for line in csv.DictReader(file)}


def row(params: Params) -> Any:
    """What identifies a training: a line of the table and a sweep, which sends 1.0 as 1, agree."""
    optimizer, scheduler = params["optimizer"], params["scheduler"]
    return float(params["lr"]), optimizer, scheduler, int(params["batch_size"])


def problems() -> dict[str, Problem]:
    unit = {name: {"min": 0.0, "max": 1.0} for name in "abcdef"}
    plane = {"x": {"min": -5.0, "max": 10.0}, "y": {"min": 0.0, "max": 15.0}}
    choices = {name: {"values": values} for name, values in CHOICES.items()}
    return {
        "Branin": Problem(branin, plane, 0.397887),
        "Hartmann6": Problem(hartmann6, unit, -3.322368),
        "trainings": Problem(error_rate, choices, 1 - max(table().values())),
    }


# Each engine takes a problem, a seed and the number of workers; it gives the value of each trial.


def ours(problem: Problem, seed: int, workers: int, method: str = "bayes") -> list[float]:
    from hypertrain.search.search import new_search, params_at
    from search_sweep import sweep_of

    sweep = sweep_of({**problem.config, "method": method}, seed)
    search = new_search(sweep)
    values: list[float] = []
    pending: list[tuple[int, float]] = []
    for number in range(1, TRIALS + 1):
        point = search.ask(number)
        assert point is not None
        pending.append((number, problem.value(params_at(sweep.space, point))))
        if len(pending) == workers:
            search.tell(*pending[0])
            values.append(pending.pop(0)[1])
    return values + [value for _, value in pending]


def random_search(problem: Problem, seed: int, workers: int) -> list[float]:
    return ours(problem, seed, workers, "random")


def wandb_engine(problem: Problem, seed: int, workers: int) -> list[float]:
    import numpy
    from sweeps import RunState, next_run

    random.seed(seed)
    numpy.random.seed(seed)
    runs: list[Any] = []
    for number in range(TRIALS):
        if number >= workers:
            runs[number - workers].state = RunState.finished
            runs[number - workers].summary_metrics = {"loss": values_of(problem, runs)[-workers]}
        run = next_run(problem.config, runs)
        run.state = RunState.running
        runs.append(run)
    return values_of(problem, runs)


def values_of(problem: Problem, runs: list[Any]) -> list[float]:
    return [
        problem.value({name: entry["value"] for name, entry in run.config.items()}) for run in runs
    ]


ENGINES = {"ours": ours, "W&B": wandb_engine, "random": random_search}


def regret(engine: str, problem: str, workers: int, seed: int) -> float:
    task = problems()[problem]
    values = ENGINES[engine](task, seed, workers)
    assert len(values) == TRIALS
    return min(values) - task.best


def compare() -> Iterator[dict[str, Any]]:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        cases = list(itertools.product(problems(), (1, 2), ENGINES))
        jobs = {
            case: [pool.submit(regret, case[2], case[0], case[1], seed) for seed in range(SEEDS)]
            for case in cases
        }
        for (problem, workers, engine), waiting in jobs.items():
            found = [job.result() for job in waiting]
            yield {
                "problem": problem,
                "workers": workers,
                "engine": engine,
                "regret": statistics.mean(found),
                "error": statistics.stdev(found) / math.sqrt(SEEDS),
            }


# The table of real trainings


def accuracy(params: Params) -> float:
    sys.path.append(str(Path(__file__).with_name("peers")))
    from training import train

    # So few epochs leave something to choose from: after ten, half of the table is at 0.99.
    return train(["--epochs=3", *(f"--{name}={value}" for name, value in params.items())])


def make_table() -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    points = [
        dict(zip(CHOICES, point, strict=True)) for point in itertools.product(*CHOICES.values())
    ]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool, TABLE.open("w", newline="") as file:
        rows = csv.DictWriter(file, [*CHOICES, "accuracy"], lineterminator="\n")
        rows.writeheader()
        for point, value in zip(points, pool.map(accuracy, points), strict=True):
            rows.writerow({**point, "accuracy": value})
            file.flush()


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        make_table()
    else:
        for found in compare():
            print(json.dumps(found), flush=True)
