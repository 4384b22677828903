"""The sweep as one HTML file that needs nothing but a browser: pictures, statements, every trial.

What is drawn, and how, is in `page/`; the drawing itself is done by Apache ECharts (`npm pack
echarts@6.1.0`, unchanged). All of it goes into the file, and the data as JSON: no text of a trial,
a parameter or a log is ever read as markup.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypertrain.answers.dead import dead_parameters
from hypertrain.answers.noise import Standing, standing
from hypertrain.results.journal import STOPPED
from hypertrain.results.outcome import OUTPUT, Outcome, Row, shown
from hypertrain.results.series import series
from hypertrain.show import statements
from hypertrain.show.failures import SHOWN, causes, tail
from hypertrain.show.table import ranked, varied
from hypertrain.show.words import counted, moment, number, plainly

if TYPE_CHECKING:
    from hypertrain.answers.importance import Importance

PAGE = Path(__file__).parent / "page"
LIBRARY = "echarts-6.1.0/echarts.min.js"
CURVES, STOPPED_CURVES, POINTS = 5, 30, 300
LINES = 20
CATEGORIES = 8
"""A parameter of no more values than this is drawn as choices, be they numbers or not."""
EVERY, SHARE = 3.0, 100
"""Seconds between two writings at least, and how many times as long as the last one took."""


def write_report(path: Path, found: Outcome, live: bool = False) -> None:
    """Write the report, all of it or nothing.

    live: leave out what takes long; a later writing has it.
    Raises: OSError.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(page(found, live).encode("utf-8", "replace"))
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)  # a full disk needs the room
        raise


def live_report(path: Path, look: Callable[[], Outcome]) -> Callable[[bool], None]:
    """A function to call often: writes the report when one is due and `changed` said that it is.

    look: reads what there is to show; it is called when a report is written, not otherwise. Takes
    at most one part in `SHARE` of the time; whatever goes wrong, such as a full disk, ends no sweep.
    """
    due, stale = 0.0, False

    def write_if_due(changed: bool) -> None:
        nonlocal due, stale
        stale = stale or changed
        begun = time.monotonic()
        if not stale or begun < due:
            return
        with suppress(Exception):
            write_report(path, look(), live=True)
        stale = False
        ended = time.monotonic()
        due = ended + max(EVERY, SHARE * (ended - begun))

    return write_if_due


def page(found: Outcome, live: bool = False) -> str:
    """The whole HTML file."""
    first = standing(found.rows, found.metric, found.seeds, found.repeats)
    weighed: tuple[list[Importance], str] = ([], "")
    if not live:
        # NumPy, which this needs, takes its time: no trial waits for it.
        from hypertrain.answers.importance import importances

        weighed = importances(found.rows, found.metric)
    parameters = _parameters(found, weighed[0])
    slots = {
        "title": escape(found.title),
        "style": _file("page.css"),
        "body": "\n".join(_body(found, first, weighed, bool(parameters), live)),
        "data": _json(_data(found, first, weighed[0], parameters)),
        "library": _file(LIBRARY),
        "script": _file("page.js"),
    }
    pieces = _file("page.html").split("@@")
    return "".join(slots[piece] if i % 2 else piece for i, piece in enumerate(pieces))


@cache
def _file(name: str) -> str:
    return (PAGE / name).read_text("utf-8")


