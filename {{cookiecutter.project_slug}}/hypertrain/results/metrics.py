"""What a trial logged, read back: live, and where nothing was seen live, from W&B's own files."""

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


class Reader:
    """Values of one metric in a trial's file, as they arrive."""

    def __init__(self, path: Path, metric: str | None) -> None:
        self._path, self._metric, self._offset = path, metric, 0
        self.values: list[float] = []
        self.names: set[str] = set()
        self.not_finite = False

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
        for line in whole.splitlines():
            try:
                logged = json.loads(line)
            except ValueError:
                continue
            if isinstance(logged, dict):
                self._add(logged)
        return self.values[known:]

    def read_run(
        self, records: Iterable[tuple[str, Any]], best: Callable[[list[float]], float]
    ) -> None:
        """Take what W&B kept of the run, if nothing of the metric was seen live.

        records: of `inside_wandb.read_run`.
        """
        if self.values or self._metric is None:
            return
        summary: dict[str, Any] = {}
        for kind, logged in records:
            if kind == "history":
                self._add(logged)
            elif kind == "summary":
                summary |= logged
        if not self.values:
            # After `define_metric(name, summary="max")` the summary has `name.max`.
            name = self._metric
            ends = [
                summary.get(key) for key in (name, f"{name}.max", f"{name}.min", f"{name}.last")
            ]
            numbers = [float(n) for value in ends for n in _numbers(value)]
            self._add({name: best(numbers)} if numbers else {})
            self.names |= {key for key in summary if not key.startswith("_")}

    def _add(self, logged: dict[str, Any]) -> None:
        self.names |= {name for name in logged if not name.startswith("_")}
        value = logged.get(self._metric or "")
        if isinstance(value, int | float) and not isinstance(value, bool):
            if math.isfinite(value):
                self.values.append(value)
            else:
                self.not_finite = True

    def missing(self) -> str | None:
        """Why there is no value, in one line; None if there is one."""
        if self.values:
            return None
        if self.not_finite:
            return f"{self._metric} was never a finite number"
        logged = ", ".join(sorted(self.names)) or "nothing"
        return f"{self._metric} was never logged; the program logged {logged}"


def _numbers(value: Any) -> list[float]:
    """The value itself, or the numbers in what `define_metric` makes of it."""
    found = value.values() if isinstance(value, dict) else [value]
    return [n for n in found if isinstance(n, int | float) and not isinstance(n, bool)]
