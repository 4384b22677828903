"""The loop: gives trials to workers until their source has none left, and watches how they end."""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from hypertrain import UserError, gpus, inside_wandb, machine
from hypertrain.crew import WARM_LOG, Crew, Running, Slot
from hypertrain.growth import Growth
from hypertrain.interrupts import Interrupted, interruptible
from hypertrain.results.checkpoints import BEST, Checkpoints
from hypertrain.results.journal import COMPLETED, FAILED, HOST, STOPPED, Record
from hypertrain.results.metrics import Reader, begin_anew
from hypertrain.show.words import counted, duration
from hypertrain.sweepfile.command import secrets, without
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial import process
from hypertrain.trial.command import command_line
from hypertrain.trial.keeper import EXIT, GRACE, STUBBORN, ended_well, has_ended
from hypertrain.trial.process import BEGUN, COLD, ENDED, LOST, Event
from hypertrain.trial.reason import OUT_OF_MEMORY, failure, has_crashed, last_lines
from hypertrain.trial.run import ARGS, Run, agents_environment, environment, write_params

POLL = 0.1
"""Seconds between two looks at what the running trials logged."""
PATIENCE = 30.0
"""Seconds that a trial which is stopped early gets to end by itself, as `wandb agent` gives it."""
LOSSES = 3
"""So often a trial is begun whose keeper or W&B service then dies; after that it has failed."""
SLOWED = 4 / 3
"""Trials that take so many times as long beside others are worth a line."""


@dataclass(frozen=True)
class Limits:
    """workers: trials at once. seconds: of wall time, for all and for each trial.

    keep: trials whose checkpoints stay; None for all.
    """

    share: machine.Share
    seconds: float | None = None
    trial_seconds: float | None = None
    cold: bool = False
    keep: int | None = BEST

    @property
    def workers(self) -> int:
        return self.share.workers


class Source(Protocol):
    """Where trials come from, and where what becomes of them goes."""

    def next(self) -> Record | None:
        """The next trial; None if there is none now."""

    def finished(self) -> bool:
        """Whether no further trial will come, unless one that runs brings it about."""

    def run(self, record: Record) -> Run:
        """The trial's run on W&B."""

    def begun(self, record: Record) -> None: ...

    def logged(self, record: Record, value: float) -> None:
        """A running trial has logged the metric."""

    def stops(self) -> Iterable[int]:
        """Numbers of trials to be stopped early; one that does not run is ignored."""

    def ended(self, record: Record) -> None:
        """A trial has ended by itself or was stopped early."""

    def interrupted(self) -> None:
        """All is to end early; the trials that run are asked to right after this."""


