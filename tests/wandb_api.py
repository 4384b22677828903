"""A W&B server on loopback, for the real `wandb` client, its `wandb agent` and its online runs.

It keeps what it is sent (sweeps, runs, history, summary, config) and hands out the points of a
sweep, so that a test can count them. It refuses what it does not know: an operation or a route
that is not listed here fails the test that made the client ask for it.

Where each behaviour is known from (the published source of wandb 0.31.0):

- Operations, variables and the fields read from the answers: `wandb/apis/public/*.py`,
  `wandb/apis/_generated/operations.py`, `wandb/wandb_agent.py`, and for what the compiled
  `wandb-core` sends `core/api/graphql/*.graphql`.
- `POST /files/ENTITY/PROJECT/RUN/file_stream`, its `files`, `preempting`, `complete` and
  `exitcode`, lines written at an offset, the answer's `stopped`:
  `core/internal/filestream/filestreamrequest.go`, `filestreamimpl.go`.
- Telemetry below `/sdk/otel/v1/` (kept nowhere): requests of a real client, looked at.
- Commands of an agent, `run`, `resume`, `stop` and `exit`: `wandb/wandb_agent.py`.
- 401 for a key that nobody has, 400 with `errors` for a refused sweep: the client's handling in
  `wandb/sdk/lib/service/service_connection.py` and W&B's own system tests.
- A run that was marked as preempting and then ends with a non-zero status is preempted and goes
  back to the sweep; ended with 0 it is finished; without heartbeat for five minutes it is crashed,
  or preempted if it was marked: W&B's documentation, "Resume preemptible sweeps runs" and
  `Run.state`.
- A run whose first upsert names a sweep belongs to it: `core/api/graphql`, `sweep` of UpsertBucket.
- Order of a grid (product over the sorted names, last name fastest), and that a point which some
  run of the sweep has is not given again: the `sweeps` package, 0.3.0.
- A heartbeat of an agent whose sweep is gone is answered with 404: `_agent_heartbeat` in
  `wandb/apis/public/sweeps.py`.
- Not known from a source: that an idle agent of an exhausted grid is told to exit at once.
"""

import base64
import gzip
import itertools
import json
import math
import random
import re
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

LOST_AFTER = 300.0
"""Seconds without a heartbeat after which a run counts as crashed."""


class RefusalError(Exception):
    """The server says no: HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Fault:
    """What goes wrong instead of an answer.

    kind: an HTTP status, "drop" (the connection is closed) or "silent" (no answer ever comes).
    on: part of an operation's name or of a path; "" is everything.
    times: how often, None for always. says: the message that comes with a status.
    """

    kind: int | str
    on: str = ""
    times: int | None = None
    says: str = "injected fault"


@dataclass
class Run:
    name: str
    entity: str
    project: str
    sweep: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    started: int = 0
    waiting: bool = True
    ended: int | None = None
    preempting: bool = False
    stopped: bool = False
    created: float = field(default_factory=time.time)
    heartbeat: float = field(default_factory=time.time)
    lost: bool = False
    requeued: bool = False

    @property
    def state(self) -> str:
        if self.ended is not None:
            if self.preempting and self.ended:
                return "preempted"
            if self.stopped:
                return "killed"
            return "failed" if self.ended else "finished"
        if self.waiting:
            return "failed" if self.lost else "pending"
        if time.time() - self.heartbeat > LOST_AFTER:
            return "preempted" if self.preempting else "crashed"
        return "preempting" if self.preempting else "running"

    @property
    def params(self) -> dict[str, Any]:
        """The configuration without W&B's own entries."""
        return {k: v["value"] for k, v in self.config.items() if not k.startswith("_")}


@dataclass(frozen=True)
class Call:
    """One call of a client, as it came: an operation of GraphQL or a run's `file_stream`."""

    when: float
    name: str
    sent: dict[str, Any]
    answer: Any


@dataclass
class Sweep:
    name: str
    entity: str
    project: str
    config: dict[str, Any]
    points: Iterator[dict[str, Any]]
    size: int | None
    queue: list[str] = field(default_factory=list)
    state: str = "RUNNING"
    created: float = field(default_factory=time.time)

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}"


