"""The protocol of W&B's sweep agents, spoken as `wandb agent` speaks it (wandb 0.31).

An agent registers at a sweep. Each of its heartbeats names the runs that it has under way and is
answered with what to do: run or resume one, stop one, exit. wandb's own functions say the words
(`inside_wandb`).
"""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import wandb
import yaml

from hypertrain import inside_wandb

INTERVAL = 5.0
"""Seconds between two heartbeats while no run ends."""
LONGEST = 60.0
"""Seconds at most between two attempts to reach a server that does not answer."""
LAST_WORD = 1.0
"""Seconds for the answer to a heartbeat under way to arrive, in the end."""
START, GONE, SILENT, HEARD = ("run", "resume"), "gone", "silent", "heard"
STOP, EXIT, REFUSED = "stop", "exit", "refused"


@dataclass(frozen=True)
class Command:
    """What the server wants of an agent, or what has become of the server.

    kind: `run`, `resume`, `stop` or `exit`, as the server says; `gone` when it holds the sweep no
        longer, `refused` when it refuses the key, `silent` when it does not answer, `heard` when it
        answers again.
    params: values by name, in the server's order.
    """

    kind: str
    run: str = ""
    program: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None


Tell = Callable[["Agent", Command], None]


def sweep_config(api: wandb.Api, path: str) -> dict[str, Any]:
    """The configuration of the sweep entity/project/id, as the server holds it."""
    entity, project, sweep = path.split("/")
    scope = {"entity": entity, "project": project}
    found = inside_wandb.ask("_sweep_with_runs", api, sweep=sweep, specs="{}", **scope)
    config = yaml.safe_load(found.get("config") or "")
    return config if isinstance(config, dict) else {}


class Agent:
    """An agent registered at the sweep entity/project/id, for one run at a time.

    Its heartbeats come from a thread of its own, at once when a run has ended. What the server says
    is passed on to `tell`.
    """

    def __init__(self, api: wandb.Api, path: str, tell: Tell) -> None:
        entity, project, sweep = path.split("/")
        place = {"host": socket.gethostname(), "project": project, "entity": entity}
        registered = inside_wandb.ask("_register_agent", api, sweep_id=sweep, **place)
        self._api, self._id, self._tell = api, registered["id"], tell
        self._runs: dict[str, bool] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._wake, self._closed = threading.Event(), threading.Event()

    def start(self) -> None:
        self._thread.start()

    def ended(self, run: str) -> None:
        """The run is over: the server may have the next one."""
        with self._lock:
            self._runs.pop(run, None)
        self._wake.set()

    def close(self) -> None:
        """Say nothing more; what is being answered is still passed on."""
        self._closed.set()
        self._wake.set()

    def wait(self) -> None:
        """Until the last answer is there, if that is soon."""
        if self._thread.is_alive():
            self._thread.join(LAST_WORD)

    def _speak(self) -> None:
        failures = 0
        while not self._closed.is_set():
            self._wake.clear()
            try:
                commands = self._heartbeat()
            except Exception as error:  # noqa: BLE001
                # An hour without the network is no reason to give up: the runs go on meanwhile.
                if kind := _final(error):
                    return self._tell(self, Command(kind, error=error))
                if not failures:
                    self._tell(self, Command(SILENT, error=error))
                failures += 1
                self._closed.wait(min(INTERVAL * 2**failures, LONGEST))
                continue
            if failures:
                failures = 0
                self._tell(self, Command(HEARD))
            for command in commands:
                self._obey(command)
                if command.kind == EXIT:
                    return None
            self._wake.wait(INTERVAL)
        return None

    def _obey(self, command: Command) -> None:
        if command.kind in START:
            with self._lock:
                self._runs[command.run] = True
        self._tell(self, command)

    def _heartbeat(self) -> list[Command]:
        with self._lock:
            running = dict(self._runs)
        return [_command(one) for one in inside_wandb.heartbeat(self._api, self._id, running)]


def _command(said: dict[str, Any]) -> Command:
    arguments = said.get("args") or {}
    return Command(
        kind=said.get("type", ""),
        run=said.get("run_id") or "",
        program=said.get("program"),
        params={name: entry["value"] for name, entry in arguments.items()},
    )


def _final(error: Exception) -> str | None:
    """The kind of an error that no later heartbeat would cure; None for all others."""
    if type(error).__name__ == "SweepNotFoundError":
        return GONE
    status = getattr(getattr(error, "response", None), "http_status", 0)
    return {401: REFUSED, 404: GONE}.get(status)