class Loop:
    """Runs the trials of a source on this machine.

    folder: of the results. say: prints a line.
    """

    def __init__(
        self,
        sweep: Sweep,
        root: Path,
        folder: Path,
        limits: Limits,
        source: Source,
        say: Callable[[str], None],
    ) -> None:
        self._sweep, self._root, self._folder = sweep, root, folder
        self._limits, self._source, self._say = limits, source, say
        self._again: list[Record] = []
        self._alone: list[tuple[Record, list[Slot]]] = []
        metric = sweep.metric
        self.checkpoints = Checkpoints(root, limits.keep, metric.sign if metric else None)
        self._slowed = False
        self._losses: dict[int, int] = {}
        self._deadline = time.monotonic() + limits.seconds if limits.seconds else float("inf")
        self._crew = self._hire()
        self._slots = self._crew.slots
        before = gpus.memory(limits.share.places) if limits.share.grows else None
        self._places = max(1, len(limits.share.places))
        self._growth = Growth(limits.workers // self._places, before) if before else None

    # From the first trial to the last

    def run(self) -> None:
        """Until the source is finished.

        Raises: KeyboardInterrupt, Interrupted and whatever else ends it; no trial then runs on.
        """
        self._crew.announce()
        try:
            with interruptible():
                try:
                    while self._start_some() or self._has_more():
                        self._look()
                except BaseException:
                    try:
                        self._source.interrupted()
                    finally:
                        self._stop_all()
                    raise
        finally:
            self._crew.close()

    def wake(self) -> None:
        """The source has news; any thread may say so. A free worker then waits for no clock."""
        self._crew.wake()

    def _hire(self) -> Crew:
        """Let the trials' parent warm up; meanwhile the rest of the preparation goes on."""
        share, cold = self._limits.share, self._limits.cold
        threads = machine.share_threads(share.workers)
        words = command_line(self._sweep, {}, Path())
        environ = {**os.environ, **environment(self._source.run(Record(0, [], {})), Path())}
        return Crew(share, threads, cold, words, environ, self._folder / WARM_LOG, self._say)

    def _busy(self) -> bool:
        return any(slot.running for slot in self._slots)

    def _has_more(self) -> bool:
        return self._busy() or bool(self._again or self._alone) or not self._source.finished()

    # Starting trials

    def _start_some(self) -> bool:
        """Give the free workers their next trials; return whether none is idle for want of one."""
        for again in list(self._alone):
            lone, crowd = again
            if not any(slot.running for slot in crowd):
                self._alone.remove(again)
                self._start(lone, crowd[0], alone=crowd)
        for slot in self._slots:
            if slot.running is None and self._may_start(slot):
                record = self._again.pop(0) if self._again else self._source.next()
                if record is None:
                    return False
                self._start(record, slot)
        return True

    def _may_start(self, slot: Slot) -> bool:
        """Whether its GPU is to take one more trial, and none there runs alone or is about to."""
        if self._growth and self._which_there(slot) >= self._growth.at_once:
            return False
        running = [other.running for other in self._slots if other.running]
        reserved = [*(crowd for _, crowd in self._alone), *(it.alone for it in running)]
        return not any(slot is other for crowd in reserved for other in crowd)

    def _which_there(self, slot: Slot) -> int:
        """The slots of one GPU are numbered, and those below `at_once` are in use."""
        return slot.number // self._places

    def _start(self, record: Record, slot: Slot, alone: Iterable[Slot] = ()) -> None:
        """A trial that has begun before was cut off: what it left stays, for it to go on."""
        folder = self._folder / record.folder
        was_cut_off = record.begun is not None
        if was_cut_off:
            self._wait_for_its_end(record, folder / process.OUTPUT)
            if (ended := ended_well(folder)) is not None:
                return self._count(record, folder, ended)
        record = replace(record, worker=slot.number, host=HOST, begun=round(time.time(), 3))
        if was_cut_off:
            begin_anew(folder / process.METRICS)
            _put_aside(folder / process.OUTPUT)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._source.begun(record)
        slot.running = Running(record, self._reader(folder), time.monotonic(), alone=list(alone))
        for other in self._slots:
            if other.running and other is not slot:
                other.running.beside.add(slot.number)
                slot.running.beside.add(other.number)
        write_params(folder, record.params)
        run = self._source.run(record)
        run = replace(run, goes_on=was_cut_off or self.checkpoints.goes_on(run.id))
        words = command_line(self._sweep, record.params, folder / ARGS, agents_environment(run))
        environ = environment(run, folder / process.METRICS)
        self._crew.start(slot, words, environ, folder / process.OUTPUT)
        return None

    def _count(self, record: Record, folder: Path, ended: float) -> None:
        """A trial has run to its end with no tuner there to see it: it counts."""
        code = record.code
        self._source.begun(record)
        record.code = code  # not today's
        spent = max(0.0, ended - (record.begun or ended))
        running = Running(record, self._reader(folder), time.monotonic() - spent)
        self._read_metrics(running)
        record = replace(self._outcome(running, 0), ended=ended)
        self._source.ended(record)
        self.checkpoints.ended(self._source.run(record).id, record.value, record.done)

    def _reader(self, folder: Path) -> Reader:
        metric = self._sweep.metric.name if self._sweep.metric else None
        return Reader(folder / process.METRICS, metric)

    def _wait_for_its_end(self, record: Record, output: Path) -> None:
        """A trial whose tuner was killed gets a while to end by itself: it must not run twice."""
        until = time.monotonic() + GRACE + 1
        if not has_ended(output):
            self._say(f"trial {record.number} of the earlier session is still ending")
        while not has_ended(output) and time.monotonic() < until:
            time.sleep(0.05)

    # Watching them

    def _look(self) -> None:
        """Wait for something to happen, or for the next look at what was logged."""
        for slot, event in self._crew.news(POLL):
            if event.kind == BEGUN and slot.running:
                self._note_begin(slot.running, slot, event)
            elif event.kind == ENDED and slot.running:
                self._end(slot, event.about)
            elif event.kind == COLD:
                self._crew.start_cold(slot, event.about)
            elif event.kind == LOST:
                self._replace(slot)
        stopped = set(self._source.stops())
        for slot in self._slots:
            if slot.running:
                self._watch(slot, slot.running, slot.running.record.number in stopped)
        if self._growth and (memory := gpus.memory(self._limits.share.places)):
            self._growth.look(memory)
        if time.monotonic() > self._deadline:
            raise Interrupted("the time limit is reached")

    def _watch(self, slot: Slot, running: Running, stop: bool) -> None:
        self._read_metrics(running)
        now = time.monotonic()
        limit = self._limits.trial_seconds
        if running.kill_at:
            if now > running.kill_at:
                slot.worker.kill()
        elif stop:
            if not self._is_crashing(running):
                self._ask_to_end(slot, running, STOPPED, None)
        elif limit and running.begun and now - running.since > limit:
            why = f"ran longer than {duration(limit)} (--trial-time-limit)"
            self._ask_to_end(slot, running, FAILED, why)

    def _is_crashing(self, running: Running) -> bool:
        """Whether it is about to end by itself, and as a failure; it gets a while for that."""
        if not has_crashed(self._folder / running.record.folder / process.OUTPUT):
            return False
        running.crashing = running.crashing or time.monotonic()
        return time.monotonic() - running.crashing < STUBBORN

    def _ask_to_end(self, slot: Slot, running: Running, state: str, why: str | None) -> None:
        slot.worker.terminate()
        running.kill_at = time.monotonic() + (PATIENCE if state == STOPPED else GRACE)
        running.ends_as = (state, why)

    def _read_metrics(self, running: Running) -> None:
        values = running.metrics.read()
        for value in values:
            self._source.logged(running.record, value)
        others = any(slot.running and slot.running is not running for slot in self._slots)
        running.pace.look(time.monotonic(), len(values), alone=not others)
        self._tell_if_slowed(running)

    def _tell_if_slowed(self, running: Running) -> None:
        slowdown = running.pace.slowdown()
        if slowdown and slowdown > SLOWED and not self._slowed and not self._growth:
            self._slowed = True
            self._say(
                f"Trials slow each other down: trial {running.record.number} took "
                f"{slowdown:.1f} times as long beside others as alone (see --workers)"
            )

    def _note_begin(self, running: Running, slot: Slot, event: Event) -> None:
        self._crew.begun(slot, event.about)
        running.begun = True
        running.since = time.monotonic()

    def _end(self, slot: Slot, code: int) -> None:
        running = slot.running
        assert running is not None
        self._read_metrics(running)
        record = self._outcome(running, code)
        if damaged := running.metrics.damaged:
            file = self._folder / record.folder / process.METRICS
            lines = "1 line is" if damaged == 1 else f"{damaged} lines are"
            self._say(f"{os.path.relpath(file, self._root)}: {lines} damaged and left out")
        crowd = self._crowd(slot, running, record)
        slot.running = slot.launch = None
        if any(other.number in running.beside for other in crowd):
            self._say(f"trial {record.number} ran out of memory beside others; it runs again alone")
            self._alone.append((running.record, crowd))
        elif self._has_lost_wandb(running, record) and self._goes_on(running.record):
            (self._folder / record.folder / EXIT).unlink(missing_ok=True)  # it has not ended well
            self._say(f"trial {record.number} has lost W&B's service; it goes on with another")
        else:
            self._source.ended(record)
            self.checkpoints.ended(self._source.run(record).id, record.value, record.done)
        if self._growth and self._grows(self._growth, running, record, bool(crowd)):
            number = counted(self._growth.at_once, "trial")
            self._say(f"{number} at once on each GPU: {self._growth.why}")

    def _has_lost_wandb(self, running: Running, record: Record) -> bool:
        if record.state != FAILED or running.ends_as:
            return False
        output = self._folder / record.folder / process.OUTPUT
        return inside_wandb.has_lost_service("\n".join(last_lines(output, 200)))

    def _goes_on(self, record: Record) -> bool:
        """Begin a trial again that ended by no fault of its own, unless it has happened too often."""
        self._losses[record.number] = self._losses.get(record.number, 0) + 1
        if self._losses[record.number] >= LOSSES:
            return False
        self._again.append(record)
        return True

    def _grows(self, growth: Growth, running: Running, record: Record, no_memory: bool) -> bool:
        """Whether another number of trials is to share each GPU from now on."""
        if no_memory:
            return growth.out_of_memory()
        values = len(running.metrics.values)
        return record.done and growth.ended(running.since, time.monotonic(), values)

    def _crowd(self, slot: Slot, running: Running, record: Record) -> list[Slot]:
        """Whom a trial that ran out of memory shared it with: its GPU's slots, or all; else nobody."""
        if record.state != FAILED or not OUT_OF_MEMORY.search(record.reason or ""):
            return []
        of_machine = "SIGKILL" in (record.reason or "")
        if of_machine and machine.killed_for_memory() == running.killed:
            return []
        others = [it for it in self._slots if of_machine or it.gpus == slot.gpus]
        return [slot, *(other for other in others if other is not slot)]

    def _outcome(self, running: Running, code: int) -> Record:
        folder = self._folder / running.record.folder
        metric, metrics = self._sweep.metric, running.metrics
        spent = round(time.monotonic() - running.since, 3)
        record = replace(
            running.record, seconds=spent, ended=round(time.time(), 3), exit=code, state=COMPLETED
        )
        if metric:
            run = self._source.run(record)
            metrics.read_run(inside_wandb.read_run(run.home, run.id), metric.best)
        reason = failure(code, folder / process.OUTPUT)
        reason = without(secrets(self._sweep.command), reason) if reason else None
        if running.ends_as:
            state, reason = running.ends_as
            record = replace(record, state=state)
        elif metric and not reason:
            reason = metrics.missing()
        if reason:
            return replace(record, state=FAILED, reason=reason)
        has_value = metric and metrics.values
        return replace(record, value=metric.best(metrics.values) if metric and has_value else None)

    # When a worker fails, or all is to end

    def _replace(self, slot: Slot) -> None:
        """A keeper is gone, and its trial with it; the trial goes on, with another keeper."""
        had_begun = slot.served
        self._crew.renew(slot)
        if had_begun and (running := slot.running):
            slot.running = slot.launch = None
            if not self._goes_on(running.record):
                reason = "was lost several times: something ends its keeper"
                self._source.ended(replace(running.record, state=FAILED, reason=reason))

    def _stop_all(self) -> None:
        """End the running trials; what completes meanwhile counts."""
        for slot in self._slots:
            slot.worker.terminate()
        if begun := [slot for slot in self._slots if slot.running and slot.running.begun]:
            self._say(
                f"Stopping: {counted(len(begun), 'trial')} may take up to {GRACE:.0f} s to end; "
                "Ctrl-C again ends them at once"
            )
        with suppress(KeyboardInterrupt):
            self._await_ends(GRACE)
        for slot in self._slots:
            slot.worker.kill()
        with suppress(KeyboardInterrupt):
            self._await_ends(STUBBORN)

    def _await_ends(self, seconds: float) -> None:
        """Wait for the trials that have begun; whatever is wrong with one keeps none running."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not any(slot.running and slot.running.begun for slot in self._slots):
                return
            for slot, event in self._crew.news(POLL):
                if event.kind == BEGUN:
                    if slot.running:
                        slot.running.begun = True
                    continue
                if event.kind == ENDED and slot.running and event.about == 0:
                    with suppress(UserError, Interrupted, OSError):
                        self._end(slot, 0)
                slot.running = None


def _put_aside(output: Path) -> None:
    """Keep what a trial printed before it was cut off out of what it prints from now on."""
    if output.exists():
        earlier = len(list(output.parent.glob(f"{output.stem}-*{output.suffix}")))
        output.rename(output.with_stem(f"{output.stem}-{earlier + 1}"))
