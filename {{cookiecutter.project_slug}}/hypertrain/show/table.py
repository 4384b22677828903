"""The table at the end: the best trials first, and the command that repeats the best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hypertrain.show.words import duration, number, plain
from hypertrain.sweepfile.sweep import Metric

SHOWN = 20


@dataclass(frozen=True)
class Row:
    """One trial. value: best of the metric; None when it has none. seconds: of wall time."""

    name: str
    state: str
    value: float | None
    params: dict[str, Any]
    seconds: float | None = None
    note: str = ""


def ranked(rows: Sequence[Row], metric: Metric | None) -> list[Row]:
    """Best first; trials without a value last; ties as they came."""
    sign = metric.sign if metric else 1
    return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0.0)))


def show(
    console: Console, rows: Sequence[Row], metric: Metric | None, repeat: Callable[[Row], str]
) -> None:
    """Print the leaderboard and, if a trial has a value, the command that repeats the best."""
    order = ranked(rows, metric)
    table = Table(title="Leaderboard", title_justify="left", title_style="bold", box=None)
    names = varied(order)
    for heading in ("#", *headings(metric, names)):
        text = heading in names or heading == "state"
        table.add_column(Text(heading), justify="left" if text else "right", overflow="fold")
    for rank, row in enumerate(order[:SHOWN], start=1):
        style = "bold green" if rank == 1 and row.value is not None else None
        table.add_row(
            *(Text(cell) for cell in (str(rank), *cells(row, metric, names))), style=style
        )
    console.print(table)
    if len(order) > SHOWN:
        console.print(f"and {len(order) - SHOWN} more")
    if order and order[0].value is not None:
        plain(console)(f"\nRepeat the best trial:\n  {repeat(order[0])}")


def headings(metric: Metric | None, names: Sequence[str]) -> list[str]:
    return ["trial", *([metric.name] if metric else []), *names, "time", "state"]


def cells(row: Row, metric: Metric | None, names: Sequence[str]) -> list[str]:
    """The row below `headings`."""
    return [
        row.name,
        *([number(row.value)] if metric else []),
        *(number(row.params.get(name)) for name in names),
        "" if row.seconds is None else duration(row.seconds),
        row.state + (f": {row.note}" if row.note else ""),
    ]


def varied(rows: Sequence[Row]) -> list[str]:
    """Names of the parameters that differ between the trials."""
    names = dict.fromkeys(name for row in rows for name in row.params)
    return [name for name in names if len({repr(row.params.get(name)) for row in rows}) > 1]
