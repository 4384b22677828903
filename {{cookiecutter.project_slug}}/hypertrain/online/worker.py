"""A worker: runs points of a sweep on W&B through the same loop as a sweep of this machine.

To the server it is one `wandb agent` for each of its places. The search and early stopping are the
server's; how a trial starts, runs and ends is ours.
"""

import signal
import socket
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import wandb
from rich.console import Console

from hypertrain import UserError, gpus, inside_wandb
from hypertrain.interrupts import Interrupted
from hypertrain.online.agent import GONE, Agent, Command, sweep_config
from hypertrain.online.handback import HandBack
from hypertrain.online.official import run_official
from hypertrain.online.points import Inbox, ServerPoints
from hypertrain.online.served import address, as_served, check_name
from hypertrain.online.server import talk
from hypertrain.show.screen import Screen
from hypertrain.show.words import counted, plain
from hypertrain.tuner import Limits, Loop


def work(path: str, root: Path, limits: Limits, count: int | None, console: Console) -> int:
    """Run trials of the sweep `path` until none is left, or `count` of them.

    Returns: 0; 1 if every trial of this worker failed; 128 + the signal that ended it.
    Raises: UserError.
    """
    check_name(path)
    say = plain(console)
    with talk():
        api = wandb.Api()
        if missing := inside_wandb.missing_part(api):
            say(
                f"wandb {wandb.__version__} lacks {missing}: the official `wandb agent` runs instead"
            )
            return run_official(path, [gpu.name for gpu in gpus.visible()], count)
        sweep = as_served(path, sweep_config(api, path), root)
        url = address(path)
    say(url)
    folder = _new_folder(root, path)
    screen = Screen(console, sweep.metric, None)
    inbox: Inbox = Inbox()

    def tell(agent: Agent, command: Command) -> None:
        inbox.put((agent, command))
        loop.wake()

    points = ServerPoints(
        path,
        lambda: Agent(api, path, tell),
        inbox,
        limits.workers,
        count,
        _hand_back(api, path),
        folder,
        screen,
    )
    loop = Loop(sweep, root, folder, limits, points, say)
    with talk():  # the trials' parent warms up meanwhile
        points.start()
    status = _run(loop, points, screen)
    if points.refusal:
        with talk():
            raise _because(points.refusal, path)
    if points.failed and not points.succeeded and not status:
        reason = f"every trial of this worker has failed ({points.failed}), see above and at {url}"
        print(f"hypertrain: {reason}", file=sys.stderr)
        return 1
    say(f"{counted(points.failed + points.succeeded, 'trial')}, {points.failed} failed: {url}")
    return status


def _run(loop: Loop, points: ServerPoints, screen: Screen) -> int:
    """Run to the end; return 0, or 128 + the signal that ended it earlier."""
    try:
        with screen:
            loop.run()
    except KeyboardInterrupt as interrupt:
        screen.say("Stopped; W&B keeps the trials that ran for the next worker.")
        return 128 + getattr(interrupt, "number", signal.SIGINT)
    except Interrupted as reason:
        screen.say(f"Stopped: {reason}.")
    finally:
        points.close()
    return 0


def _new_folder(root: Path, path: str) -> Path:
    """A folder of this worker alone, for what its trials leave here."""
    parent = root / "results" / f"sweep-{path.rpartition('/')[2]}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"worker-{socket.gethostname()}-", dir=parent))
    except OSError as error:
        raise UserError(f"{parent}: cannot be written: {error.strerror}") from None


def _hand_back(api: Any, path: str) -> HandBack:
    project = quote(path.rpartition("/")[0])
    stream = f"{api.settings['base_url']}/files/{project}/{{run}}/file_stream"
    return HandBack(stream, b64encode(f"api:{api.api_key}".encode()).decode())


def _because(refusal: Command, path: str) -> Exception:
    if refusal.kind == GONE or refusal.error is None:
        return UserError(f"{path}: W&B holds this sweep no longer; what ran has ended")
    return refusal.error
