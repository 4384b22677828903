"""All that we rely on and W&B does not promise: its classes, files and habits, in this one place.

Written for wandb 0.31 and tried with 0.25 and 0.27. Each use is guarded: where something is missing,
trials start slower or are seen later, and none fails of it; of the server's protocol
`missing_part` tells before anything is begun.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

NOT_FOR_TRIALS = ("WANDB_SERVICE", "WANDB_RUN_ID", "WANDB_RUN_NAME", "WANDB_RESUME")
"""Variables that would make a trial's run somebody else's; `wandb agent` sets its own."""
LOCAL_SWEEP = "HYPERTRAIN_LOCAL_SWEEP"
"""Set where the sweep is ours alone: the server knows none of this id."""


# In a trial


def watch_runs(note: "Callable[[Any, int | None], None]") -> None:
    """Call `note` with what the trial's own run logs in this process, and the step if it is told."""
    _quietly(_forget_local_sweep)
    _quietly(lambda: _wrap_log(sys.modules["wandb"].Run, note))
    _quietly(lambda: _watch_disabled(note))
    _quietly(lambda: _link_elsewhere(sys.modules["wandb"].Run, os.environ["WANDB_DIR"]))


def _wrap_log(runs: "Any", note: "Callable[[Any, int | None], None]") -> None:
    import functools

    log = runs.log

    @functools.wraps(log)
    def watched(self: "Any", data: "Any", *args: "Any", **kwargs: "Any") -> None:
        log(self, data, *args, **kwargs)
        if isinstance(data, dict) and _is_own(self):
            _quietly(lambda: note(data, kwargs.get("step", next(iter(args), None))))

    runs.log = watched


def _link_elsewhere(runs: "Any", home: "str") -> None:
    """Where the program keeps its run in a folder of its own choice, let `home` lead there."""
    import functools
    from pathlib import Path

    init, folder = runs.__init__, Path(home).resolve() / "wandb"

    def link(run: "Any") -> None:
        place = Path(run._settings.sync_dir).resolve()
        if _is_own(run) and place.parent != folder:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / place.name).symlink_to(place)

    @functools.wraps(init)
    def begun(self: "Any", *args: "Any", **kwargs: "Any") -> None:
        init(self, *args, **kwargs)
        _quietly(lambda: link(self))

    runs.__init__ = begun


def _watch_disabled(note: "Callable[[Any, int | None], None]") -> None:
    try:
        _wrap_log(_module("wandb.sdk.lib.noop_run").NoopRun, note)
    except ImportError:  # 0.27 has no such class: a disabled run only updates its summary
        summary = _module("wandb.sdk.lib.disabled").SummaryDisabled
        update = summary.update

        def watched(self: "Any", data: "Any") -> None:
            update(self, data)
            _quietly(lambda: note(data, None))

        summary.update = watched


def _is_own(run: "Any") -> bool:
    """Whether it is the trial's own run; others that the program opens are nobody's trial."""
    return bool(run.id == os.environ.get("WANDB_RUN_ID") or getattr(run, "disabled", False))


def _forget_local_sweep() -> None:
    """Keep the id of a sweep that no server knows out of what a server is sent, now or later."""
    if LOCAL_SWEEP not in os.environ:
        return
    interface = _module("wandb.sdk.interface.interface").InterfaceBase
    make = interface._make_run

    def make_without_sweep(self: "Any", run: "Any") -> "Any":
        record = make(self, run)
        record.ClearField("sweep_id")
        return record

    interface._make_run = make_without_sweep


# In the process that trials are forked from

EXPORTER = "opentelemetry.exporter.otlp.proto.http"
ONLINE = ("wandb.apis.public", f"{EXPORTER}.metric_exporter", f"{EXPORTER}._log_exporter")
"""What W&B puts off until a run goes online: 190 modules in 0.6 s."""
ANYHOW = ("requests", "yaml", "wandb.sdk.lib.gitlib", "wandb.sdk.lib.service.service_connection")
"""What W&B puts off until the first run, which every trial has."""
LAUNCH = "wandb.sdk.launch.inputs.internal"


def put_off_by_wandb() -> "tuple[str, ...]":
    """Modules that a run would import, in the mode of this environment."""
    is_online = os.environ.get("WANDB_MODE") not in ("disabled", "offline")
    return (*ANYHOW, *ONLINE) if is_online else ANYHOW


def shorten_runs() -> None:
    """Do once what each run would do at its start."""
    if "wandb" in sys.modules and os.environ.get("WANDB_MODE") != "disabled":
        for shorten in (_list_packages, _ask_for_no_inputs, _look_for_service_often):
            _quietly(shorten)


def _list_packages() -> None:
    """Every run lists the installed packages, in 50 ms and more: once is enough for all."""
    util: Any = sys.modules["wandb.util"]
    packages = list(util.working_set())
    util.working_set = lambda: packages


def _ask_for_no_inputs() -> None:
    """Every run imports W&B Launch, in 150 ms, only to see that nobody has given it inputs."""
    run: Any = sys.modules["wandb"].Run
    apply = run._detect_and_apply_job_inputs

    def apply_if_given(self: "Any") -> None:
        if LAUNCH in sys.modules:
            apply(self)

    run._detect_and_apply_job_inputs = apply_if_given


def _look_for_service_often() -> None:
    """A run's service is up in 50 ms, and W&B looks for it every 200."""
    waiting = _module("wandb.sdk.lib.service.service_port_file")
    sleep, look = waiting._SLEEP, waiting._poll_once

    def look_again(file: "Any") -> "Any":
        try:
            return look(file)
        except IndexError:  # the file is there, and empty as yet
            return None

    waiting._SLEEP = lambda seconds: sleep(min(seconds, 0.01))
    waiting._poll_once = look_again


