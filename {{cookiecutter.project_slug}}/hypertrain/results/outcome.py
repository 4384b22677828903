"""What there is to show of a sweep, be it in a results folder or on W&B."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hypertrain.results.folder import About, about, sweep_of
from hypertrain.results.journal import JOURNAL, Record, damage, is_running, read
from hypertrain.sweepfile.command import secrets
from hypertrain.sweepfile.sweep import Metric, Sweep
from hypertrain.trial.command import repeat

ARGS, OUTPUT = "args.json", "output.log"
CONFIRM, VERDICT = "confirm", "verdict.json"
"""Below a results folder: its trials on fresh seeds (`confirm.py`), and what came out."""
RUNNING = "running"
WHOLE = ("completed", "finished")
"""States of a trial that ran to its end, here and on W&B."""


@dataclass(frozen=True)
class Row:
    """One trial.

    value: best of the metric; None when it has none. seconds: of wall time. begun, ended: Unix
    times. folder: what it left on this machine. code: fingerprint of what it ran with. older: that
    has changed since.
    """

    name: str
    state: str
    value: float | None
    params: dict[str, Any]
    seconds: float | None = None
    note: str = ""
    begun: float | None = None
    ended: float | None = None
    worker: int | None = None
    host: str | None = None
    folder: Path | None = None
    run: str | None = None
    code: str | None = None
    older: bool = False

    @cached_property
    def flat(self) -> dict[str, Any]:
        """Nested parameters under dotted names, as W&B shows them."""
        return dict(flat(self.params))


@dataclass(frozen=True)
class Outcome:
    """A sweep as far as it has come.

    where: the results folder as a person would write it, or the address of the page on W&B.
    running: a tuner is at work on it. repeat: the command that repeats a trial, if it is known.
    seeds: parameters that change nothing but a seed. repeats: values of one training, seed by seed.
    logs: parameters whose distribution is logarithmic.
    changed: files that are not what they were when the older trials ran.
    file: the sweep file in the project. secrets: variables whose values are not to be shown.
    """

    title: str
    where: str
    metric: Metric | None
    rows: Sequence[Row]
    repeat: Callable[[Row], str | None] = lambda row: None
    folder: Path | None = None
    running: bool = False
    seeds: tuple[str, ...] = ("seed", "random_seed", "random_state")
    repeats: Sequence[Sequence[float]] = ()
    logs: frozenset[str] = frozenset()
    changed: tuple[str, ...] = ()
    file: str | None = None
    secrets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def outcome(folder: Path, root: Path, sweep: Sweep | None = None) -> Outcome:
    """Read a results folder, also while the sweep runs."""
    records, damaged = read(folder)
    told, sweep, running = about(folder), sweep or sweep_of(folder, root), is_running(folder)
    found = of_records(folder, root, list(records.values()), told, sweep, running)
    notes = [*found.notes, damage(Path(found.where), damaged)]
    if found.metric is None and told is None:
        notes.append("What the metric is, is not noted in this folder; give --sweep FILE.")
    return replace(found, notes=tuple(filter(None, notes)))


def _verdict(folder: Path, told: About | None) -> list[str]:
    """What `confirm` has found, and since when the code is another."""
    kept = _json(folder / VERDICT)
    if not isinstance(kept, dict):
        return []
    lines, changed = kept["lines"], told.changed_since(kept["files"]) if told else []
    return [f"Confirmed before {', '.join(changed)} changed:", *lines] if changed else lines


def _repeats(folder: Path) -> list[list[float]]:
    """Values of equal trainings on fresh seeds, training by training, of the latest code."""
    option = (_json(folder / "plan.json") or {}).get("option")
    told = about(folder)
    if not option or not told or not (folder / JOURNAL).is_file():
        return []
    groups: dict[str, list[float]] = {}
    for record in read(folder)[0].values():
        if record.value is not None and record.code == told.code_of(record.params):
            rest = {name: value for name, value in record.params.items() if name != option}
            groups.setdefault(repr(sorted(rest.items())), []).append(record.value)
    return list(groups.values())


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def of_records(
    folder: Path,
    root: Path,
    records: Sequence[Record],
    told: About | None,
    sweep: Sweep | None,
    running: bool,
) -> Outcome:
    """What the records show; of those that have not ended, only the running ones."""
    rows = [_row(record, folder, told) for record in records if record.state or running]
    where = folder.relative_to(root) if folder.is_relative_to(root) else folder

    def command(row: Row) -> str | None:
        if sweep is None or row.folder is None:
            return None
        file = Path(os.path.normpath(where / os.path.relpath(row.folder, folder) / ARGS))
        return repeat(sweep, row.params, file)

    return Outcome(
        title=_title(told, sweep, folder),
        where=str(where),
        metric=_metric(told, sweep),
        rows=rows,
        repeat=command,
        folder=folder,
        running=running,
        logs=frozenset(_logs(sweep.raw.get("parameters", {}))) if sweep else frozenset(),
        changed=_changed(told, records),
        repeats=_repeats(folder / CONFIRM),
        notes=tuple(_verdict(folder / CONFIRM, told)),
        file=told.file if told else None,
        secrets=secrets(sweep.command) if sweep else (),
    )


def shown(found: Outcome, row: Row, name: str = "") -> str | None:
    """The path of what the trial left, or of one file of it, as a person would write it."""
    if row.folder is None or found.folder is None:
        return None
    return os.path.normpath(Path(found.where, os.path.relpath(row.folder, found.folder), name))


def flat(params: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _row(record: Record, folder: Path, told: About | None) -> Row:
    return Row(
        name=str(record.number),
        state=record.state or RUNNING,
        value=record.value,
        params=record.params,
        seconds=record.seconds,
        note=record.reason or "",
        begun=record.begun,
        ended=record.ended,
        worker=record.worker,
        host=record.host,
        folder=folder / record.folder,
        run=record.run,
        code=record.code,
        older=_is_older(record, told),
    )


def _logs(parameters: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Names of the parameters of a sweep file whose distribution has `log` in its name."""
    for name, told in parameters.items():
        if isinstance(told, Mapping):
            if "log" in str(told.get("distribution", "")):
                yield above + name
            yield from _logs(told.get("parameters") or {}, f"{above}{name}.")


def _title(told: About | None, sweep: Sweep | None, folder: Path) -> str:
    if told:
        return f"{told.name}: {told.method} search with {told.program}"
    if sweep:
        return f"{sweep.name}: {sweep.method} search with {sweep.program.as_posix()}"
    return folder.name


def _metric(told: About | None, sweep: Sweep | None) -> Metric | None:
    if told:
        return Metric(told.metric, told.goal or "minimize") if told.metric else None  # type: ignore[arg-type]
    return sweep.metric if sweep else None


def _changed(told: About | None, records: Sequence[Record]) -> tuple[str, ...]:
    """Files that differ between the code of today and that of some trial."""
    if not told:
        return ()
    olds = {record.code or "": record.params for record in records if _is_older(record, told)}
    pairs = [(told.sources.get(code, {}), told.files(params)) for code, params in olds.items()]
    files = {f for old, now in pairs for f in {*old, *now} if old.get(f) != now.get(f)}
    return tuple(sorted(files))


def _is_older(record: Record, told: About | None) -> bool:
    return bool(told and record.code and record.code != told.code_of(record.params))
