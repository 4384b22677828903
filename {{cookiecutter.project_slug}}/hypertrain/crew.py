"""The crew: a sweep's workers, where each runs its trials, and what takes the place of a lost one."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from hypertrain import gpus, machine
from hypertrain.pace import Pace
from hypertrain.results.journal import Record
from hypertrain.results.metrics import Reader
from hypertrain.show.words import counted
from hypertrain.trial import process
from hypertrain.trial.interpreter import PythonProgram, python_program
from hypertrain.trial.process import WOKEN, Event, Launch, Worker
from hypertrain.trial.reason import last_lines
from hypertrain.warm.start import can_fork, warm_workers

WARM_LOG = "warm.log"


@dataclass
class Running:
    """A trial under way. since: it began. kill_at: when its time to end by itself is up.
    crashing: since when it has been seen to fail.

    ends_as: what it is, once it was asked to end: a state and a reason. alone: the slots, itself
    included, where nothing else may run. beside: the slots where others ran at the same time.
    killed: how many the system had killed for memory before.
    """

    record: Record
    metrics: Reader
    since: float
    begun: bool = False
    kill_at: float | None = None
    ends_as: tuple[str, str | None] | None = None
    crashing: float | None = None
    alone: "list[Slot]" = field(default_factory=list)
    beside: set[int] = field(default_factory=set)
    killed: int = field(default_factory=machine.killed_for_memory)
    pace: Pace = field(default_factory=Pace)


@dataclass
class Slot:
    """Room for one trial at a time. gpus: those it sees, if there are any; others may see them too."""

    number: int
    gpus: str
    worker: Worker
    running: Running | None = None
    launch: Launch | None = None
    served: bool = False
    """Whether its worker has begun a trial."""


class Crew:
    """Workers whose trials start warm where that can be; at once they begin to prepare for it.

    words, environ: of a trial without parameters. log: takes what the warm process prints.
    threads: of each trial. say: prints a line.
    """

    def __init__(
        self,
        share: machine.Share,
        threads: str,
        cold: bool,
        words: Sequence[str],
        environ: dict[str, str],
        log: Path,
        say: Callable[[str], None],
    ) -> None:
        self._share, self._threads, self._cold = share, threads, cold
        self._words, self._environ = words, environ
        self._log, self._say = log, say
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._how = "forked from a warm process"
        self._told = False
        self._program: PythonProgram | None = None
        workers = self._hire(share.workers)
        places = [",".join(gpu.name for gpu in place) for place in share.places] or [""]
        self.slots = [Slot(n, places[n % len(places)], worker) for n, worker in enumerate(workers)]

    def start(
        self, slot: Slot, words: Sequence[str], environ: dict[str, str], output: Path
    ) -> None:
        """Start a trial with this command; it prints into `output`."""
        environ |= gpus.environ(slot.gpus)
        program = python_program(words, environ) if self._program else None
        is_same = program and self._program and program.start == self._program.start
        argv = program.arguments if program and is_same else None
        slot.launch = Launch(words, argv, environ, str(output))
        slot.worker.start(slot.launch)

    def news(self, seconds: float) -> Iterator[tuple[Slot, Event]]:
        """What the workers have to say, as soon as one has; what a replaced one says is left out."""
        events = []
        with suppress(Empty):
            events.append(self._events.get(timeout=seconds))
            while True:
                events.append(self._events.get_nowait())
        for event in events:
            yield from ((slot, event) for slot in self.slots if slot.worker is event.worker)

    def wake(self) -> None:
        """Let `news` return at once."""
        self._events.put(Event(None, WOKEN))

    def announce(self) -> None:
        """Say how trials start, if that is known before the first has begun."""
        if not self._program:
            self._tell()

    def begun(self, slot: Slot, how: str) -> None:
        """A trial has begun there: warm or cold."""
        slot.served = True
        if how == "warm" and not self._told:
            self._tell()

    def start_cold(self, slot: Slot, why: str) -> None:
        """No trial can be forked: start them as new processes."""
        if self._program:
            self._program, self._how = None, f"each a new process: {why}"
            self._tell()
        slot.worker.close()
        (slot.worker,) = process.cold_workers(1, self._events)
        if slot.launch:
            slot.launch = replace(slot.launch, argv=None)
            slot.worker.start(slot.launch)

    def renew(self, slot: Slot) -> None:
        """Its keeper is gone, and its trial with it, if one had begun."""
        if slot.served:
            (slot.worker,) = self._hire(1)
            slot.served = False
        else:
            last = last_lines(self._log, 1) if self._program else []
            self.start_cold(slot, " ".join(["importing beforehand has failed:", *last]))

    def close(self) -> None:
        """The workers end, and what they still run."""
        for slot in self.slots:
            slot.worker.close()
        for slot in self.slots:
            if slot.served or not self._program:  # what still imports ends with this process
                slot.worker.wait()

    def _hire(self, count: int) -> list[Worker]:
        self._program = python_program(self._words, self._environ)
        why = None
        if self._cold:
            why = "--cold"
        elif not can_fork():
            why = "this system cannot fork"
        elif not self._program:
            why = f"the command begins with {self._words[0]}, which is not this Python"
        if why or not self._program:
            self._program, self._how = None, f"each a new process: {why}"
            return process.cold_workers(count, self._events)
        return warm_workers(count, self._program, self._environ, self._log, self._events)

    def _tell(self) -> None:
        self._told = True
        workers = counted(self._share.workers, "worker")
        threads = self._threads + (" thread" if self._threads == "1" else " threads")
        mode = os.environ.get("WANDB_MODE", "online")
        self._say(f"{workers} of {threads}, trials {self._how}, W&B {mode}")
        if self._share.why:
            self._say(self._share.why)
