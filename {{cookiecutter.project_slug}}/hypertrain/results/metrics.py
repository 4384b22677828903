"""What a trial logged, read back: live, and where nothing was seen live, from W&B's own files.

A trial that was cut off logs some of it again, or all: from the first step that it gives on, what it
had logged before no longer counts; all of that, if it gives no step.
"""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

STEP, BEGUN = "_step", "_begun"
"""In a line: W&B's step, if the program gives it; that the trial was started anew."""


def begin_anew(path: Path) -> None:
    """Note that the trial of this file is about to be started again, if there is such a file."""
    if path.exists():
        with path.open("ab") as file:
            file.write(b"\n" + json.dumps({BEGUN: 1}).encode() + b"\n")


def settled(lines: Iterable[dict[str, float]]) -> list[dict[str, float]]:
    """Lines as they are read, without the values that no longer count."""
    kept: list[tuple[float | None, dict[str, float]]] = []
    earlier, again = 0, set[str]()
    for line in lines:
        if BEGUN in line:
            earlier, again = len(kept), set()
            continue
        step, values = line.get(STEP), {name: line[name] for name in line if name != STEP}
        for name in values.keys() - again:
            for at, old in kept[:earlier]:
                if not _stays(at, step):
                    old.pop(name, None)
        again |= values.keys()
        kept.append((step, values))
    return [values for _, values in kept if values]


def _stays(earlier: float | None, first: float | None) -> bool:
    """Whether what was logged at the step `earlier` counts when `first` is the first one since."""
    return earlier is not None and first is not None and earlier < first


class Reader:
    """Values of one metric in a trial's file, as they arrive.

    What a trial logged before it was cut off arrives with the first value after that.
    """

    def __init__(self, path: Path, metric: str | None) -> None:
        self._path, self._metric, self._offset = path, metric, 0
        self._steps: list[int | None] = []
        self._earlier: list[tuple[int | None, float]] = []
        self.values: list[float] = []
        self.names: set[str] = set()
        self.not_finite = False
        self.damaged = 0

    def read(self) -> list[float]:
        """The finite values since the last call; a damaged line costs that line."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        known = len(self.values)
        for line in filter(None, whole.split(b"\n")):
            try:
                self._add(dict(json.loads(line)))
            except (ValueError, TypeError, OverflowError, RecursionError):
                self.damaged += 1
        return self.values[known:]

    def read_run(
        self, records: Iterable[tuple[str, Any]], best: Callable[[list[float]], float]
    ) -> None:
        """The trial has ended: take what W&B kept of it, if nothing of the metric was seen live.

        records: of `inside_wandb.read_run`.
        """
        self._take_earlier(lambda _: True)
        if self.values or self._metric is None:
            return
        summary: dict[str, Any] = {}
        for kind, logged in records:
            if kind == "begun":
                self._begin()
            elif kind == "history":
                self._add(logged)
            elif kind == "summary":
                summary |= logged
        self._take_earlier(lambda _: True)
        if not self.values:
            # After `define_metric(name, summary="max")` the summary has `name.max`.
            name = self._metric
            ends = [
                summary.get(key) for key in (name, f"{name}.max", f"{name}.min", f"{name}.last")
            ]
            numbers = [float(n) for value in ends for n in _numbers(value)]
            self._add({name: best(numbers)} if numbers else {})
            self.names |= {key for key in summary if not key.startswith("_")}

    def _begin(self) -> None:
        self._earlier += zip(self._steps, self.values, strict=True)
        self._steps, self.values = [], []

    def _take_earlier(self, stays: Callable[[int | None], bool]) -> None:
        """If nothing has been logged since, let what was logged before count, as far as it stays."""
        for step, value in self._earlier:
            if stays(step):
                self._steps.append(step)
                self.values.append(value)
        self._earlier = []

    def _add(self, logged: dict[str, Any]) -> None:
        if BEGUN in logged:
            return self._begin()
        self.names |= {name for name in logged if not name.startswith("_")}
        value = logged.get(self._metric or "")
        if isinstance(value, int | float) and not isinstance(value, bool):
            if math.isfinite(value):
                step = logged.get(STEP)
                self._take_earlier(lambda earlier: _stays(earlier, step))
                self._steps.append(step)
                self.values.append(value)
            else:
                self.not_finite = True

    def missing(self) -> str | None:
        """Why there is no value, in one line; None if there is one."""
        if self.values:
            return None
        if self.not_finite:
            return f"{self._metric} was never a finite number"
        if self._metric in self.names:
            return f"{self._metric} was logged, but never as a number"
        logged = ", ".join(sorted(self.names)) or "nothing"
        return f"{self._metric} was never logged; the program logged {logged}"


def _numbers(value: Any) -> list[float]:
    """The value itself, or the numbers in what `define_metric` makes of it."""
    found = value.values() if isinstance(value, dict) else [value]
    return [n for n in found if isinstance(n, int | float) and not isinstance(n, bool)]
