"""What a trial logs with wandb, seen from outside: one line of JSON per call of `log`.

The trial's side wraps `wandb.Run.log` and appends to a file; the tuner's side reads what is new.
The program needs no change, whether W&B is online, offline or disabled.
"""

import functools
import importlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

FILE = "HYPERTRAIN_METRICS"


def record() -> None:
    """Append what this process logs to the file named in the environment.

    wandb may be imported already, or whenever the program gets to it.
    """
    if "wandb" in sys.modules:
        _wrap_log(sys.modules["wandb"])
    else:
        sys.meta_path.insert(0, _WhenImported())


class _WhenImported(MetaPathFinder):
    """Finds `wandb` with the other finders, and wraps it as soon as it is loaded."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "wandb":
            return None
        sys.meta_path.remove(self)
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path)
        spec = next((spec for spec in found if spec), None)
        if spec and spec.loader:
            load = spec.loader.exec_module

            def load_and_wrap(module: Any) -> None:
                load(module)
                _wrap_log(module)

            spec.loader.exec_module = load_and_wrap  # type: ignore[method-assign]
        return spec


def _wrap_log(wandb: Any) -> None:
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    disabled = importlib.import_module("wandb.sdk.lib.noop_run").NoopRun
    for run in (wandb.Run, disabled):
        run.log = _recording(run.log, file)


def _recording(log: Callable[..., None], file: int) -> Callable[..., None]:
    @functools.wraps(log)
    def recording(self: Any, data: Any, *args: Any, **kwargs: Any) -> None:
        log(self, data, *args, **kwargs)
        if isinstance(data, dict) and (numbers := dict(_numbers(data))):
            os.write(file, json.dumps(numbers).encode() + b"\n")

    return recording


def _numbers(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Numbers in what was logged; nested ones are named `outer.inner`, as W&B names them."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}.")
        elif not isinstance(value, str | bytes | bool):
            # Images, tables, tensors of many elements and the like are no metrics.
            with suppress(Exception):
                yield f"{prefix}{key}", float(value)


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
