"""How long a sweep takes and what it costs, judged by a few of its trials, run as it runs them."""

import heapq
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from hypertrain.check import probe
from hypertrain.check.bake import Preset
from hypertrain.check.probe import Finding
from hypertrain.results.journal import Journal, Record
from hypertrain.search.search import Grid, Point, Random, params_at
from hypertrain.show.words import counted, duration
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial.process import OUTPUT

STEPS = re.compile(r"(?<![\w./])(\d+) ?(?:/|of) ?(\d+)(?![\w./])")
"""How programs print their progress: `epoch 3/10`, `step 30 of 100`."""
SAMPLE = 1000
"""Of a larger sweep so many trials stand for all."""
LEAVE = 60.0
"""Seconds for the trials to end when the time to measure is up."""


@dataclass(frozen=True)
class Step:
    """So much of a trial's own count was done after so many seconds."""

    seconds: float
    done: int
    total: int


@dataclass
class Trial:
    """A measured trial. seconds: it took, None if it was cut off. steps: its progress, as printed."""

    params: Mapping[str, Any]
    seconds: float | None = None
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Estimate:
    """Of a sweep. trials: how many it has. each: seconds of those looked at. around: of the rest."""

    trials: int
    each: Sequence[float]
    around: float

    def seconds(self, workers: int) -> float:
        """Wall time with so many trials at once."""
        looked_at = min(len(self.each), self.trials)
        scale = self.trials / looked_at
        if scale == 1:
            return self.around + makespan(self.each, workers)
        return self.around + max(fmean(self.each), scale * sum(self.each) / workers)


def makespan(times: Sequence[float], workers: int) -> float:
    """When the last one is done if each worker takes the next one as soon as it is free."""
    free = [0.0] * workers
    for seconds in times:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def a_step(trial: Trial) -> float:
    """Seconds of one step; 0 if the trial has not told of two."""
    if not trial.steps or trial.steps[-1].done == trial.steps[0].done:
        return 0.0
    first, last = trial.steps[0], trial.steps[-1]
    return (last.seconds - first.seconds) / (last.done - first.done)


def whole(trial: Trial) -> float | None:
    """Seconds from a trial's begin to its end, by its progress if it was cut off."""
    if trial.seconds is not None or not trial.steps:
        return trial.seconds
    last = trial.steps[-1]
    if each := a_step(trial):  # what comes before the first step is not repeated
        return last.seconds + (last.total - last.done) * each
    return last.seconds * last.total / last.done


def lengths(measured: Sequence[Trial], params: Sequence[Mapping[str, Any]]) -> list[float] | None:
    """Seconds of trials with these parameters: as the measured ones, but for a parameter that says
    how many steps there are; None if nothing was measured."""
    known = [(trial, seconds) for trial in measured if (seconds := whole(trial))]
    if not known:
        return None
    mean = fmean(seconds for _, seconds in known)
    name = _says_steps([trial for trial, _ in known])
    if not name:
        return [mean] * len(params)
    each = fmean(a_step(trial) for trial, _ in known)
    steps = fmean(trial.params[name] for trial, _ in known)
    return [max(0.0, mean + each * (one[name] - steps)) for one in params]


def _says_steps(measured: Sequence[Trial]) -> str | None:
    """The parameter that every trial's progress counts up to."""
    for name in measured[0].params:
        if all(
            trial.steps
            and isinstance(trial.params.get(name), int | float)
            and not isinstance(trial.params[name], bool)
            and trial.params[name] == trial.steps[-1].total > 1
            for trial in measured
        ):
            return name
    return None


def trials_of(sweep: Sweep, size: int) -> list[dict[str, Any]]:
    """Parameters of the sweep's trials, or of the first ones; what bayes draws is not known."""
    search = Grid(sweep.space) if sweep.method == "grid" else Random(sweep)
    points = (search.ask(number) for number in range(1, min(size, SAMPLE) + 1))
    return [params_at(sweep.space, point) for point in points if point is not None]


def estimate(sweep: Sweep, here: Path, size: int, workers: int, seconds: float) -> Estimate | None:
    """From a few trials, run in the copy `here` for so long at most; None if nothing is known."""
    workers = min(workers, size)
    if sweep.method == "grid":  # what chance draws is spread already
        grid = Grid(sweep.space)
        _ask_for(sweep, here, [grid.suggest(n) or [] for n in spread(grid, workers, size)])
    measured, around = measure(sweep, here, workers, seconds)
    each = lengths(measured, trials_of(sweep, size))
    return Estimate(size, each, around) if each else None


