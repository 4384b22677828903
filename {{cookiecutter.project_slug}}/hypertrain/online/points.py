"""Points from W&B's server: the source of a worker's trials, and what the job's log tells of them."""

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty, SimpleQueue

from hypertrain.interrupts import Interrupted
from hypertrain.online.agent import (
    EXIT,
    GONE,
    HEARD,
    REFUSED,
    SILENT,
    START,
    STOP,
    Agent,
    Command,
)
from hypertrain.online.handback import HandBack
from hypertrain.online.server import remedy
from hypertrain.results.journal import FAILED, Record
from hypertrain.show.screen import Screen
from hypertrain.trial.process import OUTPUT
from hypertrain.trial.run import Run

Inbox = SimpleQueue[tuple[Agent, Command]]
MAX_INITIAL_FAILURES = 5
"""So many failures with hardly anything else end a worker, as they end the official agent."""


class ServerPoints:
    """The runs that a sweep's server hands to this worker's agents, one for each of its places.

    path: entity/project/id of the sweep. register: gives an agent. inbox: what the agents tell.
    places: trials at once, at most. count: trials in all. folder: for what the trials leave here.
    """

    def __init__(
        self,
        path: str,
        register: Callable[[], Agent],
        inbox: Inbox,
        places: int,
        count: int | None,
        hand_back: HandBack,
        folder: Path,
        screen: Screen,
    ) -> None:
        self._entity, self._project, self._sweep = path.split("/")
        self._register, self._inbox, self._places = register, inbox, places
        self._hand_back, self._screen = hand_back, screen
        self.folder = folder
        self._agents: set[Agent] = set()
        self._silent: set[Agent] = set()
        self._waiting: list[Record] = []
        self._owners: dict[str, Agent] = {}
        self._running: dict[int, Record] = {}
        self._stops: set[int] = set()
        self._outputs: dict[int, Echo] = {}
        self._given, self._count = 0, count or math.inf
        self._over = False
        self.failed = self.succeeded = 0
        self.refusal: Command | None = None

    def start(self) -> None:
        """Register an agent; others follow as long as all have a run and a place is free."""
        agent = self._register()
        self._agents.add(agent)
        agent.start()

    def close(self) -> None:
        """Say nothing more; what has not ended goes back."""
        for agent in self._agents:
            agent.close()
        for agent in self._agents:
            agent.wait()
        self._hear()
        self._hand_back.close()

    # What the loop asks

    def next(self) -> Record | None:
        self._hear()
        if self._waiting:
            return self._waiting.pop(0)
        if self._wants_more():
            try:
                self.start()
            except Exception as error:  # noqa: BLE001
                self._screen.say(f"W&B takes no further agent: {remedy(error)}")
                self._places = len(self._agents)
        return None

    def _wants_more(self) -> bool:
        """Whether all agents have a run under way while there is a free place."""
        busy = self._agents <= set(self._owners.values())
        return (
            not self._over
            and busy
            and self._given < self._count
            and (len(self._agents) < self._places)
        )

    def finished(self) -> bool:
        return not self._agents and not self._waiting

    def run(self, record: Record) -> Run:
        return Run(
            id=record.run or "",
            sweep=self._sweep,
            project=self._project,
            entity=self._entity,
            folder=self.folder / record.folder,
            home=Path(os.environ.get("WANDB_DIR") or Path.cwd()),
            on_server=True,
        )

    def begun(self, record: Record) -> None:
        self._running[record.number] = record
        say, output = self._screen.say, self.folder / record.folder / OUTPUT
        self._outputs[record.number] = Echo(output, say, f"[trial {record.number}] ")
        say(f"[trial {record.number}] W&B run {record.run}")
        self._screen.started(record)

    def logged(self, record: Record, value: float) -> None:
        self._screen.logged(record, value)

    def stops(self) -> Iterable[int]:
        self._hear()
        for echo in self._outputs.values():
            echo.pass_on()
        return self._stops

    def ended(self, record: Record) -> None:
        assert record.run is not None
        del self._running[record.number]
        self._outputs.pop(record.number).pass_on(to_the_end=True)
        self._screen.ended(record)
        self._hand_back.ended(record.run)
        self._release(self._owners.pop(record.run), record.run)
        if record.state == FAILED:
            self.failed += 1
            self._give_up_if_hopeless()
        else:
            self.succeeded += 1

    def _release(self, agent: Agent, run: str) -> None:
        """Let the agent ask for the next run, unless the others will bring all that is wanted."""
        asking = self._agents - set(self._owners.values())
        if self._given + len(asking) > self._count:
            self._agents.discard(agent)
            agent.close()
        else:
            agent.ended(run)

    def interrupted(self) -> None:
        """All is to end: W&B is to hear of it before the trials do."""
        self.close()

    # What the server says

    def _hear(self) -> None:
        while True:
            try:
                agent, command = self._inbox.get_nowait()
            except Empty:
                return
            self._obey(agent, command)

    def _obey(self, agent: Agent, command: Command) -> None:
        if command.kind in START:
            self._given += 1
            self._owners[command.run] = agent
            self._hand_back.begun(command.run)
            self._waiting.append(Record(self._given, [], command.params, run=command.run))
        elif command.kind == STOP:
            self._stop(command.run)
        elif command.kind in (EXIT, GONE, REFUSED):
            self._agents.discard(agent)
            self._over = True
            if command.kind == EXIT:
                for run in [run for run, owner in self._owners.items() if owner is agent]:
                    self._stop(run)
            else:
                self.refusal = command
        elif command.kind in (SILENT, HEARD):
            self._note_silence(agent, command.kind == SILENT)

    def _stop(self, run: str) -> None:
        self._stops |= {n for n, record in self._running.items() if record.run == run}

    def _note_silence(self, agent: Agent, silent: bool) -> None:
        before = bool(self._silent)
        self._silent = self._silent | {agent} if silent else self._silent - {agent}
        if before != bool(self._silent):
            how = (
                "does not answer; trials go on, and it is asked again"
                if silent
                else "answers again"
            )
            self._screen.say(f"W&B {how}")

    def _give_up_if_hopeless(self) -> None:
        enough = int(os.environ.get("WANDB_AGENT_MAX_INITIAL_FAILURES") or MAX_INITIAL_FAILURES)
        if self.failed >= enough and self.succeeded <= 1:
            raise Interrupted(f"{self.failed} trials have failed")


class Echo:
    """Passes on what a trial prints, line by line, each behind a mark."""

    def __init__(self, path: Path, say: Callable[[str], None], mark: str) -> None:
        self._path, self._say, self._mark = path, say, mark
        self._offset, self._rest = 0, b""

    def pass_on(self, to_the_end: bool = False) -> None:
        """The lines that have come since; a last one without an end waits for it."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        # A progress bar draws itself anew over and over: where it is in the end tells it all.
        self._rest = self._rest[self._rest.rstrip(b"\r").rfind(b"\r") + 1 :]
        if to_the_end and self._rest:
            lines.append(self._rest)
        for line in lines:
            text = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
            self._say(self._mark + text)
