"""The sweep of one machine: its own search is the source of its trials."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from hypertrain import UserError
from hypertrain.results.identity import prefix
from hypertrain.results.journal import FAILED, Journal, Record
from hypertrain.search.hyperband import Hyperband
from hypertrain.search.search import new_search, params_at
from hypertrain.show import summary
from hypertrain.show.screen import Screen
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial.command import command_line
from hypertrain.trial.run import Run
from hypertrain.tuner import Interrupted, Limits, Loop

ALIKE = 3
"""So many trials that fail alike, with none completed, end the sweep."""
INTERRUPTED = "interrupted"


def tune(sweep: Sweep, root: Path, limits: Limits, count: int | None, console: Console) -> int:
    """Run the sweep, or what is left of it; return the exit status.

    count: of trials in all.
    Raises: UserError when it cannot start.
    """
    count = min((n for n in (count, sweep.run_cap) if n), default=None)
    if sweep.method != "grid" and count is None and limits.seconds is None:
        raise UserError(
            f"{sweep.path}: run_cap: method {sweep.method} never ends by itself; add "
            "`run_cap: 30` to the file, or give --count 30 or --time-limit 1h"
        )
    command_line(sweep, {}, Path())  # refuses an unknown macro before anything is written
    results = Path("results") / f"sweep-{sweep.id}"
    with Journal(root / results) as journal:
        source = LocalSource(sweep, journal, limits.workers, count, console)
        summary.before(console, sweep, root, results, source.total, source.done)
        try:
            interruption = run(sweep, root, limits, source)
        except OSError as error:
            raise UserError(f"{results}: {error.strerror}: {error.filename or ''}") from None
        summary.after(console, sweep, results, journal, interruption)
        if interruption == INTERRUPTED:
            return 130
        return 0 if any(record.done for record in journal.records.values()) else 1


def run(sweep: Sweep, root: Path, limits: Limits, source: "LocalSource") -> str | None:
    """Run what is left; return why it ended earlier than that, if it did."""
    if source.total is not None and source.done >= source.total:
        return None
    try:
        loop = Loop(sweep, root, source.folder, limits, source, source.screen.say)
        wandb_mode()  # the trials' parent warms up meanwhile
        source.restore()
        with source.screen:
            loop.run()
        return None
    except (KeyboardInterrupt, Interrupted) as error:
        return str(error) or INTERRUPTED


class LocalSource:
    """Trials of a search whose journal is on disk: goes on from what that holds."""

    def __init__(
        self, sweep: Sweep, journal: Journal, workers: int, count: int | None, console: Console
    ) -> None:
        self._sweep, self._journal, self._workers = sweep, journal, workers
        self.folder = journal.folder
        self._search = new_search(sweep)
        self._hyperband = Hyperband(sweep.bands) if sweep.bands else None
        self._stops: set[int] = set()
        self._failures: Counter[str] = Counter()
        sizes = [n for n in (count, self._search.size) if n is not None]
        self.total = min(sizes, default=None)
        self.done = sum(record.done for record in journal.records.values())
        self.screen = Screen(console, sweep.metric, self.total)
        self._todo = self._trials()
        self._run_prefix = prefix(journal.folder)

    def restore(self) -> None:
        """Teach the search what earlier sessions found out."""
        for record in self._journal.records.values():
            self._search.restore(record.number, record.point)
            if record.done:
                self._search.tell(record.number, record.value)
                self.screen.earlier(record)
            if self._hyperband:
                self._hyperband.restore(record.bands)

    def _trials(self) -> Iterator[Record]:
        """Trials to run: those begun or failed earlier, with their parameters, then new ones."""
        for record in list(self._journal.records.values()):
            if not record.done:
                yield Record(record.number, record.point, record.params, record.attempt + 1)
        number = len(self._journal.records) + 1
        while self.total is None or number <= self.total:
            point = self._search.ask(number)
            if point is None:
                return
            yield Record(number, point, params_at(self._sweep.space, point))
            number += 1

    def next(self) -> Record | None:
        return next(self._todo, None)

    def finished(self) -> bool:
        return True  # `next` knows all

    def run(self, record: Record) -> Run:
        name = record.folder.removeprefix("trials/")
        return Run(
            id=f"{self._run_prefix}-{name}",
            sweep=self._sweep.id,
            project=self._sweep.project,
            entity=self._sweep.entity,
            name=f"trial-{name}",
            group=f"{self._sweep.name}-{self._sweep.id}",
            folder=self.folder / record.folder,
            home=self.folder,
        )

    def begun(self, record: Record) -> None:
        self._journal.write(record)
        self.screen.started(record)

    def logged(self, record: Record, value: float) -> None:
        self.screen.logged(record, value)
        if self._hyperband:
            self._hyperband.add(record.number, value)
            if self._hyperband.stops(record.number):
                self._stops.add(record.number)

    def stops(self) -> Iterable[int]:
        return self._stops

    def ended(self, record: Record) -> None:
        if self._hyperband:
            record.bands = self._hyperband.end(record.number)
        self._journal.write(record)
        self._search.tell(record.number, record.value)
        self.screen.ended(record)
        if record.state == FAILED:
            self._give_up_if_hopeless(record)

    def _give_up_if_hopeless(self, record: Record) -> None:
        """All trials so far failed, and for one reason: the next would too."""
        kind = ":".join((record.reason or "").split(":")[:2])
        self._failures[kind] += 1
        enough = self._failures[kind] >= max(ALIKE, self._workers)
        alike = len(self._failures) == 1
        if enough and alike and not any(r.done for r in self._journal.records.values()):
            raise Interrupted(f"every trial fails alike ({record.reason})")


MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")


def wandb_mode() -> None:
    """Decide whether the trials' runs go online or stay offline, and say so in the environment."""
    mode = os.environ.get("WANDB_MODE")
    if mode and mode not in MODES:
        raise UserError(f"WANDB_MODE: {mode!r} is none of {', '.join(MODES)}")
    if mode:
        return
    import wandb

    try:
        account = wandb.login(prompt=False, verify=False)
    except (wandb.Error, OSError) as error:
        raise UserError(f"W&B: {error}") from None
    os.environ["WANDB_MODE"] = "online" if account else "offline"
