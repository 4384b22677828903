"""A sweep on the W&B server: started for the platform's workers, and its results read back."""

import math
import os
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import wandb
from rich.console import Console

from hypertrain import UserError
from hypertrain.online.server import bounded, talk
from hypertrain.online.worker import work
from hypertrain.show.table import Row, show
from hypertrain.show.words import plain
from hypertrain.sweepfile.sweep import Metric, Sweep, from_mapping
from hypertrain.trial.command import repeat

__all__ = ["leaderboard", "start_sweep", "work"]


def start_sweep(sweep: Sweep) -> str:
    """Create the sweep on W&B; print its address, and as outputs of a flow's task.

    Returns: entity/project/id, what workers are started with.
    """
    entity = os.environ.get("WANDB_ENTITY") or sweep.entity
    with talk(), redirect_stdout(StringIO()):
        sweep_id = bounded(lambda: wandb.sweep(sweep.sent, entity=entity, project=sweep.project))
        owner = [os.environ["WANDB_ENTITY"], os.environ["WANDB_PROJECT"]]
        site = wandb.setup().settings.app_url.rstrip("/")
    path = "/".join([*owner, sweep_id])
    url = "/".join([site, *map(quote, owner), "sweeps", sweep_id])
    print(url)
    print(f"::set-output name=sweep::{path}")
    print(f"::set-output name=url::{url}", flush=True)
    return path


def leaderboard(path: str, console: Console) -> None:
    """Show the trials of a sweep on W&B as those of a local one are shown."""
    if len([part for part in path.split("/") if part]) != 3:
        raise UserError(f"{path}: give the sweep as ENTITY/PROJECT/SWEEP, as its W&B page names it")
    with talk():
        api: Any = wandb.Api()
        found = api.sweep(path)
        config, url = found.config, found.url
        project = path.rpartition("/")[0]
        runs = list(api.runs(project, filters={"$and": [{"sweep": found.id}]}, lazy=False))
        sweep = from_mapping(Path(path), dict(config))
        rows = [_row(run, sweep) for run in runs]
    say = plain(console)
    if rows:
        show(console, rows, sweep.metric, lambda row: repeat(sweep, row.params, Path("args.json")))
    else:
        say("No trial has started yet.")
    say(f"\n{url}")


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
    number = isinstance(summary, int | float) and math.isfinite(summary)
    return float(summary) if number else None
