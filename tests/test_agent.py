"""To W&B's server our worker cannot be told from the official `wandb agent`.

Both work on the same sweep, with trials that succeed, fail, are stopped early, are cut off and
taken up again. What the server was sent by one and by the other is equal but for times and ids.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypertrain import inside_wandb
from hypertrain.online import agent
from hypertrain.online.agent import Agent, Command
from wandb.proto.wandb_api_pb2 import ApiErrorResponse  # type: ignore[attr-defined]
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb_api import Call, RefusalError, Run, Server, Sweep, operation_name, serve

PROGRAM = """\
import argparse, os, signal, sys, time
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int)
x = parser.parse_args().x
run = wandb.init(config={"twice": 2 * x})

def stop(number, _):
    if os.path.exists("cut-off") and os.environ.get("MARKS"):
        run.mark_preempting()
    run.finish(exit_code=128 + number)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)

signal.signal(signal.SIGTERM, stop)
while not os.path.exists(os.path.join(run.dir, "wandb-metadata.json")):
    time.sleep(0.05)  # what W&B tells of the machine, which else may come after the end
for step in range(3):
    run.log({"score": 10 * x + step})
    print("logged", step, flush=True)
    if step == 0 and x in (3, 4) and not os.path.exists("cut-off"):
        time.sleep(60)
sys.exit(int(x < 0))
"""
QUICK = {"WANDB__FILE_STREAM_TRANSMIT_INTERVAL": "0.5"}
"""Seconds between two messages of a run, instead of 15."""
SUCCEEDS, FAILS, STOPPED, CUT_OFF, LAST = POINTS = (1, -2, 3, 4, 5)
TIMES = ("_timestamp", "_runtime", "runtime", "startedAt", "writerId", "used")
"""Keys of what differs from run to run; `used` is of the disk."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z?")
ID = re.compile(r"[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}")


def official(path: str) -> list[str]:
    return [sys.executable, "-m", "wandb", "agent", "--forward-signals", path]


def ours(path: str) -> list[str]:
    return [sys.executable, "-m", "hypertrain", "worker", path]


@dataclass(frozen=True)
class Record:
    """What a server was sent. names: of what is another one in each record, such as ids."""

    calls: list[Call]
    names: dict[str, str]


@dataclass
class Wait:
    """over: its time has passed, or what it waits for has come."""

    seconds: float
    over: threading.Event = field(default_factory=threading.Event)


class Clock:
    """Time that passes for an agent only when a test says so."""

    def __init__(self) -> None:
        self.waits: SimpleQueue[Wait] = SimpleQueue()
        self._last = Wait(0)

    def event(self) -> Event:
        return Event(self.waits)

    def wait(self) -> float:
        """How many seconds the agent waits now."""
        self._last = self.waits.get(timeout=5)
        return self._last.seconds

    def tick(self) -> None:
        """The time that it waits for has passed."""
        assert not self._last.over.is_set(), "it did not wait for that"
        self._last.over.set()


class Event(threading.Event):
    """One that tells a clock how long it is waited for."""

    def __init__(self, waits: SimpleQueue[Wait]) -> None:
        super().__init__()
        self._waits, self._wait, self._turn = waits, Wait(0), threading.Lock()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        with self._turn:
            if self.is_set():
                return True
            self._wait = Wait(timeout)
        self._waits.put(self._wait)
        self._wait.over.wait()
        return self.is_set()

    def set(self) -> None:
        with self._turn:
            super().set()
            self._wait.over.set()


@dataclass(frozen=True)
class Speaking:
    """An agent of ours at work, and what it works with."""

    api: Api
    sweep: Sweep
    agent: Agent
    told: SimpleQueue[Command]
    clock: Clock

    def hear(self) -> Command:
        return self.told.get(timeout=5)

    def is_over(self) -> bool:
        """Whether it has fallen silent for good, instead of waiting for its next word."""
        self.agent.wait()
        return self.clock.waits.empty()


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """What the server was sent, by who sent it."""
    return {
        who.__name__: record(who, tmp_path_factory.mktemp(who.__name__)) for who in (official, ours)
    }


