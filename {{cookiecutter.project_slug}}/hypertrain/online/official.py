"""The official `wandb agent`, for a wandb that lacks what our own agent is made of."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import wandb

from hypertrain import gpus


def run_official(path: str, devices: Sequence[str], count: int | None) -> int:
    """Run an agent on each of the devices, or one, until all have ended; pass signals on.

    count: of trials, to be shared by the agents; None for all.
    Returns: 0; 1 if an agent failed; 128 + the signal that ended it.
    """
    environ = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    environ.pop(wandb.env.SERVICE, None)  # an agent starts a wandb-core of its own
    environ.setdefault("WANDB_HTTP_TIMEOUT", "120")  # it ends when W&B is out of reach for longer
    places = list(devices)[:count] or [""]
    agents = []
    for number, device in enumerate(places):
        share = ["--count", str(len(range(number, count, len(places))))] if count else []
        agents.append(
            subprocess.Popen(
                [sys.executable, "-m", "wandb", "agent", "--forward-signals", *share, path],
                env=environ | gpus.environ(device),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C reaches it only once
            )
        )
    signals: list[int] = []
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda number, _: signals.append(number))
    passed = 0
    while any(agent.poll() is None for agent in agents):
        time.sleep(0.2)
        for number in signals[passed:]:
            for agent in agents:
                agent.send_signal(number)
            passed += 1
    if signals:
        return 128 + signals[0]
    return int(any(agent.returncode for agent in agents))
