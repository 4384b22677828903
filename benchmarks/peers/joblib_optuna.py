"""Optuna with joblib: processes are reused, so trials are not isolated from each other."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import optuna
from training import train

Trial = tuple[int, list[str]]


def run(trial: Trial) -> tuple[int, float]:
    number, arguments = trial
    return number, train(arguments)


def trials(study: optuna.Study, points: list[list[str]]) -> Iterator[Any]:
    for index, _ in enumerate(points):
        study.enqueue_trial({"point": index})
    choice = optuna.distributions.IntDistribution(0, len(points) - 1)
    for _ in points:
        asked = study.ask({"point": choice})
        yield joblib.delayed(run)((asked.number, points[asked.params["point"]]))


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    points = json.loads(Path(sys.argv[1]).read_text())
    workers = joblib.Parallel(n_jobs=2, backend="loky", return_as="generator_unordered")
    for number, value in workers(trials(study, points)):
        study.tell(number, value)
    print(study.best_value)


if __name__ == "__main__":
    main()