def record(words: Callable[[str], list[str]], root: Path) -> Record:
    """All calls of two agents of a kind: the first is cut off, the second ends the sweep."""
    fill(root)
    with serve() as server:
        path = sweep_on(server)
        first = start(words(path), root, server, MARKS="1")
        wait_until(lambda: logged(server, STOPPED), first, root)
        run_at(server, STOPPED).stopped = True
        wait_until(lambda: logged(server, CUT_OFF), first, root)
        (root / "cut-off").touch()
        first.send_signal(signal.SIGTERM)
        first.wait(60)
        second = start(words(path), root, server)
        assert second.wait(120) == 0, output(root)
        states = [(run.params["x"], run.state) for run in server.runs.values()]
        ends = ("finished", "failed", "killed", "finished", "finished")
        assert states == list(zip(POINTS, ends, strict=True)), output(root)
        return Record(server.calls, names_in(server.calls, root))


def fill(root: Path) -> None:
    (root / "train.py").write_text(PROGRAM)
    package = ROOT / "{{cookiecutter.project_slug}}" / "hypertrain"
    shutil.copytree(package, root / "hypertrain", ignore=shutil.ignore_patterns("__pycache__"))


def sweep_on(server: Server, points: Sequence[int] = POINTS) -> str:
    """A grid on the server, as `wandb sweep` leaves it there."""
    config = {
        "program": "train.py",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"x": {"values": list(points)}},
    }
    sent = {"config": yaml.safe_dump(config), "projectName": "a-project"}
    name = server.graphql("UpsertSweep", "", sent)["upsertSweep"]["sweep"]["name"]
    return server.sweeps[name].path


def start(words: list[str], root: Path, server: Server, **env: str) -> subprocess.Popen[bytes]:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "CUDA"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    home = {"HOME": str(root)}
    return subprocess.Popen(
        words,
        cwd=root,
        env=known | home | QUICK | {"PATH": path, "OMP_NUM_THREADS": "1"} | server.env | env,
        stdin=subprocess.DEVNULL,
        stdout=(root / "output.log").open("ab"),
        stderr=subprocess.STDOUT,
    )


def output(root: Path) -> str:
    return (root / "output.log").read_text()


def wait_until(happened: Callable[[], object], agent: subprocess.Popen[bytes], root: Path) -> None:
    until = time.monotonic() + 120
    while not happened():
        assert agent.poll() is None, output(root)
        assert time.monotonic() < until, output(root)
        time.sleep(0.05)


def run_at(server: Server, x: int) -> Run:
    return next(run for run in server.runs.values() if run.params.get("x") == x)


def logged(server: Server, x: int) -> bool:
    return any(run.params.get("x") == x and run.history for run in list(server.runs.values()))


