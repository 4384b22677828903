"""A sweep on the W&B server: started for the platform's workers, and its results read back."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wandb

from hypertrain import UserError
from hypertrain.online.served import address, check_name, create
from hypertrain.online.server import bounded, talk
from hypertrain.results.outcome import Outcome, Row
from hypertrain.sweepfile.sweep import Metric, Sweep, from_mapping, load
from hypertrain.trial.command import repeat


def start_sweep(file: Path, root: Path, join: str, note: Path | None) -> str:
    """Create the sweep of a sweep file on W&B, or find one that is there already.

    join: name of a sweep to join, or empty. note: a file that keeps the name; a second start with
    the same note joins the noted sweep. Prints the sweep's address, and as outputs of a flow's task
    its name, its address, and the folder beside the note's where it was first noted.

    Returns: entity/project/id, what workers are started with.
    """
    known = join or (_noted(note) if note else "")
    path = known or _created(load(file, root))
    url = _address(path) if known else address(path)
    print(url)
    print(f"::set-output name=sweep::{path}")
    print(f"::set-output name=url::{url}")
    if note:
        beside = sorted(note.parent.parent.glob(f"*/{note.name}"))
        first = next((other for other in beside if _noted(other) == path), note)
        if first == note:
            note.write_text(f"{path}\n", encoding="utf-8")
        print(f"::set-output name=code::{first.parent.name}", flush=True)
    return path


def _noted(note: Path) -> str:
    return note.read_text(encoding="utf-8").strip() if note.is_file() else ""


def _created(sweep: Sweep) -> str:
    with talk():
        return bounded(lambda: create(sweep))


def _address(path: str) -> str:
    """The address of a sweep that W&B is asked for.

    Raises: UserError if there is none.
    """
    check_name(path)
    with talk():
        api: Any = wandb.Api()
        try:
            bounded(lambda: api.sweep(path))
        except (ValueError, wandb.errors.CommError) as error:
            if not isinstance(getattr(error, "exc", error), ValueError):
                raise
            raise UserError(f"{path}: W&B has no such sweep") from None
    return address(path)


def outcome_of(path: str) -> Outcome:
    """What there is to show of the sweep `path` on W&B.

    Raises: UserError if there is no such sweep, or W&B cannot be reached.
    """
    check_name(path)
    with talk():
        api: Any = wandb.Api()
        found = api.sweep(path)
        config, url = found.config, found.url
        project = path.rpartition("/")[0]
        runs = list(api.runs(project, filters={"$and": [{"sweep": found.id}]}, lazy=False))
        sweep = from_mapping(Path(path), dict(config))
        rows = [_row(run, sweep) for run in runs]
    return Outcome(
        title=f"{sweep.name}: {sweep.method} search with {sweep.program.as_posix()}",
        where=url,
        metric=sweep.metric,
        rows=rows,
        repeat=lambda row: repeat(sweep, row.params, Path("args.json")),
        running=found.state == "RUNNING",
        notes=_note(sweep.metric, [run.summary for run in runs]),
    )


def _note(metric: Metric | None, summaries: Sequence[Any]) -> tuple[str, ...]:
    """That last values are ranked, where W&B knows no others."""
    if metric is None or not any(_is_number(summary.get(metric.name)) for summary in summaries):
        return ()
    name, best = metric.name, "max" if metric.goal == "maximize" else "min"
    remedy = f'`wandb.define_metric("{name}", summary="{best}")` in the program keeps the best'
    return (f"Ranked by the last {name} of each, which is what W&B's summary has; {remedy}.",)


def _row(run: Any, sweep: Sweep) -> Row:
    names = [parameter.name for parameter in sweep.space]
    return Row(
        name=run.name,
        state=run.state,
        value=_best(run.summary.get(sweep.metric.name), sweep.metric) if sweep.metric else None,
        params={name: run.config[name] for name in names if name in run.config},
        seconds=run.summary.get("_runtime"),
    )


def _best(summary: Any, metric: Metric) -> float | None:
    """The metric's entry in a run's summary: its best value, if the program puts it there."""
    if hasattr(summary, "get"):  # after `define_metric(name, summary="max")`
        summary = summary.get("max" if metric.goal == "maximize" else "min")
    return float(summary) if _is_number(summary) and math.isfinite(summary) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
