"""What a W&B run wrote of itself: the records of its `run-ID.wandb`, offline and online alike.

The format, as its documentation tells (LevelDB's `doc/log_format.md`): blocks of 32 KiB, in them
fragments with a header of seven bytes (checksum, length, kind). wandb puts seven bytes of its own
before the first block and counts them as part of it. A record is a `Record` of wandb's protocol.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32 * 1024, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class WrittenRun:
    """One run, as whoever syncs its file would see it.

    history: the rows, each with nested names joined by a dot.
    exit_code: None when the run never ended.
    """

    path: Path
    id: str = ""
    started: float = 0.0
    attributes: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    output: str = ""
    exit_code: int | None = None


def read(path: Path) -> WrittenRun:
    """Everything that the run's file tells."""
    run = WrittenRun(path)
    output: list[str] = []
    for record in records(path):
        kind = record.WhichOneof("record_type")
        value = getattr(record, kind)
        if kind == "run":
            run.id = value.run_id
            run.started = run.started or value.start_time.ToMilliseconds() / 1000
            run.attributes |= {
                name: getattr(value, name)
                for name in ("project", "run_group", "job_type", "display_name", "notes")
            }
            run.attributes["tags"] = list(value.tags)
            run.config |= dict(_items(value.config.update))
        elif kind == "config":
            run.config |= dict(_items(value.update))
        elif kind == "history":
            run.history.append(dict(_items(value.item)))
        elif kind == "summary":
            run.summary |= dict(_items(value.update))
            for gone in value.remove:
                run.summary.pop(".".join(gone.nested_key) or gone.key, None)
        elif kind == "metric":
            name = value.name or value.glob_name
            run.metrics[name] = f"by {value.step_metric}, {value.summary}".replace("\n", " ")
        elif kind == "artifact":
            run.artifacts.append(f"{value.type} {value.name}")
        elif kind == "environment" and value.program:
            run.attributes |= {"program": value.program, "args": list(value.args)}
        elif kind == "output_raw":
            output.append(value.line)
        elif kind == "exit":
            run.exit_code = value.exit_code
    run.output = "".join(output)
    return run


def records(path: Path) -> Iterator[Any]:
    """The records in their order; a file cut short by a kill simply ends."""
    data = path.read_bytes()
    place, parts = HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        place += HEADER
        fragment = data[place : place + length]
        place += length
        parts = fragment if kind in (WHOLE, FIRST) else parts + fragment
        if kind in (WHOLE, LAST) and len(fragment) == length:
            record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
            record.ParseFromString(parts)
            yield record


def _items(items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for item in items:
        yield ".".join(item.nested_key) or item.key, json.loads(item.value_json)
