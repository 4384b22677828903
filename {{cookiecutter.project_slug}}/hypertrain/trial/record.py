"""What a trial logs with wandb, noted inside the trial: one line of JSON per call of `log`.

`_step` is W&B's step, where the program gives one. A line `_begun`, which the tuner writes, parts what
the trial logged before it was cut off from what it logs since.

The program needs no change, whether W&B is online, offline or disabled. Nothing that the program
might shadow is imported here, and whatever goes wrong, the program goes on.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

FILE = "HYPERTRAIN_METRICS"
STEP = "_step"


def record() -> None:
    """Append what this process logs to the file named in the environment.

    wandb may be imported already, or whenever the program gets to it.
    """
    if not os.environ.get(FILE):
        return
    if "wandb" in sys.modules:
        _watch()
    else:
        sys.meta_path.insert(0, _WhenImported())


class _WhenImported:
    """Finds `wandb` with the other finders, and watches its runs as soon as it is loaded."""

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        if name != "wandb":
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec), None)
        if spec and spec.loader:
            load = spec.loader.exec_module

            def load_and_watch(module: "Any") -> None:
                load(module)
                sys.meta_path[:] = [it for it in sys.meta_path if it is not self]
                _watch()

            spec.loader.exec_module = load_and_watch  # type: ignore[method-assign]
        return spec


def _watch() -> None:
    from hypertrain import inside_wandb

    inside_wandb.watch_runs(_note)


def _note(data: "Any", step: "int | None") -> None:
    import json

    if numbers := dict(_numbers(data)):
        if step is not None:
            numbers[STEP] = int(step)
        file = os.open(os.environ[FILE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        line = json.dumps(numbers).encode() + b"\n"
        if (written := os.write(file, line)) < len(line):  # the disk is full
            os.ftruncate(file, os.lseek(file, 0, os.SEEK_END) - written)
        os.close(file)


def _numbers(data: "dict[str, Any]", prefix: str = "") -> "Iterator[tuple[str, float]]":
    """Numbers in what was logged; nested ones are named `outer.inner`, as W&B names them."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{key}.")
        elif not isinstance(value, str | bytes | bool):
            try:
                yield f"{prefix}{key}", float(value)
            except Exception:  # noqa: BLE001, S112
                continue  # images, tables, tensors of many elements and the like are no metrics
