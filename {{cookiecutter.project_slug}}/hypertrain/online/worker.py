"""A worker on the platform: the official `wandb agent` on each GPU of the job."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import wandb

from hypertrain import UserError
from hypertrain.machine import gpus, share_threads
from hypertrain.online.server import talk

# An agent that forwards signals wraps its handler around the last trial's one, for each trial:
# wandb 0.31 reaches Python's recursion limit at 990. A fresh agent begins anew.
TRIALS_PER_AGENT = 500
SUCCESS = ("finished", "killed")
"""States of a trial that did not fail; W&B or somebody there stopped the killed ones."""
GOOD_BYE = 5
"""Seconds for W&B to hear of an interruption: the platform kills soon after SIGTERM."""


def work(path: str) -> int:
    """Run trials of the sweep `path` until none is left.

    Returns: 0; 1 if an agent failed or every trial of this worker did; 128 + the signal that
        ended it.
    """
    if len([part for part in path.split("/") if part]) != 3:
        raise UserError(f"{path!r} is no sweep; start-sweep prints it, as ENTITY/PROJECT/SWEEP")
    with talk():
        api: Any = wandb.Api()
        url = api.sweep(path).url
    parent = Path(os.environ.get("WANDB_DIR", "wandb"))
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="worker-", dir=parent.absolute()))

    agents: list[subprocess.Popen[bytes]] = []
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: signals.append(received))
    while not signals:
        before = len(_trials(folder))
        agents = _start(path, folder)
        _wait(agents, signals, path, folder)
        failed = any(agent.returncode for agent in agents)
        if failed or len(_trials(folder)) - before < TRIALS_PER_AGENT:
            break
    if signals:
        return 128 + signals[0]
    if failed:
        return _fail("`wandb agent` has failed, see above", url)
    with talk():
        states = _states(path, folder, wandb.Api())
    if states and not any(state in SUCCESS for state in states.values()):
        return _fail(f"every trial of this worker has failed ({len(states)}), see above", url)
    return 0


def _start(path: str, folder: Path) -> list[subprocess.Popen[bytes]]:
    """One agent for each GPU, or one; each leads a session, so a Ctrl-C reaches it only once."""
    devices = gpus()
    share_threads(len(devices) or 1)
    environ = {
        **os.environ,
        "WANDB_DIR": str(folder),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    environ.pop(wandb.env.SERVICE, None)  # an agent starts a wandb-core of its own
    # An agent ends when W&B is out of reach for longer; the default is 19 s.
    environ.setdefault("WANDB_HTTP_TIMEOUT", "120")
    # Three bad points at the start of a grid are no reason to leave out the rest of it. An agent
    # still ends when its first five trials fail.
    environ.setdefault("WANDB_AGENT_DISABLE_FLAPPING", "true")
    words = ["wandb", "agent", "--forward-signals", f"--count={TRIALS_PER_AGENT}", path]
    return [
        subprocess.Popen(
            [sys.executable, "-m", *words],
            env=environ | ({"CUDA_VISIBLE_DEVICES": device} if device else {}),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        for device in devices or [""]
    ]


def _wait(
    agents: list[subprocess.Popen[bytes]], signals: list[int], path: str, folder: Path
) -> None:
    """Until all agents have ended; pass on each signal that this process receives."""
    passed = 0
    while any(agent.poll() is None for agent in agents):
        time.sleep(0.2)
        for number in signals[passed:]:
            if not passed:
                telling = threading.Thread(target=_preempt, args=(path, folder), daemon=True)
                telling.start()
                telling.join(GOOD_BYE)
            for agent in agents:
                agent.send_signal(number)
            passed += 1


def _preempt(path: str, folder: Path) -> None:
    """Tell W&B that the running trials are cut off from outside: it hands them out again.

    This is the message that `run.mark_preempting()` sends, which only the trial itself could call.
    """
    try:
        api = wandb.Api(timeout=GOOD_BYE)
        states = _states(path, folder, api)
        login = b64encode(f"api:{api.api_key}".encode()).decode()
        for run in [run for run, state in states.items() if state in ("pending", "running")]:
            stream = f"{api.settings['base_url']}/files/{path.rpartition('/')[0]}/{run}/file_stream"
            headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
            urlopen(Request(stream, b'{"preempting": true}', headers), timeout=GOOD_BYE).close()
    except Exception as error:  # noqa: BLE001
        print(f"hypertrain: W&B was not told of the interruption: {error}", file=sys.stderr)


def _trials(folder: Path) -> set[str]:
    """Run ids that the agents have started: each leaves the configuration of a trial behind."""
    found = folder.glob("wandb/sweep-*/config-*.yaml")
    return {file.stem.removeprefix("config-") for file in found}


def _states(path: str, folder: Path, api: wandb.Api) -> dict[str, str]:
    """W&B's states of this worker's trials, by run id."""
    project, _, sweep = path.rpartition("/")
    runs = api.runs(project, filters={"$and": [{"sweep": sweep}]})
    known = {run.id: str(run.state) for run in runs}
    return {trial: known.get(trial, "failed") for trial in _trials(folder)}


def _fail(reason: str, url: str) -> int:
    print(f"hypertrain: {reason} and at {url}", file=sys.stderr)
    return 1