def neutral(value: Any, names: dict[str, str]) -> Any:
    """The value without times, and with names for ids; JSON in texts is read."""
    if isinstance(value, dict):
        kept = {neutral(k, names): neutral(v, names) for k, v in value.items() if k not in TIMES}
        return {key: inner for key, inner in kept.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [neutral(one, names) for one in value]
    if not isinstance(value, str):
        return value
    if value[:1] in ("{", "["):
        return neutral(json.loads(value), names)
    for known, name in names.items():
        value = value.replace(known, name)
    return ID.sub("ID", TIME.sub("TIME", value))


def names_in(calls: list[Call], root: Path) -> dict[str, str]:
    """Names for what is another one in each record."""
    agents = [
        call.answer["createAgent"]["agent"]["id"] for call in calls if "createAgent" in call.answer
    ]
    told = [
        json.loads(call.answer["agentHeartbeat"]["commands"])
        for call in calls
        if call.name == "Heartbeat"
    ]
    runs = dict.fromkeys(one["run_id"] for commands in told for one in commands if "run_id" in one)
    sweep = next(call.answer["upsertSweep"]["sweep"]["name"] for call in calls)
    numbered = {"agent": agents, "run": runs, "sweep": [sweep], "root": [str(root)]}
    return {one: f"{kind} {i}" for kind, ids in numbered.items() for i, one in enumerate(ids, 1)}


def heartbeats(calls: list[Call]) -> list[Any]:
    """What the agents said and were told, without what only says that they are there."""
    found: list[Any] = []
    for call in calls:
        if call.name in ("CreateAgent", "SweepWithRuns"):
            found.append((call.name, call.sent))
        if call.name == "Heartbeat":
            told = json.loads(call.answer["agentHeartbeat"]["commands"])
            one = [call.sent, told]
            if told and one != found[-1]:
                found.append(one)
    return found


def upserts(calls: list[Call]) -> dict[str, list[Any]]:
    """What each process of a run told of it, put together: where, how and with what it runs."""
    found: dict[str, list[Any]] = {}
    for call in calls:
        if call.name == "UpsertBucket":
            told = found.setdefault(call.sent["name"], [])
            if call.sent["sweep"]:  # the first of a process; later ones only add to it
                told.append({})
            told[-1] |= {key: value for key, value in call.sent.items() if value is not None}
    return found


def streams(calls: list[Call]) -> dict[str, Any]:
    """What each run sent of its course: what it logged and printed, how it ended."""
    found: dict[str, Any] = {}
    for call in calls:
        if call.name == "file_stream":
            sent = dict(call.sent)
            run = found.setdefault(sent.pop("run"), {"uploaded": [], "files": {}})
            run["uploaded"] = sorted({*run["uploaded"], *sent.pop("uploaded", [])})
            for name, chunk in sent.pop("files", {}).items():
                lines = run["files"].setdefault(name, {})
                lines |= dict(enumerate(chunk["content"], chunk["offset"]))
            run |= sent
    for run in found.values():
        run["files"].pop("wandb-events.jsonl", None)  # how busy the machine was
    return found


def differences(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """What differs, by its place: a whole record would fill the screen."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected.keys() | found.keys():
            yield from differences(expected.get(key), found.get(key), f"{where}/{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from differences(one, other, f"{where}/{i}")
    elif expected != found:
        yield f"{where}: {expected!r} != {found!r}"


@pytest.mark.parametrize("told", [heartbeats, upserts, streams], ids=lambda told: told.__name__)
def test_server_is_sent_what_the_official_agent_sends(
    told: Callable[[list[Call]], Any], records: dict[str, Record]
) -> None:
    expected, found = (
        neutral(told(record.calls), record.names)
        for record in (records["official"], records["ours"])
    )
    assert list(differences(expected, found)) == []


# Heartbeats


class Api:
    """Stands in for `wandb.Api`: what it is asked goes straight to the server's state."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.error: WandbApiFailedError | None = None
        self._service_api = self
        self.settings: dict[str, str] = {}
        self.said: list[dict[str, bool]] = []

    def execute_graphql(self, query: str, variables: dict[str, Any], **_: Any) -> Any:
        name = operation_name({"query": query})
        if name == "Heartbeat":
            self.said.append(json.loads(variables["runState"]))
        if self.error:
            raise self.error
        try:
            return self.server.graphql(name, query, variables)
        except RefusalError as error:
            raise failed(error.status) from None


def failed(status: int) -> WandbApiFailedError:
    return WandbApiFailedError("no", ApiErrorResponse(message="no", http_status=status))


@pytest.fixture
def speaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Speaking]]:
    """`speaking(points)` is an agent with a clock and a server of its own."""
    started: list[agent.Agent] = []

    def start(*points: int) -> Speaking:
        server, clock = Server(), Clock()
        timed = SimpleNamespace(Event=clock.event, Lock=threading.Lock, Thread=threading.Thread)
        monkeypatch.setattr(agent, "threading", timed)
        api, told = Api(server), SimpleQueue[Command]()
        path = sweep_on(server, points)
        one = agent.Agent(api, path, lambda _, command: told.put(command))  # type: ignore[arg-type]
        one.start()
        started.append(one)
        return Speaking(api, server.sweeps[path.rpartition("/")[2]], one, told, clock)

    yield start
    for one in started:
        one.close()
        one.wait()


