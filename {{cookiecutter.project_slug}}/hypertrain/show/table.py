"""The leaderboard as text: the best trials first, as many columns as fit the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hypertrain.answers.noise import Standing
from hypertrain.results.outcome import RUNNING, Outcome, Row
from hypertrain.show.words import duration, listed, number, sentence
from hypertrain.sweepfile.sweep import Metric

__all__ = ["Row", "columns", "ranked", "show", "varied"]
SHOWN = 20
GAP = 2


def ranked(rows: Sequence[Row], metric: Metric | None) -> list[Row]:
    """Best first; trials without a value last; ties as they came."""
    sign = metric.sign if metric else 1
    return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0.0)))


def show(console: Console, outcome: Outcome, standing: Standing | None) -> None:
    """Print the leaderboard: no number and no word of it is ever cut in two."""
    rows = ranked([row for row in outcome.rows if _has_place(row)], outcome.metric)
    if not rows:
        return
    first = {row.name for row in standing.equal} if standing else set()
    fitting, left_out = _fitting(_columns(rows[:SHOWN], outcome.metric), console.width)
    metric = outcome.metric
    named = not metric or any(column.heading == metric.name for column in fitting)
    title = "Leaderboard" if named or not metric else f"Leaderboard by {metric.name}"
    sentence(console, title, "bold")
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_edge=False)
    for column in fitting:
        table.add_column(Text(column.heading), justify=column.justify, no_wrap=True)
    for index, row in enumerate(rows[:SHOWN]):
        style = "bold green" if row.name in first else None
        table.add_row(*(Text(column.cells[index]) for column in fitting), style=style)
    console.print(table)
    if any(row.older for row in rows[:SHOWN]):
        files = ", ".join(outcome.changed) or "the program"
        sentence(console, f"* trained before {files} changed")
    if left_out:
        sentence(console, f"Not shown, but in the report: {listed(left_out, 20)}.")
    if len(rows) > SHOWN:
        sentence(console, f"and {len(rows) - SHOWN} more")


def columns(metric: Metric | None, names: Sequence[str]) -> list[str]:
    """Headings of a table that has all the room it wants."""
    return ["trial", *([metric.name] if metric else []), *names, "time", "state"]


def varied(rows: Sequence[Row]) -> list[str]:
    """Names of the parameters that differ between the trials."""
    params = [row.flat for row in rows]
    names = dict.fromkeys(name for found in params for name in found)
    return [name for name in names if len({repr(found.get(name)) for found in params}) > 1]


def places(rows: Sequence[Row]) -> list[str]:
    """Ranks; equals share one, and what has no value has none."""
    ranks: list[str] = []
    for index, row in enumerate(rows):
        equal = index and row.value == rows[index - 1].value
        ranks.append("-" if row.value is None else ranks[-1] if equal else str(index + 1))
    return ranks


@dataclass(frozen=True)
class _Column:
    """always: shown in any case, with a shorter heading where its own is too long."""

    heading: str
    cells: list[str]
    justify: Literal["left", "right"] = "left"
    always: bool = False

    @property
    def width(self) -> int:
        return max(cell_len(text) for text in (self.heading, *self.cells))


def _has_place(row: Row) -> bool:
    """Failures are told by cause instead."""
    return row.value is not None or row.state in ("completed", "stopped", "finished", RUNNING)


def _columns(rows: Sequence[Row], metric: Metric | None) -> list[_Column]:
    params = [row.flat for row in rows]
    values = [number(row.value) for row in rows]
    times = ["" if row.seconds is None else duration(row.seconds) for row in rows]
    return [
        _Column("#", places(rows), "right", always=True),
        _Column("trial", [row.name + "*" * row.older for row in rows], "right", always=True),
        *([_Column(metric.name, values, "right", always=True)] if metric else []),
        *(_Column(name, [_cell(found, name) for found in params]) for name in varied(rows)),
        _Column("time", times),
        _Column("state", [row.state for row in rows]),
    ]


def _cell(params: dict[str, Any], name: str) -> str:
    return number(params[name]) if name in params else ""


def _fitting(found: Sequence[_Column], width: int) -> tuple[list[_Column], list[str]]:
    """The columns that there is room for, and the headings of the others."""
    room = width + GAP
    kept, left_out = [], []
    for column in found:
        if column.always and column.width + GAP > room:
            column = replace(column, heading="value")
        if column.always or column.width + GAP <= room:
            kept.append(column)
            room -= column.width + GAP
        else:
            left_out.append(column.heading)
    return kept, left_out