def spread(grid: Grid, count: int, size: int) -> list[int]:
    """Numbers of so many of the first `size` trials, over the whole range of each parameter.

    The first ones would have the first value of most parameters, which may be the quickest.
    """
    found: list[int] = []
    for share in ((n + 0.5) / count for n in range(count)):
        number = 0
        for turn, values in enumerate(grid.sizes):
            number = number * values + int((1 - share if turn % 2 else share) * values)
        found.append(number + 1)
    fit = {number: None for number in found if number <= size}
    others = (number for number in range(1, size + 1) if number not in fit)
    return [*fit, *itertools.islice(others, count - len(fit))]


def _ask_for(sweep: Sweep, here: Path, points: Iterable[Point]) -> None:
    """Let the sweep in `here` begin with trials of these points."""
    with Journal(here / "results" / f"sweep-{sweep.id}") as journal:
        for number, point in enumerate(points, 1):
            journal.write(Record(number, point, params_at(sweep.space, point)))


def measure(sweep: Sweep, here: Path, workers: int, seconds: float) -> tuple[list[Trial], float]:
    """Run trials of the sweep in `here`, one for each worker, for so long at most.

    Returns: the trials; seconds before and after them, as far as they were seen.
    """
    words = ["-m", "hypertrain", "--sweep", str(sweep.path), f"--time-limit={max(1, seconds):.0f}s"]
    words += [f"--workers={workers}", f"--count={workers}"]
    environ = {**probe.environment(Path(__file__).parents[2]), "WANDB_MODE": "offline"}
    begun = time.monotonic()
    trials: dict[int, Trial] = {}
    begins: dict[int, float] = {}
    with Path(os.devnull).open("wb") as nowhere:
        process = probe.start([sys.executable, *words], here, environ, nowhere, nowhere)
    try:

        def look() -> bool:
            _read(here / "results", trials, begins)
            return process.poll() is not None

        probe.wait(look, seconds + LEAVE)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(KeyboardInterrupt):
            probe.wait(lambda: process.poll() is not None, LEAVE)
        probe.kill(process)
    _read(here / "results", trials, begins)
    took = [trial.seconds for trial in trials.values() if trial.seconds is not None]
    if len(took) == workers:
        around = time.monotonic() - begun - max(took)
    else:
        around = min(begins.values(), default=begun) - begun
    return list(trials.values()), max(0.0, around)


def _read(results: Path, trials: dict[int, Trial], begins: dict[int, float]) -> None:
    """What the journal and the trials' output say by now.

    begins: when each was first seen to have begun; the wall clock, which the journal has, may be set.
    """
    for journal in results.glob("sweep-*/journal.jsonl"):
        for line in journal.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                number = entry.get("number")
                if number is None or not entry.get("begun"):
                    continue
                trial = trials.setdefault(number, Trial(entry["params"]))
                begins.setdefault(number, time.monotonic())
                if entry.get("state") == "completed":
                    trial.seconds = entry["seconds"]
        for number, trial in trials.items():
            output = journal.parent / "trials" / str(number) / OUTPUT
            with suppress(OSError):
                _note(trial, output.read_text(errors="replace"), time.monotonic() - begins[number])


def _note(trial: Trial, output: str, seconds: float) -> None:
    found = [(int(done), int(total)) for done, total in STEPS.findall(output)]
    found = [(done, total) for done, total in found if 0 < done <= total > 1]
    if found and (not trial.steps or trial.steps[-1].done < found[-1][0]):
        trial.steps.append(Step(seconds, *found[-1]))


def costs(
    found: Estimate | None, here_workers: int, preset: Preset | None, workers: int
) -> Iterator[Finding]:
    """What the sweep takes here, and on the platform if its preset is known."""
    if found is None:
        hint = "let it print its progress, such as `epoch 3/10`, or give it more --trial-time"
        yield Finding("unknown", f"time: the trials that were measured did not end; {hint}")
        return
    here = duration(found.seconds(here_workers))
    each = duration(fmean(found.each))
    trials = f"{counted(found.trials, 'trial')} of about {each}"
    yield Finding("ok", f"time: about {here} here with {counted(here_workers, 'worker')}, {trials}")
    if preset:
        seconds = found.seconds(workers * max(1, gpus(preset)))
        jobs = f"{counted(workers, 'worker')} of {preset.name}"
        text = f"time: about {duration(seconds)} on the platform with {jobs}"
        with suppress(ValueError):
            text += f", {workers * seconds / 3600 * float(preset.price):.2g} credits"
        yield Finding("ok", f"{text}, if its machines are as fast as this one")


def gpus(preset: Preset) -> int:
    """How many, or slices of them, a preset has."""
    return sum(int(number) for number in re.findall(r": (\d+)", preset.gpus))
