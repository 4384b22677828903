"""The sweep on this machine: gives points to workers until the search is done."""

import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from rich.console import Console

from hypertrain import UserError, machine, runs
from hypertrain.results.journal import COMPLETED, FAILED, STOPPED, Journal, Record
from hypertrain.results.metrics import Reader
from hypertrain.search.hyperband import Hyperband
from hypertrain.search.search import new_search, params_at
from hypertrain.show import summary
from hypertrain.show.screen import Screen
from hypertrain.show.words import counted
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial import process as trial
from hypertrain.trial.command import command_line, python_program
from hypertrain.trial.record import FILE
from hypertrain.warm import start as warm

POLL = 0.1
"""Seconds between two looks at what the running trials logged."""
ALIKE = 3
"""So many trials that fail alike, with none completed, end the sweep."""
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Limits:
    """workers: trials at once. count: trials in all. seconds: of wall time."""

    workers: int
    count: int | None
    seconds: float | None


@dataclass
class Running:
    """A trial under way. kill_at: when its time to end by itself is up; None if not asked to."""

    record: Record
    worker: int
    process: BaseProcess
    metrics: Reader
    since: float
    kill_at: float | None = None


class Interrupted(Exception):
    """The sweep ends before its search does; the message says why."""


def tune(sweep: Sweep, root: Path, limits: Limits, console: Console) -> int:
    """Run the sweep, or what is left of it; return the exit status.

    Raises: UserError when it cannot start.
    """
    count = min((n for n in (limits.count, sweep.run_cap) if n), default=None)
    if sweep.method != "grid" and count is None and limits.seconds is None:
        raise UserError(
            f"{sweep.path}: run_cap: method {sweep.method} never ends by itself; add "
            "`run_cap: 30` to the file, or give --count 30 or --time-limit 1h"
        )
    command_line(sweep, {}, Path())  # refuses an unknown macro before anything is written
    results = Path("results") / f"sweep-{sweep.id}"
    with Journal(root / results) as journal:
        session = Session(sweep, root, replace(limits, count=count), journal, console)
        summary.before(console, sweep, root, results, session.total, session.done)
        try:
            interruption = session.run()
        except OSError as error:
            raise UserError(f"{results}: {error.strerror}: {error.filename or ''}") from None
        summary.after(console, sweep, results, journal, interruption)
        if interruption == INTERRUPTED:
            return 130
        return 0 if any(record.done for record in journal.records.values()) else 1