def _json(data: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


# What stands in the page as text


def _body(
    found: Outcome,
    first: Standing | None,
    weighed: "tuple[list[Importance], str]",
    has_parameters: bool,
    live: bool,
) -> Iterator[str]:
    yield from _head(found, first)
    for said in _statements(found, weighed, live):
        yield f"<p>{escape(said)}</p>"
    yield from _failures(found)
    if not found.rows:
        yield "<p>No trial has ended yet.</p>"
        return
    scored = [row for row in found.rows if row.value is not None]
    if found.metric and scored:
        yield from _pictures(found, found.metric.name, bool(weighed[0]), has_parameters)
    if any(row.begun for row in found.rows):
        yield _picture("timeline", "Workers", "when each trial ran, and on which worker")
    yield TABLE


def _head(found: Outcome, first: Standing | None) -> Iterator[str]:
    if first and found.metric:
        yield f'<p class="place">{escape(statements.place(first, found))}</p>'
    elif found.rows:
        what = "no trial has a value yet" if found.metric else "the sweep file names no metric"
        yield f'<p class="place">There is no best trial: {what}.</p>'
    state = "the sweep is running; load the page again to see more" if found.running else "ended"
    trials = counted(len(found.rows), "trial")
    yield (
        f'<p class="soft">{trials} in {escape(found.where)}; {state}; '
        f"written {moment(time.time())}</p>"
    )
    for note in found.notes:
        yield f"<p>{escape(note)}</p>"
    command = found.repeat(first.equal[0]) if first else None
    if command and first:
        which = "one of the equals" if len(first.equal) > 1 else "the best trial"
        yield (
            f'<div class="tools"><span>Repeat {which}, trial {escape(first.equal[0].name)}:</span> '
            f'<code id="command">{escape(command)}</code> <button id="copy">Copy</button></div>'
        )


def _statements(
    found: Outcome, weighed: "tuple[list[Importance], str]", live: bool
) -> Iterator[str]:
    yield from statements.without_effect(dead_parameters(found.rows))
    if found.rows and found.metric and not live:
        yield statements.weight(*weighed)
    elif live:
        yield "Importance is worked out when the sweep ends, or by `python -m hypertrain report`."
    values = [row.value for row in found.rows if row.value is not None]
    if found.metric and len(set(values)) == 1 and len(values) > 1:
        yield f"{found.metric.name} is {number(values[0])} in {len(values)} trials: nothing is better."
    older = sum(row.older for row in found.rows)
    if older:
        files = ", ".join(found.changed) or "the program"
        yield f"{counted(older, 'trial')}, marked *, ran before {files} changed."


def _failures(found: Outcome) -> Iterator[str]:
    groups = causes(found.rows)
    if not groups:
        return
    yield "<section><h2>Failures by cause</h2>"
    for cause in groups[:SHOWN]:
        last = cause.rows[-1]
        log, lines = shown(found, last, OUTPUT), []
        if last.folder:
            lines = tail(last.folder / OUTPUT, LINES, found.secrets)
        many = f'<span class="bad">{counted(len(cause.rows), "trial")}</span>'
        where = f'<p class="soft">trial {escape(last.name)}: {escape(log)}</p>' if log else ""
        output = f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else ""
        yield (
            f"<details><summary>{many}: {escape(cause.reason)}</summary>{where}{output}</details>"
        )
    if len(groups) > SHOWN:
        yield f"<p>and {counted(len(groups) - SHOWN, 'cause')} more, in the table</p>"
    yield "</section>"


def _pictures(
    found: Outcome, metric: str, has_importance: bool, has_parameters: bool
) -> Iterator[str]:
    yield '<div class="pair">'
    yield _picture("history", "History", f"{metric} of each trial, and the best so far")
    curves = "of the best trials and of those stopped early" if _curved(found) else ""
    if curves:
        yield _picture("curves", "Learning curves", f"{metric} as it was logged, {curves}")
    yield "</div>"
    if has_parameters:
        told = "each line is a trial; drag along an axis to keep those that pass there"
        axes = '<details class="tools"><summary>Axes</summary><div class="axes" id="axes"></div></details>'
        yield _picture("coordinates", "Parallel coordinates", told, axes)
    if has_importance:
        told = "how much each parameter decides; what stays below the orange mark may be chance"
        yield _picture("importance", "Importance", told)
    if has_parameters:
        more = '<button id="all-slices" hidden>Show all parameters</button>'
        yield (
            f"<figure><h2>Slices</h2><figcaption>{escape(metric)} over each parameter</figcaption>"
            f'<div id="slices" class="slices"></div>{more}</figure>'
        )


def _picture(name: str, title: str, told: str, tools: str = "") -> str:
    return (
        f'<figure><h2 id="{name}-title">{title}</h2><figcaption>{escape(told)}</figcaption>{tools}'
        f'<div class="wide"><div class="plot" id="{name}" role="img" '
        f'aria-labelledby="{name}-title"></div></div></figure>'
    )


TABLE = """<section><h2>Trials</h2>
<div class="tools">
<input type="search" id="filter" aria-label="Filter the trials" placeholder="Filter: adam lr&lt;0.1">
<button id="clear" hidden>Show all</button>
<span id="told" class="soft" role="status"></span>
</div>
<div class="wide"><table id="trials"></table></div>
<div class="tools"><button id="more" hidden>Show more</button></div>
</section>"""


# What the pictures and the table are drawn from


def _data(
    found: Outcome,
    first: Standing | None,
    weighed: "Sequence[Importance]",
    parameters: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    rows = ranked(found.rows, found.metric)
    equal = {row.name for row in first.equal} if first else set()
    metric = found.metric
    return {
        "metric": {"name": metric.name, "goal": metric.goal} if metric else None,
        "written": round(time.time(), 1),
        "best": [index for index, row in enumerate(rows) if row.name in equal],
        "hosts": sorted({row.host for row in rows if row.host}),
        "trials": {
            "name": [row.name for row in rows],
            "state": [row.state for row in rows],
            "value": [_finite(row.value) for row in rows],
            "seconds": [_finite(row.seconds) for row in rows],
            "begun": [_finite(row.begun) for row in rows],
            "ended": [_finite(row.ended) for row in rows],
            "worker": [row.worker for row in rows],
            "host": [row.host for row in rows],
            "note": [row.note for row in rows],
            "older": [row.older for row in rows],
        },
        "params": parameters,
        "importance": [
            {**_rounded(one), "name": one.name, "dummy": one.is_dummy} for one in weighed
        ],
        "curves": list(_curves(found)),
    }


def _parameters(found: Outcome, weighed: "Sequence[Importance]") -> list[dict[str, Any]]:
    """Those that differ between the trials, the important ones first."""
    rows = ranked(found.rows, found.metric)
    weight = {one.name: one.share for one in weighed}
    params = [row.flat for row in rows]
    names = sorted(varied(rows), key=lambda name: -weight.get(name, 0.0))
    return [_parameter(name, [p.get(name) for p in params], name in found.logs) for name in names]


def _parameter(name: str, values: Sequence[Any], log: bool) -> dict[str, Any]:
    values = [plainly(value) for value in values]
    present = [value for value in values if value is not None]  # others lack the parameter
    kinds = {repr(value): value for value in present}
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in present)
    if numbers and len(kinds) > CATEGORIES:
        scale = "log" if _is_log([float(v) for v in kinds.values()], log) else "linear"
        return {"name": name, "scale": scale, "values": [_short(value) for value in values]}
    order = sorted(kinds.values()) if numbers else list(kinds.values())
    codes = {repr(value): code for code, value in enumerate(order)}
    found = [codes.get(repr(value)) for value in values]
    return {"name": name, "scale": "category", "values": found, "kinds": list(map(_said, order))}


def _is_log(values: Sequence[float], log: bool) -> bool:
    """Where the distribution is, or where values that were listed grow by factors."""
    low, high = min(values), max(values)
    return low > 0 and (
        log or (high / low >= 1000 and 2 * sorted(values)[len(values) // 2] < high / 10)
    )


def _said(value: Any) -> str | float:
    """A choice as it is shown: numbers and text as they are, all else as JSON."""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return json.dumps(value, ensure_ascii=False)


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _rounded(one: "Importance") -> dict[str, float]:
    keys = ("share", "low", "high", "chance")
    return {key: float(f"{getattr(one, key):.4g}") for key in keys}


def _curved(found: Outcome) -> list[Row]:
    """Trials whose learning curves are shown: the best, and those stopped early."""
    here = [row for row in ranked(found.rows, found.metric) if row.folder]
    best = [row for row in here if row.value is not None and row.state != STOPPED][:CURVES]
    return [*best, *[row for row in here if row.state == STOPPED][:STOPPED_CURVES]]


def _curves(found: Outcome) -> Iterator[dict[str, Any]]:
    if not found.metric:
        return
    for row in _curved(found):
        assert row.folder
        values = series(row.folder, {found.metric.name}).get(found.metric.name, [])
        step = max(1, -(-len(values) // POINTS))
        places = [*range(0, len(values), step)]
        if places:
            yield {
                "trial": row.name,
                "stopped": row.state == STOPPED,
                "x": [place + 1 for place in places],
                "y": [_finite(_short(values[place])) for place in places],
            }
