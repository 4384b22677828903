"""What a trial logged, read back: one line of JSON per call of `log`."""

import json
import math
from pathlib import Path


class Reader:
    """Values of one metric in a trial's file, as they arrive."""

    def __init__(self, path: Path, metric: str | None) -> None:
        self._path, self._metric, self._offset = path, metric, 0
        self.values: list[float] = []
        self.names: set[str] = set()
        self.not_finite = False

    def read(self) -> list[float]:
        """The finite values since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        fresh = []
        for line in whole.splitlines():
            logged = json.loads(line)
            self.names |= logged.keys()
            value = logged.get(self._metric)
            if value is not None and math.isfinite(value):
                fresh.append(value)
            elif value is not None:
                self.not_finite = True
        self.values += fresh
        return fresh

    def missing(self) -> str | None:
        """Why there is no value, in one line; None if there is one."""
        if self.values:
            return None
        if self.not_finite:
            return f"{self._metric} was never a finite number"
        logged = ", ".join(sorted(self.names)) or "nothing"
        return f"{self._metric} was never logged; the program logged {logged}"
