"""How many epochs early termination spares a search, on learning curves of real trainings.

    .cache/tests/bin/python benchmarks/search_early.py

writes a line of JSON for each case into `search_results/early.jsonl`. With the word `table`, where
scikit-learn is installed, it makes the curves anew: of its network on its digits, 180 points of 27
epochs.
"""

import csv
import itertools
import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "{{cookiecutter.project_slug}}"))
from hypertrain.search.hyperband import Hyperband  # noqa: E402
from hypertrain.search.search import new_search, params_at  # noqa: E402
from hypertrain.sweepfile.sweep import Sweep  # noqa: E402
from search_sweep import sweep_of  # noqa: E402

CURVES, RESULTS = HERE / "search_curves.csv", HERE / "search_results" / "early.jsonl"
EPOCHS, TRIALS, SEEDS = 27, 30, 10
CHOICES: dict[str, list[Any]] = {
    "lr": [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001],
    "solver": ["sgd", "adam"],
    "batch_size": [16, 32, 64, 128, 256],
    "units": [16, 64],
}
SWEEP: dict[str, Any] = {
    "method": "bayes",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {name: {"values": values} for name, values in CHOICES.items()},
}
EARLY: dict[str, dict[str, Any] | None] = {
    "full": None,
    "max_iter: 27, s: 3": {"type": "hyperband", "max_iter": 27, "s": 3},
    "min_iter: 3": {"type": "hyperband", "min_iter": 3},
}
RUNGS, ETA = (1, 3, 9, 27), 3
"""Epochs after which trials are compared where stopped ones may go on; one in ETA does."""
Point = tuple[Any, ...]
Look = tuple[int, float]
"""Epochs spent and the best loss so far, after each turn of a search."""


@cache
def curves() -> dict[Point, list[float]]:
    """Validation loss after each epoch."""
    with CURVES.open(newline="") as file:
        lines = [list(map(float, line)) for line in csv.reader(file)]
    return dict(zip(itertools.product(*CHOICES.values()), lines, strict=True))


def searched(early: Mapping[str, Any] | None, seed: int) -> list[Look]:
    """One trial after the other, stopped by W&B's rule.

    A search that stops trials early goes on for the epochs of TRIALS whole ones.
    """
    sweep = sweep_of(SWEEP | ({"early_terminate": early} if early else {}), seed)
    search, hyperband = new_search(sweep), Hyperband(sweep.bands) if sweep.bands else None
    spent, best, found = 0, float("inf"), []
    for number in itertools.count(1):
        point = search.ask(number)
        if point is None or spent >= TRIALS * EPOCHS:
            return found
        logged: list[float] = []
        for loss in curve_at(sweep, point):
            logged.append(loss)
            if hyperband:
                hyperband.add(number, loss)
                if hyperband.stops(number):
                    break
        if hyperband:
            hyperband.end(number)
        search.tell(number, min(logged))
        spent, best = spent + len(logged), min(best, *logged)
        found.append((spent, best))
    raise AssertionError


def promoted(seed: int) -> list[Look]:
    """What W&B's rule does not do: a stopped trial goes on once it is among the best of its rung.

    Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, 2018 (ASHA).
    """
    sweep = sweep_of(SWEEP, seed)
    search = new_search(sweep)
    curves: list[list[float]] = []
    reached: list[dict[int, float]] = [{} for _ in RUNGS]  # the best loss of each trial there
    spent, best, found = 0, float("inf"), []
    while spent < TRIALS * EPOCHS:
        trial, rung = next(promotable(reached), (len(curves), 0))
        if trial == len(curves):
            point = search.ask(trial + 1)
            if point is None:
                return found
            curves.append(curve_at(sweep, point))
        before = RUNGS[rung - 1] if rung else 0
        reached[rung][trial] = min(curves[trial][: RUNGS[rung]])
        search.tell(trial + 1, reached[rung][trial])
        spent, best = spent + RUNGS[rung] - before, min(best, reached[rung][trial])
        found.append((spent, best))
    return found


def promotable(reached: Sequence[Mapping[int, float]]) -> Iterator[tuple[int, int]]:
    """Trials that may go on to the next rung, from the highest rung down, the best first."""
    for rung, losses in reversed(list(enumerate(reached[:-1]))):
        leaders = sorted(losses, key=losses.__getitem__)[: len(losses) // ETA]
        yield from ((trial, rung + 1) for trial in leaders if trial not in reached[rung + 1])


def curve_at(sweep: Sweep, point: list[float]) -> list[float]:
    params = params_at(sweep.space, point)
    return curves()[tuple(params[name] for name in CHOICES)]


def compare() -> None:
    lines = []
    for seed in range(SEEDS):
        runs = {name: searched(early, seed) for name, early in EARLY.items()}
        runs["second chances"] = promoted(seed)
        target = runs["full"][-1][1]
        for name, run in runs.items():
            needed = next((spent for spent, best in run if best <= target), None)
            last = {"turns": len(run), "best": run[-1][1]}
            lines.append(json.dumps({"early": name, "seed": seed, "epochs": needed, **last}))
            print(lines[-1], flush=True)
    RESULTS.write_text("\n".join([*lines, ""]))


# The table of real trainings


def curve(point: Point) -> list[float]:
    from sklearn.datasets import load_digits
    from sklearn.metrics import log_loss
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    params = dict(zip(CHOICES, point, strict=True))
    x, y = load_digits(return_X_y=True)
    x, held_x, y, held_y = train_test_split(x / 16, y, test_size=0.3, random_state=0)
    network = MLPClassifier(
        (params["units"],),
        solver=params["solver"],
        learning_rate_init=params["lr"],
        batch_size=params["batch_size"],
        random_state=0,
    )
    losses = []
    for _ in range(EPOCHS):
        network.partial_fit(x, y, classes=range(10))
        shares = network.predict_proba(held_x)
        losses.append(float(log_loss(held_y, shares)))
    return losses


def make_table() -> None:
    points = list(itertools.product(*CHOICES.values()))
    with Pool(2) as pool, CURVES.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        for losses in pool.imap(curve, points):
            rows.writerow(f"{loss:.5g}" for loss in losses)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    make_table() if sys.argv[1:] == ["table"] else compare()
