"""Points from a search: the source of the trials of this machine's own sweep."""

import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from hypertrain import inside_wandb
from hypertrain.interrupts import Interrupted
from hypertrain.results.checkpoints import Checkpoints
from hypertrain.results.earlier import key, misspelt, take
from hypertrain.results.folder import About, code_for, note, today
from hypertrain.results.identity import prefix
from hypertrain.results.journal import FAILED, Journal, Record
from hypertrain.results.metrics import Reader
from hypertrain.results.outcome import OUTPUT, Outcome, of_records
from hypertrain.results.series import METRICS, names
from hypertrain.results.sources import stamps
from hypertrain.search.ahead import Ahead
from hypertrain.search.hyperband import Hyperband
from hypertrain.search.search import new_search, params_at
from hypertrain.show import summary
from hypertrain.show.report import live_report
from hypertrain.show.screen import Screen
from hypertrain.show.words import counted, listed
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial.keeper import ended_well, has_ended
from hypertrain.trial.run import Run

if TYPE_CHECKING:
    from hypertrain.online.page import Page

ALIKE = 3
"""So many trials that fail alike, with none completed, end the sweep."""
NEIGHBOURS = 5.0
"""Seconds between two looks at which other sweeps run here."""


class SearchPoints:
    """Trials of a search whose journal is on disk: goes on from what that holds."""

    def __init__(
        self,
        sweep: Sweep,
        journal: Journal,
        workers: int,
        count: int | None,
        retry: bool,
        console: Console,
    ) -> None:
        self._sweep, self._journal, self._workers = sweep, journal, workers
        self.folder = journal.folder
        search = new_search(sweep)
        self._search = Ahead(search) if sweep.method == "bayes" else search
        self._hyperband = Hyperband(sweep.bands) if sweep.bands else None
        self._stops: set[int] = set()
        self._so_far: dict[int, float] = {}
        self._failures: Counter[str] = Counter()
        sizes = [n for n in (count, self._search.size) if n is not None]
        self.total = min(sizes, default=None)
        self.done = sum(record.done for record in journal.records.values())
        self._retry, self._given_up = retry, set() if retry else self._same_failures()
        self.screen = Screen(console, sweep.metric, self.total)
        self._todo = self._trials()
        self._run_prefix = prefix(journal.folder)
        self._told: About | None = None
        self._stamps: dict[str, tuple[int, int]] = {}
        self._trained: dict[str, Record] = {}
        self._report: Callable[[bool], None] = lambda changed: None
        self._neighbours = summary.neighbours(journal.folder.parents[1], journal.folder)
        self._look_around = 0.0
        self._is_reached = False
        self._page: Page | None = None
        self.elsewhere = 0

    def knows(self, told: About, trained: dict[str, Record]) -> None:
        """What the folder says of itself, and what other sweeps have trained (`earlier`)."""
        self._told, self._trained = told, trained
        self._stamps = stamps(self._root, told.all_files)

        def look() -> Outcome:
            records, told = list(self._journal.records.values()), self._told
            return of_records(self.folder, self._root, records, told, self._sweep, running=True)

        self._report = live_report(self.folder / "report.html", look)

    def join_page(self) -> None:
        """Let the trials belong to a sweep on W&B, if they go online; its link is shown."""
        if os.environ["WANDB_MODE"] == "online":
            from hypertrain.online.page import open_page

            self._page = open_page(self._sweep, self.folder, self.screen.say)
            if self._page:
                self.screen.say(self._page.url)

    def leave_page(self, over: bool) -> None:
        """over: the search is done."""
        if self._page:
            if self.elsewhere:
                self.screen.say(f"{counted(self.elsewhere, 'trial')} ran elsewhere; W&B shows all.")
            if over:
                self._page.end(self.screen.say)
            self.screen.say(self._page.url)

    def restore(self, checkpoints: Checkpoints) -> None:
        """Teach the search what earlier sessions found out, and which checkpoints are the best."""
        for record in self._journal.records.values():
            self._search.restore(record.number, record.point)
            if record.done or record.number in self._given_up:
                self._teach(record)
                self.screen.earlier(record)
            if self._hyperband:
                self._hyperband.restore(record.bands)
            if record.state and not record.origin:
                checkpoints.ended(self.run(record).id, record.value, record.done)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to run."""
        return self.total is not None and self.done + len(self._given_up) >= self.total

    @property
    def _root(self) -> Path:
        return self.folder.parent.parent

    def _look_at_code(self) -> None:
        """The program may be edited while the sweep runs: a trial has the code that it begins with."""
        if self._told and stamps(self._root, self._told.all_files) != self._stamps:
            before = self._told.all_files
            self._told = today(self.folder, self._sweep, self._root)
            note(self.folder, self._told)
            self._stamps = stamps(self._root, self._told.all_files)
            if changed := self._told.changed_since(before):
                self._trained = {}
                self.screen.say(
                    f"{listed(changed)} has changed: trials from here on are of the new"
                )

    def _same_failures(self) -> set[int]:
        """Numbers of failed trials that the program, as it is today, would only repeat."""
        failed = [one for one in self._journal.records.values() if one.state == FAILED]
        if not failed:
            return set()
        now = today(self.folder, self._sweep, self._root)
        return {record.number for record in failed if record.code == now.code_of(record.params)}

    def tell_failed(self) -> None:
        """Say which of the earlier failures are tried again, and why."""
        failed = [one.number for one in self._journal.records.values() if one.state == FAILED]
        again = len(failed) - len(self._given_up)
        if again and not self.is_over:
            why = "as --retry asks" if self._retry else "the program has changed"
            self.screen.say(f"{_failed(again)} tried again: {why}")
        if told := not_again(len(self._given_up)):
            self.screen.say(told)

    def tell_exhausted(self) -> None:
        """Say that a search which draws its points has drawn them all."""
        every = self._search.size
        if self._sweep.method != "grid" and every and len(self._journal.records) >= every:
            self.screen.say(f"All {counted(every, 'point')} of the search space have been tried.")

    def _trials(self) -> Iterator[Record]:
        """Trials to run: those begun or failed earlier, with their parameters, then new ones."""
        records = self._journal.records.values()
        left = len(records) if self.total is None else max(0, self.total - self.done)
        again = [
            record for record in records if not record.done and record.number not in self._given_up
        ]
        for record in again[:left]:
            if record.state == FAILED or self._is_of_other_code(record):
                yield Record(record.number, record.point, record.params, record.attempt + 1)
            else:  # cut off: it keeps its run and its folder, and may go on
                yield record
        taken = 0
        for number in itertools.count(1):
            if self.total is not None and number > self.total:
                break
            if number in self._journal.records:
                continue
            point = self._search.ask(number)
            if point is None:
                break
            record = Record(number, point, params_at(self._sweep.space, point))
            if self._take_over(record):
                taken += 1
            elif self._is_free(record):
                self._tell_taken(taken)
                taken = 0
                yield record
        self._tell_taken(taken)

    def _is_of_other_code(self, record: Record) -> bool:
        """Whether a trial that was cut off would go on with another program than it began with."""
        folder = self.folder / record.folder
        if not self._told or not record.code:
            return False
        if not has_ended(folder / OUTPUT) or ended_well(folder):
            return False
        return record.code != self._told.code_of(record.params)

    def _tell_taken(self, count: int) -> None:
        if count:
            what = f"{counted(count, 'trial')} taken over from earlier sweeps"
            self.screen.say(f"{what}: same code, same parameters (--anew trains them again)")

    def _take_over(self, record: Record) -> bool:
        """Whether another sweep has trained just this; it then counts as ended here."""
        found = self._trained.get(key(record.params))
        if not found:
            return False
        values = self._logged(found)
        taken = take(record, found, values, self._sweep)
        if not taken.done:
            return False
        if self._told:
            code_for(self.folder, self._told, record.params)
        if self._hyperband:
            for value in values:
                self._hyperband.add(record.number, value)
            taken.bands = self._hyperband.end(record.number)
        self._journal.write(taken)
        self._teach(taken)
        self.screen.earlier(taken)
        return True

    def _teach(self, record: Record) -> None:
        """Tell the search of a trial that has ended; a failed one counts as `impute` says."""
        value, metric = record.value, self._sweep.metric
        if metric and metric.impute != "worst" and record.state == FAILED:
            values = self._logged(record)
            own = metric.best if metric.impute == "best" else itemgetter(-1)
            value = own(values) if values else None
        self._search.tell(record.number, value)

    def _logged(self, record: Record) -> list[float]:
        """What a trial that has ended, of this sweep or another, logged of the metric."""
        if not self._sweep.metric:
            return []
        reader = Reader(self.folder / record.folder / METRICS, self._sweep.metric.name)
        reader.read()
        home = (self.folder / record.folder).parents[1]
        reader.read_run(inside_wandb.read_run(home, record.run or "-"), self._sweep.metric.best)
        return reader.values

    def _is_free(self, record: Record) -> bool:
        """Whether no agent elsewhere has taken this point of a grid."""
        if self._page is None or self._sweep.method != "grid":
            return True
        free = self._page.claim(self.run(record).id, record.params)
        self.elsewhere += not free
        return free

    def next(self) -> Record | None:
        return None if self._reaches_target() else next(self._todo, None)

    def _reaches_target(self) -> bool:
        """Whether a trial has reached the metric's target, which ends the sweep; said once."""
        metric = self._sweep.metric
        if metric is None or metric.target is None or self._is_reached:
            return self._is_reached
        values = (record.value for record in self._journal.records.values() if record.done)
        self._is_reached = any(v is not None and metric.reaches_target(v) for v in values)
        if self._is_reached:
            self.screen.say(
                f"{metric.name} has reached its target of {metric.target}: no more trials"
            )
        return self._is_reached

    def finished(self) -> bool:
        return True  # `next` knows all

    def close(self) -> None:
        """No trial is asked for any more."""
        self._search.close()

    def run(self, record: Record) -> Run:
        name, page = record.folder.removeprefix("trials/"), self._page
        return Run(
            id=f"{self._run_prefix}-{name}",
            sweep=page.id if page else self._sweep.id,
            project=page.project if page else self._sweep.project,
            entity=page.entity if page else self._sweep.entity,
            on_server=page is not None,
            name=f"trial-{name}",
            group=None if page else f"{self._sweep.name}-{self._sweep.id}",
            folder=self.folder / record.folder,
            home=self.folder,
        )

    def begun(self, record: Record) -> None:
        self._stops.discard(record.number)
        self._so_far.pop(record.number, None)
        if self._hyperband:
            self._hyperband.forget(record.number)
        record.run = self.run(record).id
        self._look_at_code()
        if self._told:
            record.code = code_for(self.folder, self._told, record.params)
        self._journal.write(record)
        if self._sweep.metric and self._sweep.metric.impute_while_running == "worst":
            self._search.tell(record.number, None)
        self.screen.started(record)
        self._report(True)

    def logged(self, record: Record, value: float) -> None:
        self.screen.logged(record, value)
        metric = self._sweep.metric
        if metric and metric.impute_while_running:
            best = metric.best([value, self._so_far.get(record.number, value)])
            if best != self._so_far.get(record.number):
                self._so_far[record.number] = best
                self._search.tell(record.number, best)
        if self._hyperband:
            self._hyperband.add(record.number, value)
            if self._hyperband.stops(record.number):
                self._stops.add(record.number)

    def stops(self) -> Iterable[int]:
        self._report(False)
        if time.monotonic() > self._look_around:
            self._look_around = time.monotonic() + NEIGHBOURS
            for line in self._neighbours():
                self.screen.say(line)
        return self._stops

    def ended(self, record: Record) -> None:
        if self._hyperband:
            record.bands = self._hyperband.end(record.number)
        self._journal.write(record)
        self._teach(record)
        self.screen.ended(record)
        self._report(True)
        if record.state == FAILED:
            self._give_up_if_misspelt(record)
            self._give_up_if_hopeless(record)

    def interrupted(self) -> None:
        """The next session takes up again what was running."""

    def _give_up_if_misspelt(self, record: Record) -> None:
        """The first trial that ran to its end logged the metric under a similar name."""
        ended = [one for one in self._journal.records.values() if one.done or one.exit == 0]
        if self._sweep.metric and record.exit == 0 and ended == [record]:
            told = misspelt(self._sweep.metric.name, names(self.folder / record.folder))
            if told:
                raise Interrupted(told)

    def _give_up_if_hopeless(self, record: Record) -> None:
        """All trials so far failed, and for one reason: the next would too."""
        kind = ":".join((record.reason or "").split(":")[:2])
        self._failures[kind] += 1
        enough = self._failures[kind] >= max(ALIKE, self._workers)
        alike = len(self._failures) == 1
        if enough and alike and not any(r.done for r in self._journal.records.values()):
            raise Interrupted(f"every trial fails alike ({record.reason})")


def _failed(count: int) -> str:
    return f"{counted(count, 'failed trial')} {'is' if count == 1 else 'are'}"


def not_again(count: int) -> str | None:
    """What to say of failed trials that are left as they are."""
    why = "the program is the same (--retry tries them)"
    return f"{_failed(count)} not tried again: {why}" if count else None
