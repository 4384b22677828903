"""What a trial logs with wandb, noted inside the trial: one line of JSON per call of `log`.

The program needs no change, whether W&B is online, offline or disabled.
"""

import functools
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
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
