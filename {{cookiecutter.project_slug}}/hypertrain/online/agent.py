"""The protocol of W&B's sweep agents, spoken as `wandb agent` speaks it (wandb 0.31).

An agent registers at a sweep. Each of its heartbeats names the runs that it has under way and is
answered with what to do: run or resume one, stop one, exit. wandb's own functions say the words.
"""

import inspect
import socket
import threading
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import wandb
import yaml

INTERVAL = 5.0
"""Seconds between two heartbeats while no run ends."""
LONGEST = 60.0
"""Seconds at most between two attempts to reach a server that does not answer."""
LAST_WORD = 1.0
"""Seconds for the answer to a heartbeat under way to arrive, in the end."""
USED = {
    "_sweep_with_runs": {"api", "sweep", "specs", "project", "entity"},
    "_register_agent": {"api", "host", "sweep_id", "project", "entity"},
    "_agent_heartbeat": {"api", "agent_id", "metrics", "run_states"},
    "_get_sweep_state": {"api", "sweep", "project", "entity"},
    "_set_sweep_state": {"api", "sweep", "state", "project", "entity"},
}
"""What wandb does not promise: functions of `wandb.apis.public.sweeps`, and what they take."""
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


Inbox = SimpleQueue[tuple["Agent", Command]]


def missing_part(api: wandb.Api) -> str | None:
    """What the installed wandb lacks of the parts used here; None if they are all there."""
    try:
        from wandb.apis.public import sweeps
    except ImportError:
        return "wandb.apis.public.sweeps"
    for name, parameters in USED.items():
        function = getattr(sweeps, name, None)
        if function is None or not parameters <= inspect.signature(function).parameters.keys():
            return f"wandb.apis.public.sweeps.{name}"
    service = getattr(api, "_service_api", None)
    return None if hasattr(service, "execute_graphql") else "wandb.Api._service_api"


def sweep_config(api: wandb.Api, path: str) -> dict[str, Any]:
    """The configuration of the sweep entity/project/id, as the server holds it."""
    from wandb.apis.public.sweeps import _sweep_with_runs

    entity, project, sweep = path.split("/")
    found = _sweep_with_runs(api=api, sweep=sweep, specs="{}", project=project, entity=entity)
    config = yaml.safe_load(found.get("config") or "")
    return config if isinstance(config, dict) else {}


class Agent:
    """An agent registered at the sweep entity/project/id, for one run at a time.

    Its heartbeats come from a thread of its own, at once when a run has ended. What the server says
    goes to `inbox`.
    """

    def __init__(self, api: wandb.Api, path: str, inbox: Inbox) -> None:
        from wandb.apis.public.sweeps import _register_agent

        entity, project, sweep = path.split("/")
        host = socket.gethostname()
        registered = _register_agent(
            api=api, host=host, sweep_id=sweep, project=project, entity=entity
        )
        self._api, self._id, self._inbox = api, registered["id"], inbox
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
        """Say nothing more; what is being answered still goes to the inbox."""
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
                    return self._tell(Command(kind, error=error))
                if not failures:
                    self._tell(Command(SILENT, error=error))
                failures += 1
                self._closed.wait(min(INTERVAL * 2**failures, LONGEST))
                continue
            if failures:
                failures = 0
                self._tell(Command(HEARD))
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
        self._tell(command)

    def _tell(self, command: Command) -> None:
        self._inbox.put((self, command))

    def _heartbeat(self) -> list[Command]:
        """Say which runs are under way; return what the server wants.

        Raises: whatever went wrong on the way, which wandb's own function keeps to itself.
        """
        from wandb.apis.public.sweeps import _agent_heartbeat

        with self._lock:
            running = dict(self._runs)
        service = _Listening(self._api._service_api)
        api: Any = SimpleNamespace(_service_api=service)
        said = _agent_heartbeat(api=api, agent_id=self._id, metrics={}, run_states=running)
        if service.error:
            raise service.error
        return [_command(one) for one in said]


class _Listening:
    """Passes a request on, and keeps the error that it ended with."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self.error: Exception | None = None

    def execute_graphql(self, *arguments: Any, **options: Any) -> Any:
        try:
            return self._service.execute_graphql(*arguments, **options)
        except Exception as error:
            self.error = error
            raise


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
