"""The sweep as one HTML file: progress, each parameter against the metric, every trial."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Any

from hypertrain.show.table import Row, cells, headings, ranked, varied
from hypertrain.show.words import number
from hypertrain.sweepfile.sweep import Metric

WIDTH, HEIGHT, MARGIN = 350, 200, 54
STYLE = """
:root { color-scheme: light dark; --dot: #3b7dd8; --best: #1a8f4a; --line: #8886; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
code { background: #8882; padding: .2em .4em; border-radius: 4px; overflow-wrap: anywhere; }
section { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; } figcaption { font-weight: 600; }
svg text { font-size: 11px; fill: currentColor; opacity: .75; }
circle { fill: var(--dot); fill-opacity: .75; } circle.best { fill: var(--best); fill-opacity: 1; }
svg path { stroke: var(--best); stroke-width: 1.5; fill: none; }
svg rect { fill: none; stroke: var(--line); }
table { border-collapse: collapse; margin-top: 1rem; }
td, th { text-align: right; padding: .15rem .8rem; border-bottom: 1px solid var(--line); }
tr.best td { font-weight: 600; color: var(--best); }
"""


def write_report(
    path: Path, title: str, rows: Sequence[Row], metric: Metric | None, repeat: str | None
) -> None:
    """Write the report; `repeat` is the command that repeats the best trial."""
    order = ranked(rows, metric)
    best = order[0] if order and order[0].value is not None else None
    body = [f"<h1>{escape(title)}</h1>"]
    if best and metric:
        body.append(
            f"<p>Best {escape(metric.name)}: <b>{number(best.value)}</b>, trial {best.name}."
        )
    if repeat:
        body.append(f"<p>Repeat it: <code>{escape(repeat)}</code>")
    if best and metric:
        body.append(f"<section>{''.join(_figures(rows, metric, best))}</section>")
    body.append(_table(order, metric, best))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    path.write_text(f"<!doctype html><html>{head}\n" + "\n".join(body), encoding="utf-8")


def _figures(rows: Sequence[Row], metric: Metric, best: Row) -> Iterator[str]:
    scored = [row for row in rows if row.value is not None]
    values = [row.value or 0.0 for row in scored]
    so_far = list(accumulate(values, lambda *pair: metric.best(list(pair))))
    places = [float(i) for i in range(len(scored))]
    yield _figure(f"{metric.name} by trial", scored, places, ("first", "last"), best, so_far)
    for name in varied(scored):
        found = [row.params.get(name) for row in scored]
        places, ends = _axis(found)
        yield _figure(f"{metric.name} by {name}", scored, places, ends, best, None)


def _axis(values: Sequence[Any]) -> tuple[list[float], tuple[str, ...]]:
    """Where each value stands, and the labels below: numbers by rank, else in order of coming."""
    kinds = list({repr(value): value for value in values}.values())
    if all(isinstance(kind, int | float) for kind in kinds):
        kinds.sort()
    places = {repr(kind): float(i) for i, kind in enumerate(kinds)}
    few = kinds if len(kinds) <= 6 else [kinds[0], kinds[-1]]
    return [places[repr(value)] for value in values], tuple(number(kind) for kind in few)


def _figure(
    caption: str,
    rows: Sequence[Row],
    places: Sequence[float],
    labels: Sequence[str],
    best: Row,
    so_far: Sequence[float] | None,
) -> str:
    values = [row.value or 0.0 for row in rows]
    low, high = min(values), max(values)
    last = max(places) or 1.0

    def x(place: float) -> float:
        return round(MARGIN + (WIDTH - MARGIN - 30) * (place / last), 1)

    def y(value: float) -> float:
        return round(12 + (HEIGHT - MARGIN) * (1 - (value - low) / ((high - low) or 1)), 1)

    dots = "".join(
        f'<circle cx="{x(place)}" cy="{y(value)}" r="4"{" class=best" if row is best else ""}>'
        f"<title>trial {row.name}: {number(value)}</title></circle>"
        for row, place, value in zip(rows, places, values, strict=True)
    )
    line = ""
    if so_far:
        points = zip(places, so_far, strict=True)
        line = f'<path d="M{" L".join(f"{x(place)} {y(value)}" for place, value in points)}"/>'
    ticks = "".join(
        f'<text x="{x(last * i / max(1, len(labels) - 1))}" y="{HEIGHT - 8}" '
        f'text-anchor="middle">{escape(label)}</text>'
        for i, label in enumerate(labels)
    )
    scale = "".join(
        f'<text x="{MARGIN - 8}" y="{y(value) + 4}" text-anchor="end">{number(value)}</text>'
        for value in {low, high}
    )
    frame = f'<rect x="{MARGIN - 6}" y="4" width="{WIDTH - MARGIN - 18}" height="{HEIGHT - 28}"/>'
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f"{frame}{line}{dots}{ticks}{scale}</svg></figure>"
    )


def _table(rows: Sequence[Row], metric: Metric | None, best: Row | None) -> str:
    names = varied(rows)
    lines = [f"<tr>{''.join(f'<th>{escape(heading)}' for heading in headings(metric, names))}"]
    for row in rows:
        mark = " class=best" if row is best else ""
        lines.append(
            f"<tr{mark}>{''.join(f'<td>{escape(cell)}' for cell in cells(row, metric, names))}"
        )
    return f"<table>{''.join(lines)}</table>"
