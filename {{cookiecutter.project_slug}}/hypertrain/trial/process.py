"""The tuner's side of its workers: each asks a keeper (`keeper`) to run one trial after the other."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from hypertrain.trial.keeper import EXIT, STUBBORN

OUTPUT, METRICS = "output.log", "metrics.jsonl"
BEGUN, ENDED, COLD, LOST, WOKEN = "begun", "ended", "cold", "lost", "woken"
"""Kinds of events: a trial runs; it has ended; no trial starts warm; the keeper is gone; look anew."""


@dataclass(frozen=True)
class Launch:
    """What it takes to start a trial.

    words: the whole command line. argv: the program's arguments if the trial may start warm.
    output: the file that takes what it prints. folder: where it runs, if not here.
    """

    words: Sequence[str]
    argv: Sequence[str] | None
    environ: dict[str, str]
    output: str
    folder: str | None = None


@dataclass(frozen=True)
class Event:
    """What a worker's keeper has said. about: how a trial began, its exit code, or why not warm."""

    worker: "Worker | None"
    kind: str
    about: Any = None


class Worker:
    """Runs one trial at a time; what becomes of it arrives as events in the queue."""

    def __init__(
        self,
        end: socket.socket,
        events: "SimpleQueue[Event]",
        keeper: "subprocess.Popen[bytes]",
    ) -> None:
        self._end, self._events, self._keeper = end, events, keeper
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, launch: Launch) -> None:
        self._send(start=asdict(launch))

    def terminate(self) -> None:
        """Ask the trial to end, as `wandb agent` does: SIGTERM to the program alone."""
        self._send(signal=int(signal.SIGTERM))

    def kill(self) -> None:
        """End the trial and whatever it has started."""
        self._send(kill=True)

    def close(self) -> None:
        """The keeper ends, and what it still runs."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def wait(self) -> None:
        """Once it is closed, until the keeper has ended; one that will not is left."""
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(STUBBORN)

    def _send(self, **message: Any) -> None:
        with suppress(OSError):  # the keeper is gone, which an event tells
            self._end.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self) -> None:
        for message in _messages(self._end):
            for kind, about in message.items():
                self._events.put(Event(self, kind, about))
        self._events.put(Event(self, LOST))


def _messages(end: socket.socket) -> Iterator[dict[str, Any]]:
    with suppress(OSError), end.makefile("rb") as lines:
        for line in lines:
            yield json.loads(line)


class WithoutKeeper(Worker):
    """A worker on Windows, where no keeper can be: its trials are children of the tuner itself."""

    def __init__(self, events: "SimpleQueue[Event]") -> None:
        self._events = events
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, launch: Launch) -> None:
        threading.Thread(target=self._run, args=[launch], daemon=True).start()

    def terminate(self) -> None:
        if self._process:
            self._process.terminate()

    def kill(self) -> None:
        if self._process:
            end_tree(self._process)

    def close(self) -> None:
        self.kill()

    def wait(self) -> None:
        """There is none."""

    def _run(self, launch: Launch) -> None:
        self._events.put(Event(self, BEGUN, "cold"))
        program = shutil.which(launch.words[0], path=launch.environ.get("PATH"))
        code = 127
        with open(launch.output, "ab") as log:  # noqa: PTH123
            try:
                self._process = subprocess.Popen(
                    [program or launch.words[0], *launch.words[1:]],
                    env=launch.environ,
                    cwd=launch.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                code = self._process.wait()
            except OSError as error:
                log.write(f"{launch.words[0]}: {error.strerror}\n".encode())
        self._process = None
        Path(launch.output).with_name(EXIT).write_text(f"{code}\n")
        self._events.put(Event(self, ENDED, code))


def end_tree(process: "subprocess.Popen[bytes]") -> None:
    """End the process, and on Windows what it has started."""
    if os.name == "nt":
        words = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
        subprocess.run(words, capture_output=True, check=False)
    process.kill()


def cold_workers(count: int, events: "SimpleQueue[Event]") -> list[Worker]:
    """Workers whose trials start as new processes."""
    if not hasattr(os, "fork"):
        return [WithoutKeeper(events) for _ in range(count)]
    keeper = Path(__file__).with_name("keeper.py")
    found = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-I", "-S", str(keeper), str(theirs.fileno())]
            started = detached(words, {**os.environ}, [theirs.fileno()], subprocess.DEVNULL)
        found.append(Worker(ours, events, started))
    return found


def detached(
    words: Sequence[str],
    environ: dict[str, str],
    channels: Sequence[int],
    output: int,
    executable: str | None = None,
) -> "subprocess.Popen[bytes]":
    """A process out of the terminal's reach, with these channels; it ends when they are closed."""
    return subprocess.Popen(
        words,
        executable=executable,
        env=environ,
        pass_fds=channels,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