# In the tuner


def has_key() -> bool:
    """Whether W&B knows an account here; nobody is asked for one.

    Raises: wandb.Error, OSError.
    """
    wandb: Any = _module("wandb")
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except TypeError:  # 0.27 takes no `prompt`, and asks whoever sits at a terminal
        return bool(wandb.api.api_key)


def write_params(path: "Path", params: "Mapping[str, Any]") -> None:
    """Write the parameters of a trial as a run of W&B reads them (`WANDB_SWEEP_PARAM_PATH`)."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # five times as fast where it exists
    config = {name: {"value": value} for name, value in params.items()}
    path.write_text(yaml.dump({"wandb_version": 1, **config}, Dumper=dumper), encoding="utf-8")


def read_run(home: "Path", run_id: str) -> "Iterator[tuple[str, Any]]":
    """What W&B itself kept of a run, read from its files below `home`, as far as it can be read.

    Yields: ("history", values of one step by name), ("summary", new values by name) and
        ("exit", exit code), in the order in which they came; ("begun", None) before each start.
    """
    try:
        proto = _module("wandb.proto.wandb_internal_pb2")
        files = sorted(home.glob(f"wandb/*run-*-{run_id}/run-{run_id}.wandb"))
        for file in files:
            yield "begun", None
            for data in _log_records(file.read_bytes()):
                record = proto.Record.FromString(data)
                kind = record.WhichOneof("record_type")
                if kind == "history":
                    yield kind, _values(record.history.item)
                elif kind == "summary":
                    yield kind, _values(record.summary.update)
                elif kind == "exit":
                    yield kind, record.exit.exit_code
    except Exception:  # noqa: BLE001
        return  # of another version, or damaged: what was read until here counts


def _values(items: "Any") -> "dict[str, Any]":
    import json

    named = ((list(item.nested_key) or [item.key], item.value_json) for item in items)
    return {".".join(keys): json.loads(value) for keys, value in named}


SERVICE = r'File ".*[/\\]wandb[/\\]sdk[/\\]lib[/\\]service'
GONE = (
    r"^(\w+\.)*(ConnectionResetError|BrokenPipeError|ConnectionRefusedError|MailboxClosedError)\b"
)
"""In tracebacks: the files that speak to the service of a run, and what they raise without it."""


def has_lost_service(output: str) -> bool:
    """Whether a program failed as W&B's service, a process of its own, died under it."""
    import re

    return bool(re.search(SERVICE, output) and re.search(GONE, output, re.MULTILINE))


FILE_HEADER, BLOCK, HEADER = 7, 2**15, 7
"""Bytes, of LevelDB's log format, behind a header of W&B's own."""
WHOLE, FIRST, LAST = 1, 2, 4


def _log_records(data: bytes) -> "Iterator[bytes]":
    """The records of a log; a last one that is cut short is left out."""
    place, parts = FILE_HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        if left < HEADER or kind == 0:  # padding up to the next block
            place += left
            continue
        piece = data[place + HEADER : place + HEADER + length]
        if len(piece) < length:
            return
        parts = piece if kind in (WHOLE, FIRST) else parts + piece
        if kind in (WHOLE, LAST):
            yield parts
        place += HEADER + length


# At W&B's server

SWEEPS = "wandb.apis.public.sweeps"
ASKED = {
    "_sweep_with_runs": {"api", "sweep", "specs", "project", "entity"},
    "_register_agent": {"api", "host", "sweep_id", "project", "entity"},
    "_agent_heartbeat": {"api", "agent_id", "metrics", "run_states"},
    "_get_sweep_state": {"api", "sweep", "project", "entity"},
    "_set_sweep_state": {"api", "sweep", "state", "project", "entity"},
}
"""Functions of `SWEEPS`, and what they take."""


def missing_part(api: "Any") -> "str | None":
    """What the installed wandb lacks of all this; None if it is there.

    api: a `wandb.Api`.
    """
    import inspect

    try:
        sweeps = _module(SWEEPS)
    except ImportError:
        return SWEEPS
    for name, parameters in ASKED.items():
        function = getattr(sweeps, name, None)
        if function is None or not parameters <= inspect.signature(function).parameters.keys():
            return f"{SWEEPS}.{name}"
    service = getattr(api, "_service_api", None)
    return None if hasattr(service, "execute_graphql") else "wandb.Api._service_api"


def ask(function: str, api: "Any", **arguments: "Any") -> "Any":
    """What a function of `ASKED` returns."""
    return getattr(_module(SWEEPS), function)(api=api, **arguments)


def heartbeat(api: "Any", agent: str, running: "dict[str, bool]") -> "list[dict[str, Any]]":
    """Say which runs an agent has under way; return what the server wants.

    Raises: whatever went wrong on the way, which wandb's own function keeps to itself.
    """
    from types import SimpleNamespace

    errors: list[Exception] = []

    def listened(*arguments: "Any", **options: "Any") -> "Any":
        try:
            return api._service_api.execute_graphql(*arguments, **options)
        except Exception as error:
            errors.append(error)
            raise

    listening = SimpleNamespace(_service_api=SimpleNamespace(execute_graphql=listened))
    said = ask("_agent_heartbeat", listening, agent_id=agent, metrics={}, run_states=running)
    if errors:
        raise errors[-1]
    return list(said)


def execute(api: "Any", query: str, variables: "dict[str, Any]") -> "Any":
    """The server's answer to a query of GraphQL."""
    return api._service_api.execute_graphql(query, variables=variables)


def _module(name: str) -> "Any":
    import importlib

    return importlib.import_module(name)


def _quietly(action: "Callable[[], object]") -> None:
    try:  # noqa: SIM105  # contextlib might be the program's
        action()
    except Exception:  # noqa: BLE001, S110
        pass