def test_free_agent_asks_at_once_and_else_with_the_clock(
    speaking: Callable[..., Speaking],
) -> None:
    """Never more often than the official agent, and once more for each run that ended."""
    it = speaking(1, 2)
    first = it.hear()
    assert (first.kind, first.params) == ("run", {"x": 1})
    for _ in range(6):
        assert it.clock.wait() == 5
        it.clock.tick()
    assert it.clock.wait() == 5
    assert it.api.said == [{}, *[{first.run: True}] * 6]
    it.agent.ended(first.run)
    second = it.hear()
    assert (second.kind, second.params) == ("run", {"x": 2})
    assert it.clock.wait() == 5
    assert it.api.said[7:] == [{}]
    it.agent.ended(second.run)
    assert it.hear().kind == "exit"
    assert it.is_over()
    assert it.api.said[8:] == [{}]


UNWATCHED = """\
import hypertrain.__main__, hypertrain.tuner
hypertrain.tuner.POLL = 3600.0
hypertrain.__main__.main()
"""
"""A worker that looks at its trials once an hour, unless it is woken."""


def test_free_worker_waits_for_no_look_at_the_trials(tmp_path: Path) -> None:
    fill(tmp_path)
    with serve() as server:
        path = sweep_on(server, (1, 2, 5))
        worker = start([sys.executable, "-c", UNWATCHED, "worker", path], tmp_path, server)
        try:
            worker.wait(120)
        finally:
            worker.kill()
        assert [run.state for run in server.runs.values()] == 3 * ["finished"], output(tmp_path)


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_server_out_of_order_is_asked_less_and_less(
    status: int, speaking: Callable[..., Speaking]
) -> None:
    """0 is no answer at all. What has ended meanwhile is told when it is back."""
    it = speaking(1, 2)
    first = it.hear()
    assert it.clock.wait() == 5
    it.api.error = failed(status)
    it.clock.tick()
    assert it.hear().kind == "silent"
    assert it.clock.wait() == 10
    it.agent.ended(first.run)
    for seconds in (20, 40, 60, 60):
        it.clock.tick()
        assert it.clock.wait() == seconds
    assert it.api.said == [{}, {first.run: True}, *[{}] * 4]
    it.api.error = None
    it.clock.tick()
    assert [it.hear().kind, it.hear().kind] == ["heard", "run"]
    assert it.clock.wait() == 5
    assert it.api.said[6:] == [{}]


@pytest.mark.parametrize(("status", "kind"), [(401, "refused"), (404, "gone")])
def test_some_answers_are_final(status: int, kind: str, speaking: Callable[..., Speaking]) -> None:
    it = speaking(1)
    it.hear()
    assert it.clock.wait() == 5
    it.api.error = failed(status)
    it.clock.tick()
    assert it.hear().kind == kind
    assert it.is_over()
    assert len(it.api.said) == 2


def test_early_stop_is_told_as_long_as_the_run_goes_on(speaking: Callable[..., Speaking]) -> None:
    it = speaking(1)
    run = it.hear().run
    it.api.server.runs[run].stopped = True
    for _ in range(2):
        assert it.clock.wait() == 5
        it.clock.tick()
        assert (heard := it.hear()).kind == "stop"
        assert heard.run == run


@pytest.mark.parametrize("part", [*inside_wandb.ASKED, "_service_api"])
def test_missing_parts_of_wandb_are_noticed(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from wandb.apis.public import sweeps

    api: Any = Api(Server())
    assert inside_wandb.missing_part(api) is None
    if part == "_service_api":
        del api._service_api
    else:
        monkeypatch.setattr(sweeps, part, lambda api, other: None)
        assert inside_wandb.missing_part(api) == f"wandb.apis.public.sweeps.{part}"
        monkeypatch.delattr(sweeps, part)
    missing = inside_wandb.missing_part(api)
    assert missing
    assert missing.endswith(part)
