"""What a trial costs the tuner itself: its CPU time and memory from 10 to 10,000 trials.

The tuner's code runs unchanged, journal, search and screen included; only the processes of the
trials are replaced, by ones that have ended already and logged one value. Run by `run.py`, with
the baked project as the working directory.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any
from unittest.mock import patch

COUNTS = (10, 100, 1000, 10_000)
GRID = {name: {"values": list(range(10))} for name in "abcd"}
RANDOM = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
    "momentum": {"min": 0.0, "max": 1.0},
    "optimizer": {"values": ["sgd", "adam"]},
    "batch_size": {"min": 16, "max": 256},
}
SWEEPS = {"grid": GRID, "random": RANDOM}


@dataclass
class Marks:
    """CPU seconds and memory of the tuner at the start of each trial; `own` is this file's part."""

    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    own: float = 0.0

    def run(self, launch: Any) -> bool:
        """A trial that takes no time; whether it has ended."""
        began = time.process_time()
        self.cpu.append(began - self.own)
        self.memory.append(resident())
        output = Path(launch.output)
        output.with_name("metrics.jsonl").write_text('{"accuracy": 0.5}\n')
        output.touch()
        self.own += time.process_time() - began
        return True


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def write_sweep(root: Path, method: str) -> Path:
    (root / "train.py").touch()
    sweep = {
        "program": "train.py",
        "method": method,
        "metric": {"name": "accuracy", "goal": "maximize"},
        "parameters": SWEEPS[method],
    }
    file = root / "sweep.yaml"
    file.write_text(json.dumps(sweep))  # JSON is YAML
    return file


def run(root: Path, method: str, count: int, terminal: bool, marks: Marks) -> None:
    sweep = write_sweep(root, method)
    with Path(os.devnull).open("w") as screen:
        tune(sweep, root, count, marks.run, screen, terminal)


def tune(
    file: Path,
    root: Path,
    count: int | None,
    trial: Callable[[Any], bool],
    screen: IO[str],
    terminal: bool = False,
) -> None:
    """Run the sweep with two workers; `trial` stands for all that they would start."""
    from hypertrain.local.tune import Asked, tune
    from hypertrain.machine import Share
    from hypertrain.sweepfile.sweep import load
    from hypertrain.trial import process
    from hypertrain.tuner import Limits
    from rich.console import Console

    class AtOnce(process.Worker):
        def __init__(self, events: "SimpleQueue[process.Event]") -> None:
            self._events = events

        def start(self, launch: process.Launch) -> None:
            self._events.put(process.Event(self, process.BEGUN, "cold"))
            if trial(launch):
                self._events.put(process.Event(self, process.ENDED, 0))

        def _send(self, **message: Any) -> None:
            """Nothing runs."""

        def close(self) -> None:
            """Nothing runs."""

        def wait(self) -> None:
            """Nothing runs."""

    def workers(count: int, events: "SimpleQueue[process.Event]") -> list[process.Worker]:
        return [AtOnce(events) for _ in range(count)]

    os.environ["WANDB_MODE"] = "disabled"
    console = Console(file=screen, force_terminal=terminal, width=160)
    limits = Limits(Share([], 2, False, ""), cold=True)
    with patch.object(process, "cold_workers", workers):
        tune(load(file, root), root, limits, Asked(count), console)


def measure_here(method: str, count: int, terminal: bool) -> dict[str, Any]:
    marks = Marks()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run(Path(folder), method, count, terminal, marks)
        seconds = time.perf_counter() - began
    marks.cpu.append(time.process_time() - marks.own)
    last = max(1, count // 10)
    return {
        "method": method,
        "trials": count,
        "terminal": terminal,
        "cpu_ms": 1000 * (marks.cpu[-1] - marks.cpu[0]) / count,
        "last_tenth_cpu_ms": 1000 * (marks.cpu[-2] - marks.cpu[-2 - last + 1]) / max(1, last - 1),
        "wall_ms": 1000 * seconds / count,
        "memory_mib": marks.memory[-1] / 2**20,
        "grown_kib_per_trial": (marks.memory[-1] - marks.memory[min(5, count - 1)]) / 1024 / count,
    }


def measure(python: Path, project: Path, method: str, count: int, terminal: bool) -> Any:
    """`measure_here` in a fresh process."""
    words = [str(python), __file__, method, str(count), *(["terminal"] if terminal else [])]
    env = os.environ | {"PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def plot(figures: list[dict[str, Any]], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "hypertrain"
    from matplotlib import pyplot

    figure, (time_axes, memory_axes) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for method in SWEEPS:
        rows = [row for row in figures if row["method"] == method and not row["terminal"]]
        counts = [row["trials"] for row in rows]
        time_axes.plot(counts, [row["cpu_ms"] for row in rows], "o-", label=method)
        memory_axes.plot(counts, [row["memory_mib"] for row in rows], "o-", label=method)
    time_axes.axhline(5, color="grey", linestyle="--", label="goal")
    time_axes.set(title="the tuner's own CPU time", ylabel="ms a trial")
    memory_axes.set(title="the tuner's memory", ylabel="MiB")
    for axes in (time_axes, memory_axes):
        axes.set(xscale="log", xlabel="trials of the sweep")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    if sys.argv[1] == "plot":
        plot(json.load(sys.stdin), Path(sys.argv[2]))
    else:
        found = measure_here(sys.argv[1], int(sys.argv[2]), "terminal" in sys.argv)
        print(json.dumps(found))
