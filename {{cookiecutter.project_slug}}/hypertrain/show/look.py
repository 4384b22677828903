"""Look without training: what `leaderboard`, `list` and `report` show. Nothing here starts a trial."""

import csv
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hypertrain import UserError
from hypertrain.answers.dead import dead_parameters
from hypertrain.answers.noise import standing
from hypertrain.results.folder import about, folders
from hypertrain.results.journal import COMPLETED, STOPPED, is_running, read
from hypertrain.results.outcome import Outcome, Row, outcome, shown
from hypertrain.show import statements
from hypertrain.show.failures import told
from hypertrain.show.report import write_report
from hypertrain.show.table import ranked, show
from hypertrain.show.words import moment, number, plain, plainly, sentence

Form = Literal["text", "json", "csv"]


def leaderboard(console: Console, found: Outcome, form: Form = "text") -> None:
    """Show how the trials rank and what can be said of it."""
    if form == "json":
        print(json.dumps(as_data(found), indent=1))
        return
    if form == "csv":
        _csv(found)
        return
    say = plain(console)
    sentence(console, f"{found.title}, in {found.where}")
    for note in found.notes:
        sentence(console, note)
    if not found.rows:
        sentence(console, "No trial has ended yet.")
        return
    first = standing(found.rows, found.metric, found.seeds, found.repeats)
    show(console, found, first)
    if first and found.metric:
        sentence(console, statements.place(first, found))
    for said in statements.without_effect(dead_parameters(found.rows)):
        sentence(console, said)
    for said in told(found):
        sentence(console, said)
    if found.running:
        sentence(console, "The sweep is running.")
    if first:
        command = found.repeat(first.equal[0])
        equals = f" (one of {len(first.equal)} equals)" if len(first.equal) > 1 else ""
        equals += ", with the program as it is now" if first.equal[0].older else ""
        if command:
            say(f"\nRepeat the best trial{equals}:\n  {command}")


def report(console: Console, found: Outcome, root: Path) -> None:
    """Write the report of a sweep; one on W&B gets its own below results/.

    Raises: UserError when it cannot be written.
    """
    name = re.sub(r"[^\w.-]+", "-", found.where.rpartition("/")[2])
    path = (found.folder or root / "results" / f"wandb-{name}") / "report.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_report(path, found)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    plain(console)(f"Report: {os.path.relpath(path)}")


def export(console: Console, found: Outcome, path: Path) -> None:
    """Write the trials as an Optuna study."""
    from hypertrain.show.study import write_study

    write_study(path, found)
    plain(console)(
        f"Written: {path}. To look at it: pip install optuna-dashboard && optuna-dashboard {path}"
    )


def listing(console: Console, root: Path, form: Form) -> None:
    """The sweeps in results/, the newest first."""
    rows = [_summary(folder, root) for folder in folders(root)]
    if form == "json":
        print(json.dumps(rows, indent=1))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, _LISTED)
        writer.writeheader()
        writer.writerows(rows)
    elif not rows:
        sentence(console, "No sweep in results/ yet; `python -m hypertrain` runs one.")
    else:
        _print_list(console, rows)


def as_data(found: Outcome) -> dict[str, Any]:
    """The leaderboard for programs: every trial, best first, and the statements."""
    first = standing(found.rows, found.metric, found.seeds, found.repeats)
    metric = found.metric
    return {
        "sweep": found.where,
        "title": found.title,
        "running": found.running,
        "metric": {"name": metric.name, "goal": metric.goal} if metric else None,
        "best": [row.name for row in first.equal] if first else [],
        "within_noise": [row.name for row in first.within] if first else [],
        "noise_sd": first.noise.sd if first and first.noise else None,
        "no_effect": {one.name: one.pairs for one in dead_parameters(found.rows)},
        "trials": [_trial(row, found) for row in ranked(found.rows, metric)],
    }


_LISTED = ("name", "file", "folder", "begun", "trials", "metric", "best", "running")


def _summary(folder: Path, root: Path) -> dict[str, Any]:
    told, (records, _) = about(folder), read(folder)
    found = outcome(folder, root)
    values = [row.value for row in found.rows if row.value is not None]
    begun = [record.begun for record in records.values() if record.begun]
    return {
        "name": told.name if told else folder.name,
        "file": told.file if told else None,
        "folder": str(folder.relative_to(root)),
        "begun": told.begun if told else min(begun, default=None),
        "trials": sum(row.state in (COMPLETED, STOPPED) for row in found.rows),
        "metric": found.metric.name if found.metric else None,
        "best": plainly(found.metric.best(values)) if found.metric and values else None,
        "running": is_running(folder),
    }


def _print_list(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    """A block of short lines for each sweep where the terminal is narrow, else a table."""
    cells = [
        (
            row["name"],
            row["folder"],
            row["file"] or "-",
            moment(row["begun"]) if row["begun"] else "-",
            str(row["trials"]) + (", running" if row["running"] else ""),
            f"{row['metric']} {number(row['best'])}" if row["metric"] else "-",
        )
        for row in rows
    ]
    headings = ("name", "folder", "file", "begun", "trials", "best")
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    if sum(widths) + 2 * len(widths) > console.width:
        for row in cells:
            for heading, cell in zip(headings, row, strict=True):
                plain(console)(f"{heading:>7} {cell}")
            plain(console)("")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _csv(found: Outcome) -> None:
    rows = ranked(found.rows, found.metric)
    names = list(dict.fromkeys(name for row in rows for name in row.flat))
    writer = csv.writer(sys.stdout)
    writer.writerow([*_COLUMNS, *(f"params.{name}" for name in names)])
    for row in rows:
        told = _trial(row, found)
        writer.writerow([*(told[key] for key in _COLUMNS), *(row.flat.get(n) for n in names)])


_COLUMNS = (
    "trial", "state", "value", "seconds", "begun", "ended", "worker", "host", "older_code",
    "reason", "folder",
)  # fmt: skip


def _trial(row: Row, found: Outcome) -> dict[str, Any]:
    return {
        "trial": row.name,
        "state": row.state,
        "value": plainly(row.value),
        "seconds": row.seconds,
        "begun": row.begun,
        "ended": row.ended,
        "worker": row.worker,
        "host": row.host,
        "older_code": row.older,
        "reason": row.note or None,
        "folder": shown(found, row),
        "params": plainly(row.params),
    }
