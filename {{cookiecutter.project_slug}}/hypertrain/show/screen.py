"""What the user sees while a sweep runs: live on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hypertrain.results.journal import FAILED, STOPPED, Record
from hypertrain.show.words import duration, number, sentence
from hypertrain.sweepfile.sweep import Metric

MOST = 10
"""Parameters of a trial that its line names."""


class Screen:
    """Progress of a sweep. total: how many trials it has; None when only time ends it."""

    def __init__(self, console: Console, metric: Metric | None, total: int | None) -> None:
        self._console, self._metric, self._total = console, metric, total
        self._running: dict[int, tuple[Record, float, float | None]] = {}
        self._best: Record | None = None
        self._earlier = self._ended = self._failed = 0
        self._begun = time.monotonic()
        self.say: Callable[[str], None] = partial(sentence, console)
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def earlier(self, record: Record) -> None:
        """A trial that an earlier session completed."""
        self._earlier += 1
        self._compare(record)

    def started(self, record: Record) -> None:
        self._running[record.number] = (record, time.monotonic(), None)

    def logged(self, record: Record, value: float) -> None:
        _, since, _ = self._running[record.number]
        self._running[record.number] = (record, since, value)

    def ended(self, record: Record) -> None:
        del self._running[record.number]
        self._ended += 1
        self._failed += record.state == FAILED
        self._compare(record)
        took = duration(record.seconds or 0.0)
        result = self._result(record).removeprefix(f"{self._metric.name} " if self._metric else "")
        self.say(f"{self._progress()} {_title(record)}  {result}  {took}")

    def _compare(self, record: Record) -> None:
        if record.value is None or self._metric is None:
            return
        sign, best = self._metric.sign, self._best.value if self._best else None
        if best is None or sign * record.value < sign * best:
            self._best = record

    def _progress(self) -> str:
        return f"[{self._earlier + self._ended}/{self._total or '?'}]"

    def _time_left(self) -> str:
        if not self._total or not self._ended:
            return ""
        pace = (time.monotonic() - self._begun) / self._ended
        return f"about {duration(pace * (self._total - self._earlier - self._ended))} left"

    def _result(self, record: Record) -> str:
        if record.state == FAILED:
            return f"failed: {record.reason}"
        early = ", stopped early" if record.state == STOPPED else ""
        name = f"{self._metric.name} {number(record.value)}" if self._metric else "completed"
        return name + early

    def _render(self) -> Group:
        head = Table.grid(padding=(0, 1))
        head.add_row(
            ProgressBar(total=self._total, completed=self._earlier + self._ended, width=30),
            Text(self._progress()),
            Text(f"{self._failed} failed" if self._failed else "", style="red"),
            Text(self._time_left(), style="dim"),
        )
        trials = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for heading in ("running", self._metric.name if self._metric else "", "time"):
            trials.add_column(heading)
        for record, since, value in list(self._running.values()):
            spent = duration(time.monotonic() - since)
            trials.add_row(Text(_title(record)), number(value), spent)
        best = self._best
        line = f"best so far  {_title(best)}  {self._result(best)}" if best else ""
        if not self._running and not self._ended:
            return Group(head, Text("importing what the trials need", style="dim"))
        return Group(head, trials, Text(line, style="green"))


def _title(record: Record) -> str:
    params = [f"{name}={number(value)}" for name, value in record.params.items()]
    more = f" and {len(params) - MOST} more" if len(params) > MOST else ""
    return f"trial {record.number}  {' '.join(params[:MOST])}{more}"