class Server:
    """State of the stand-in, for tests to look at and to disturb."""

    def __init__(self) -> None:
        self.entity = self.default_entity = "a-team"
        self.key = secrets.token_hex(20)
        self.url = ""
        self.sweeps: dict[str, Sweep] = {}
        self.runs: dict[str, Run] = {}
        self.agents: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.calls: list[Call] = []
        self.refused: list[str] = []
        self.closing = threading.Event()
        self._lock = threading.RLock()

    @property
    def env(self) -> dict[str, str]:
        """Environment variables of a client of this server."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.key, "WANDB_ENTITY": self.entity}

    def fault(self, what: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.on in what and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def graphql(self, operation: str, query: str, variables: dict[str, Any]) -> Any:
        answer = OPERATIONS.get(operation)
        if answer is None:
            self.refused.append(f"GraphQL {operation}: {query}")
            raise RefusalError(400, f"Unknown operation {operation}")
        with self._lock:
            data = answer(self, variables)
            self.calls.append(Call(time.time(), operation, variables, data))
            return data

    def file_stream(self, entity: str, project: str, name: str, sent: dict[str, Any]) -> Any:
        with self._lock:
            run = self.run(entity, project, name)
            run.heartbeat = time.time()
            for file, chunk in sent.get("files", {}).items():
                write_lines(run, file, chunk["offset"], chunk["content"])
            run.preempting = run.preempting or sent.get("preempting", False)
            if sent.get("complete"):
                run.ended = sent["exitcode"]
            answer = {"stopped": run.stopped, "limits": {}}
            self.calls.append(Call(time.time(), "file_stream", {"run": name, **sent}, answer))
            return answer

    def run(self, entity: str, project: str, name: str) -> Run:
        run = self.runs.get(name)
        if run is None or (run.entity, run.project) != (entity, project):
            raise RefusalError(404, f"run {entity}/{project}/{name} not found")
        return run

    def sweep(self, entity: str | None, project: str | None, name: str) -> Sweep:
        sweep = self.sweeps.get(name)
        if sweep is None or (sweep.entity, sweep.project) != (
            entity or self.default_entity,
            project,
        ):
            raise RefusalError(404, f"sweep {entity}/{project}/{name} not found")
        return sweep


def write_lines(run: Run, file: str, offset: int, lines: list[str]) -> None:
    """Lines of a streamed file: those from `offset` on are replaced."""
    if file == "wandb-summary.json":
        run.summary = json.loads(lines[-1])
    elif file == "output.log":
        run.output[offset:] = lines
    else:
        logs = {"wandb-history.jsonl": run.history, "wandb-events.jsonl": run.events}
        logs[file][offset:] = map(json.loads, lines)


# Points of a sweep


def points(config: dict[str, Any]) -> tuple[Iterator[dict[str, Any]], int | None]:
    """The points of a sweep in their order, and how many there are."""
    parameters = config.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        raise RefusalError(400, "invalid sweep config: 'parameters' is a required property")
    cap = config.get("run_cap")
    if config.get("method") == "grid":
        names = sorted(parameters)
        grid = [
            dict(zip(names, p, strict=True))
            for p in itertools.product(*(choices(parameters[n], n) for n in names))
        ]
        return iter(grid[:cap]), len(grid[:cap])
    if config.get("method") == "random":
        source = random.Random(0)
        drawn = (
            {n: draw(source, p, n) for n, p in sorted(parameters.items())}
            for _ in itertools.count()
        )
        return itertools.islice(drawn, cap), cap
    raise RefusalError(
        400, f"invalid sweep config: method {config.get('method')!r} is not served here"
    )


def choices(parameter: dict[str, Any], name: str) -> list[Any]:
    if "value" in parameter:
        return [parameter["value"]]
    if isinstance(values := parameter.get("values"), list):
        return values
    raise RefusalError(400, f"invalid sweep config: {name}: a grid needs 'values'")


def draw(source: random.Random, parameter: dict[str, Any], name: str) -> Any:
    if parameter.get("distribution") == "uniform":
        return source.uniform(parameter["min"], parameter["max"])
    if parameter.get("distribution") == "log_uniform_values":
        return math.exp(source.uniform(math.log(parameter["min"]), math.log(parameter["max"])))
    return source.choice(choices(parameter, name))


# GraphQL operations: each takes the server and the variables, and gives `data`


def viewer(server: Server, _: dict[str, Any]) -> Any:
    teams = {"edges": [{"node": {"name": server.entity}}]}
    return {
        "viewer": {
            "id": "VXNlcjox",
            "name": "Someone",
            "admin": False,
            "deletedAt": None,
            "apiKeys": {"edges": []},
            "entity": server.default_entity,
            "username": "someone",
            "email": "someone@localhost",
            "flags": "{}",
            "teams": teams,
        }
    }


def server_features(server: Server, _: dict[str, Any]) -> Any:
    return {"serverInfo": {"features": []}}


def capabilities(server: Server, _: dict[str, Any]) -> Any:
    """What wandb up to 0.27 asks before the rest; it then leaves out what is not listed."""
    return {name: {"fields": []} for name in ("QueryType", "MutationType", "ServerInfoType")}


def organization(server: Server, _: dict[str, Any]) -> Any:
    return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}


def upsert_sweep(server: Server, variables: dict[str, Any]) -> Any:
    if variables.get("id"):
        sweep = next(
            s for s in server.sweeps.values() if node_id("Sweep", s.name) == variables["id"]
        )
        sweep.state = variables.get("state") or sweep.state
    else:
        config = yaml.safe_load(variables["config"])
        drawn, size = points(config)
        name = secrets.token_hex(4)
        entity = variables.get("entityName") or server.default_entity
        if entity != server.entity:
            raise RefusalError(404, f"entity {entity} not found")
        project = variables.get("projectName") or "uncategorized"
        sweep = server.sweeps[name] = Sweep(name, entity, project, config, drawn, size)
        if filters := variables.get("priorRunsFilters"):
            for run in server.runs.values():
                if run.name in [one["name"] for one in json.loads(filters)["$or"]]:
                    run.sweep = name
    return {
        "upsertSweep": {
            "sweep": {"name": sweep.name, "project": project_node(sweep.entity, sweep.project)},
            "configValidationWarnings": [],
        }
    }


def sweep_with_runs(server: Server, variables: dict[str, Any]) -> Any:
    sweep = server.sweep(variables["entity"], variables["project"], variables["sweep"])
    runs = [run for run in server.runs.values() if run.sweep == sweep.name]
    found = {**sweep_node(server, sweep), "runs": {"edges": [{"node": run_node(r)} for r in runs]}}
    return {"project": {"sweep": found}}


def sweep_state(server: Server, variables: dict[str, Any]) -> Any:
    sweep = server.sweep(variables["entity"], variables["project"], variables["sweep"])
    return {"project": {"sweep": {"state": sweep.state}}}


def get_sweep(server: Server, variables: dict[str, Any]) -> Any:
    try:
        sweep = server.sweep(variables["entity"], variables["project"], variables["name"])
    except RefusalError:
        return {"project": None}
    return {"project": {"sweep": sweep_node(server, sweep)}}


def create_agent(server: Server, variables: dict[str, Any]) -> Any:
    sweep = server.sweep(variables["entityName"], variables["projectName"], variables["sweep"])
    agent = secrets.token_hex(8)
    server.agents[agent] = sweep.name
    return {"createAgent": {"agent": {"id": agent}}}


def heartbeat(server: Server, variables: dict[str, Any]) -> Any:
    agent = variables["id"]
    if server.agents.get(agent) not in server.sweeps:
        raise RefusalError(404, "agent not found")
    running = json.loads(variables["runState"])
    commands = commands_for(server, server.sweeps[server.agents[agent]], agent, running)
    return {"agentHeartbeat": {"agent": {"id": agent}, "commands": json.dumps(commands)}}


def commands_for(
    server: Server, sweep: Sweep, agent: str, running: dict[str, bool]
) -> list[dict[str, Any]]:
    for run in server.runs.values():
        if run.attributes.get("agent") == agent and run.name not in running:
            run.lost = True
        if run.sweep == sweep.name and run.state == "preempted" and not run.requeued:
            run.requeued = True
            sweep.queue.append(run.name)
    if running:
        stopped = [name for name in running if server.runs[name].stopped]
        return [{"type": "stop", "run_id": name} for name in stopped]
    if sweep.state == "RUNNING":
        if sweep.queue:
            run = server.runs[sweep.queue.pop(0)]
            run.attributes["agent"] = agent
            run.preempting, run.ended, run.lost, run.waiting = False, None, False, True
            run.requeued = False
            return [run_command("resume", sweep, run)]
        taken = [run.params for run in server.runs.values() if run.sweep == sweep.name]
        point = next((point for point in sweep.points if not runs_at(point, taken)), None)
        if point is not None:
            run = Run(secrets.token_hex(4), sweep.entity, sweep.project, sweep.name)
            run.config = {name: {"value": value} for name, value in point.items()}
            run.attributes = {"agent": agent, "displayName": f"calm-sweep-{len(server.runs) + 1}"}
            server.runs[run.name] = run
            return [run_command("run", sweep, run)]
        sweep.state = "FINISHED"
    return [{"type": "exit"}] if sweep.state in ("FINISHED", "CANCELED") else []


def runs_at(point: dict[str, Any], taken: list[dict[str, Any]]) -> bool:
    """Whether some run has all the values of the point; runs log more than their parameters."""
    return any(all(params.get(k) == v for k, v in point.items()) for params in taken)


def run_command(kind: str, sweep: Sweep, run: Run) -> dict[str, Any]:
    names = sorted(sweep.config["parameters"])
    return {
        "type": kind,
        "run_id": run.name,
        "program": sweep.config.get("program"),
        "args": {name: {"value": run.config[name]["value"]} for name in names},
    }


def upsert_bucket(server: Server, variables: dict[str, Any]) -> Any:
    name = variables.get("name") or secrets.token_hex(4)
    entity = variables.get("entity") or server.default_entity
    project = variables.get("project") or "uncategorized"
    known = name in server.runs
    run = server.runs.setdefault(name, Run(name, entity, project, variables.get("sweep")))
    server.run(entity, project, name)
    if variables.get("state") != "pending":
        run.started += run.waiting
        run.waiting = False
    run.heartbeat = time.time()
    run.config |= json.loads(variables.get("config") or "{}")
    run.attributes |= {k: v for k, v in variables.items() if v is not None and k != "config"}
    bucket = {**run_node(run), "project": project_node(run.entity, run.project)}
    return {"upsertBucket": {"bucket": bucket, "inserted": not known}}


def run_resume_status(server: Server, variables: dict[str, Any]) -> Any:
    run = server.runs.get(variables["name"])
    project = project_node(variables["entity"] or server.default_entity, variables["project"])
    if run is None:
        return {"model": {**project, "bucket": None}}
    tails = {"historyTail": json.dumps(list(map(json.dumps, run.history[-1:]))), "eventsTail": "[]"}
    counts = {"logLineCount": len(run.output), "eventsLineCount": len(run.events)}
    started = json.dumps({"t": 1} if run.started else {})
    return {
        "model": {**project, "bucket": run_node(run) | tails | counts | {"wandbConfig": started}}
    }


def run_stopped_status(server: Server, variables: dict[str, Any]) -> Any:
    run = server.run(variables["entityName"], variables["projectName"], variables["runId"])
    return {"project": {"run": {"stopped": run.stopped}}}


def create_run_files(server: Server, variables: dict[str, Any]) -> Any:
    path = "/".join(variables[key] for key in ("entity", "project", "run"))
    run = server.run(*path.split("/"))
    files = [
        {"name": f, "uploadUrl": f"{server.url}/storage/{path}/{f}"} for f in variables["files"]
    ]
    return {
        "createRunFiles": {"runID": node_id("Run", run.name), "uploadHeaders": [], "files": files}
    }


def list_runs(server: Server, variables: dict[str, Any]) -> Any:
    wanted = matcher(json.loads(variables.get("filters") or "{}"))
    inside = (variables["entity"], variables["project"])
    runs = [r for r in server.runs.values() if (r.entity, r.project) == inside and wanted(r)]
    runs = in_order(runs, variables.get("order") or "+created_at")
    start = int(variables.get("cursor") or 0)
    end = start + (variables.get("perPage") or 50)
    edges = [
        {"node": run_node(r), "cursor": str(start + i)} for i, r in enumerate(runs[start:end], 1)
    ]
    page = {"endCursor": str(end), "hasNextPage": end < len(runs)}
    return {
        "project": {
            "internalId": "1",
            "runCount": len(runs),
            "readOnly": False,
            "runs": {"edges": edges, "pageInfo": page},
        }
    }


def matcher(filters: dict[str, Any]) -> Callable[[Run], bool]:
    """The filters of runs that are used: `$and`, equalities, `$in`, values of a configuration."""

    def matches(run: Run) -> bool:
        known = {"sweep": run.sweep, "name": run.name, "state": run.state}
        for key, want in filters.items():
            if key == "$and":
                if not all(matcher(part)(run) for part in want):
                    return False
            elif key.startswith("config."):
                if value_at(run.config, key.split(".")[1:]) != want:
                    return False
            elif key not in known:
                raise RefusalError(400, f"filter {key} is not served here")
            elif known[key] not in (want["$in"] if isinstance(want, dict) else [want]):
                return False
        return True

    return matches


def value_at(tree: Any, path: list[str]) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def in_order(runs: list[Run], order: str) -> list[Run]:
    key = order.lstrip("+-")
    if key == "created_at":
        return sorted(runs, key=lambda run: run.created, reverse=order[0] == "-")
    if key.startswith("summary_metrics."):
        name = key.removeprefix("summary_metrics.")
        numbers = [run for run in runs if isinstance(run.summary.get(name), int | float)]
        rest = [run for run in runs if run not in numbers]
        return sorted(numbers, key=lambda run: run.summary[name], reverse=order[0] == "-") + rest
    raise RefusalError(400, f"order {order} is not served here")


def get_run(server: Server, variables: dict[str, Any]) -> Any:
    run = server.runs.get(variables["name"])
    return {"project": {"internalId": "1", "run": run and {"projectId": "1", **run_node(run)}}}


OPERATIONS: dict[str, Callable[[Server, dict[str, Any]], Any]] = {
    "Viewer": viewer,
    "GetDefaultEntity": viewer,
    "GetViewer": viewer,
    "viewer": viewer,
    "ServerFeaturesQuery": server_features,
    "ProbeServerCapabilities": capabilities,
    "OrganizationCoreWeaveOrganizationID": organization,
    "UpsertSweep": upsert_sweep,
    "SweepWithRuns": sweep_with_runs,
    "GetSweep": get_sweep,
    "GetSweepState": sweep_state,
    "CreateAgent": create_agent,
    "Heartbeat": heartbeat,
    "UpsertBucket": upsert_bucket,
    "RunResumeStatus": run_resume_status,
    "RunStoppedStatus": run_stopped_status,
    "CreateRunFiles": create_run_files,
    "Runs": list_runs,
    "Run": get_run,
}


def node_id(kind: str, name: str) -> str:
    return base64.b64encode(f"{kind}:{name}".encode()).decode()


def project_node(entity: str, project: str) -> dict[str, Any]:
    owner = {"id": node_id("Entity", entity), "name": entity}
    return {"id": node_id("Project", project), "name": project, "entity": owner}


def sweep_node(server: Server, sweep: Sweep) -> dict[str, Any]:
    return {
        "__typename": "Sweep",
        "id": node_id("Sweep", sweep.name),
        "name": sweep.name,
        "displayName": sweep.config.get("name"),
        "method": sweep.config["method"],
        "state": sweep.state,
        "description": sweep.config.get("description"),
        "bestLoss": None,
        "config": yaml.safe_dump(sweep.config),
        "createdAt": iso(sweep.created),
        "updatedAt": iso(sweep.created),
        "runCount": sum(run.sweep == sweep.name for run in server.runs.values()),
        "runCountExpected": sweep.size,
    }


def run_node(run: Run) -> dict[str, Any]:
    return {
        "id": node_id("Run", run.name),
        "projectId": "1",
        "tags": run.attributes.get("tags", []),
        "name": run.name,
        "displayName": run.attributes.get("displayName", run.name),
        "sweepName": run.sweep,
        "state": run.state,
        "config": json.dumps(run.config),
        "group": run.attributes.get("groupName"),
        "jobType": run.attributes.get("jobType"),
        "commit": run.attributes.get("commit"),
        "readOnly": False,
        "createdAt": iso(run.created),
        "heartbeatAt": iso(run.heartbeat),
        "description": run.attributes.get("description"),
        "notes": run.attributes.get("notes"),
        "systemMetrics": "{}",
        "summaryMetrics": json.dumps(run.summary),
        "historyLineCount": len(run.history),
        "historyKeys": None,
        "user": {"name": "Someone", "username": "someone"},
        "stopped": run.stopped,
    }


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# HTTP


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: "HTTPServer"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        asked = json.loads(body) if self.path == "/graphql" else {}
        what = operation_name(asked) if asked else self.path
        self.answer(what, lambda state: self.post(state, what, asked, body))

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(self.path, lambda state: self.put(state, body))

    def do_GET(self) -> None:
        self.answer(self.path, self.unknown)

    do_DELETE = do_HEAD = do_PATCH = do_GET  # noqa: N815 (http.server's names)

    def post(self, state: Server, what: str, asked: dict[str, Any], body: bytes) -> Any:
        if self.path.startswith("/sdk/otel/v1/"):
            return {}
        self.authorize(state)
        if self.path == "/graphql":
            return {"data": state.graphql(what, asked["query"], asked.get("variables") or {})}
        if stream := re.fullmatch(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream", self.path):
            return state.file_stream(stream[1], stream[2], stream[3], json.loads(body))
        return self.unknown(state)

    def put(self, state: Server, body: bytes) -> Any:
        stored = re.fullmatch(r"/storage/([^/]+)/([^/]+)/([^/]+)/(.+)", self.path)
        if stored is None:
            return self.unknown(state)
        state.run(stored[1], stored[2], stored[3]).files[stored[4]] = body
        return {}

    def unknown(self, state: Server) -> Any:
        state.refused.append(f"{self.command} {self.path}")
        raise RefusalError(404, "no such route")

    def authorize(self, state: Server) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        if given != base64.b64encode(f"api:{state.key}".encode()).decode():
            raise RefusalError(401, "user is not logged in")

    def answer(self, what: str, respond: Callable[[Server], Any]) -> None:
        state = self.server.state
        state.requests.append(what)
        fault = state.fault(what)
        if fault and fault.kind == "silent":
            state.closing.wait(60)
        if fault and not isinstance(fault.kind, int):
            self.close_connection = True
            return
        try:
            if fault:
                raise RefusalError(int(fault.kind), fault.says)
            self.send(200, respond(state))
        except RefusalError as no:
            self.send(no.status, {"errors": [{"message": no.message}]})

    def send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def operation_name(asked: dict[str, Any]) -> str:
    """The client leaves `operationName` out of queries that it did not generate.

    That of wandb 0.25 does not even name them all.
    """
    found = re.search(r"\b(?:query|mutation)\s+(\w+)|^\s*{\s*(viewer)\b", asked["query"])
    return asked.get("operationName") or (found[1] or found[2] if found else "")


class HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    state: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle is no news; a bug of this file is."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            self.state.refused.append(traceback.format_exc())


@contextmanager
def serve() -> Iterator[Server]:
    """A running server; leaving it fails when a client asked for something unknown."""
    state = Server()
    http = HTTPServer(("127.0.0.1", 0), Handler)
    http.state = state
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        http.shutdown()
        http.server_close()
        thread.join(10)
    assert not state.refused, "\n".join(state.refused)