class Session:
    """One session of a sweep: goes on from what the journal holds."""

    def __init__(
        self, sweep: Sweep, root: Path, limits: Limits, journal: Journal, console: Console
    ) -> None:
        self._sweep, self._root, self._limits, self._journal = sweep, root, limits, journal
        self._search = new_search(sweep)
        self._hyperband = Hyperband(sweep.bands) if sweep.bands else None
        self._running: dict[int, Running] = {}
        self._free = list(range(limits.workers))
        self._gpus = machine.gpus()
        self._failures: Counter[str] = Counter()
        self._deadline = time.monotonic() + limits.seconds if limits.seconds else float("inf")
        sizes = [n for n in (limits.count, self._search.size) if n is not None]
        self.total = min(sizes, default=None)
        self.done = sum(record.done for record in journal.records.values())
        self._screen = Screen(console, sweep.metric, self.total)

    def run(self) -> str | None:
        """Run to the end; return why it stopped earlier, if it did."""
        if self.total is not None and self.done >= self.total:
            return None
        self._context = self._prepare()
        self._restore()
        todo = self._todo()
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            with self._screen:
                while self._start_some(todo) or self._running:
                    self._look()
            return None
        except (KeyboardInterrupt, Interrupted) as error:
            self._stop_all()
            return str(error) or INTERRUPTED
        finally:
            signal.signal(signal.SIGTERM, before)

    def _prepare(self) -> BaseContext:
        """Let the trials' parent warm up; meanwhile start what is slow here."""
        machine.share_threads(self._limits.workers)
        context = warm.start_method(self._root / self._sweep.program)
        how = "forked from a warm process" if warm.can_fork() else "each in a new process"
        mode = runs.open_wandb(self._journal.folder / "wandb-core.log")
        workers = counted(self._limits.workers, "worker")
        self._screen.say(f"{workers}, trials {how}, W&B {mode}")
        return context

    def _restore(self) -> None:
        for record in self._journal.records.values():
            self._search.restore(record.number, record.point)
            if record.done:
                self._search.tell(record.number, record.value)
                self._screen.earlier(record)
            if self._hyperband:
                self._hyperband.restore(record.bands)

    def _todo(self) -> Iterator[Record]:
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

    def _start_some(self, todo: Iterator[Record]) -> bool:
        """Give the free workers their next trials; return whether any was left to give."""
        while self._free:
            record = next(todo, None)
            if record is None:
                return False
            self._start(record)
        return True

    def _start(self, record: Record) -> None:
        worker = self._free.pop(0)
        folder = self._journal.folder / record.folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._journal.write(record)
        launch = self._launch(record, worker, folder)
        metric = self._sweep.metric.name if self._sweep.metric else None
        reader = Reader(folder / trial.METRICS, metric)
        process = trial.start(self._context, launch)
        self._running[record.number] = Running(record, worker, process, reader, time.monotonic())
        self._screen.started(record)

    def _launch(self, record: Record, worker: int, folder: Path) -> trial.Launch:
        runs.write_params(folder, record.params)
        words = command_line(self._sweep, record.params, folder / runs.ARGS)
        environ = {
            **os.environ,
            **runs.environment(self._sweep, record, self._journal.folder),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            FILE: str(folder / trial.METRICS),
        }
        if self._gpus:
            environ["CUDA_VISIBLE_DEVICES"] = self._gpus[worker % len(self._gpus)]
        return trial.Launch(words, python_program(words, self._sweep), environ, folder)

    def _look(self) -> None:
        """Wait for a trial to end or the next look; note what was logged and who ended."""
        ended = wait([running.process.sentinel for running in self._running.values()], POLL)
        now = time.monotonic()
        for running in list(self._running.values()):
            self._read_metrics(running)
            if running.process.sentinel in ended:
                self._end(running)
            elif running.kill_at and now > running.kill_at:
                trial.kill(running.process)
        if now > self._deadline:
            raise Interrupted("the time limit is reached")

    def _read_metrics(self, running: Running) -> None:
        number = running.record.number
        for value in running.metrics.read():
            self._screen.logged(running.record, value)
            if self._hyperband:
                self._hyperband.add(number, value)
        if self._hyperband and not running.kill_at and self._hyperband.stops(number):
            trial.terminate(running.process)
            running.kill_at = time.monotonic() + trial.GRACE

    def _end(self, running: Running) -> None:
        running.process.join()
        trial.kill(running.process)
        record = self._outcome(running)
        self._forget(running)
        self._journal.write(record)
        self._search.tell(record.number, record.value)
        self._screen.ended(record)
        if record.state == FAILED:
            self._give_up_if_hopeless(record)

    def _outcome(self, running: Running) -> Record:
        record, metrics = running.record, running.metrics
        seconds = round(time.monotonic() - running.since, 3)
        bands = self._hyperband.end(record.number) if self._hyperband else []
        reason = trial.failure(running.process.exitcode or 0, self._journal.folder / record.folder)
        metric = self._sweep.metric
        if running.kill_at is not None:
            state, reason = STOPPED, None
        else:
            state, reason = COMPLETED, reason or (metrics.missing() if metric else None)
        if reason:
            return replace(record, state=FAILED, reason=reason, seconds=seconds, bands=bands)
        value = metric.best(metrics.values) if metric else None
        return replace(record, state=state, value=value, seconds=seconds, bands=bands)

    def _forget(self, running: Running) -> None:
        del self._running[running.record.number]
        self._free.append(running.worker)

    def _give_up_if_hopeless(self, record: Record) -> None:
        """All trials so far failed, and for one reason: the next would too."""
        kind = ":".join((record.reason or "").split(":")[:2])
        self._failures[kind] += 1
        enough = self._failures[kind] >= max(ALIKE, self._limits.workers)
        alike = len(self._failures) == 1
        if enough and alike and not any(r.done for r in self._journal.records.values()):
            raise Interrupted(f"every trial fails alike ({record.reason})")

    def _stop_all(self) -> None:
        """End the running trials; they are taken up again by the next session."""
        for running in self._running.values():
            trial.terminate(running.process)
        try:
            until = time.monotonic() + trial.GRACE
            for running in self._running.values():
                running.process.join(max(0.0, until - time.monotonic()))
        except KeyboardInterrupt:
            pass
        for running in self._running.values():
            trial.kill(running.process)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
