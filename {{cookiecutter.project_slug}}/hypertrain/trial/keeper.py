"""A worker's keeper: starts its trials one after the other, and lets nothing of a trial outlive it.

It is a process of its own. As a child subreaper it inherits whatever a trial has started and left
behind, in whichever session or group, and ends it; when the tuner is gone, it ends the trial too.
The two speak in lines of JSON:

    to the keeper    {"start": LAUNCH}  {"signal": NUMBER}  {"kill": true}
    to the tuner     {"begun": WAY}  {"ended": EXIT CODE}

As a script, `python keeper.py FD` keeps trials that start as new processes. In a warm process
(`hypertrain.warm`), `keep` forks them. Standard library only, as it runs before everything else.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

GRACE = 15.0
"""Seconds that a trial gets to end by itself after SIGTERM."""
LINGER = 1.0
"""Seconds that what a trial has left behind gets to end by itself."""
STUBBORN = 10.0
"""Seconds after which a process that even SIGKILL does not end is left."""
EXIT = "exit"
"""Beside what a trial printed: its exit code, for a tuner that was gone when it ended."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

Launch = dict[str, Any]
"""See `hypertrain.trial.process.Launch`."""


class Channel:
    """Lines of JSON over a socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end, self._rest = end, b""

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, **message: Any) -> None:
        """Nobody may be there any more: `receive` tells."""
        with suppress(OSError):
            self._end.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]]:
        """The messages that have come, waiting for at least one.

        Raises: EOFError when the other side is gone.
        """
        while b"\n" not in self._rest:
            try:
                new = self._end.recv(2**16)
            except OSError:
                new = b""
            if not new:
                raise EOFError
            self._rest += new
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self._end.close()


def keep(channel: Channel, can_fork: bool = False) -> Launch:
    """Start the trials that are asked for, until the tuner is gone; this process then ends.

    Returns: in a forked trial alone, what it is to run.
    """
    _inherit_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        try:
            messages = channel.receive()
        except EOFError:
            os._exit(0)
        launches: list[Launch] = [m["start"] for m in messages if "start" in m]
        for launch in launches:
            log = _open_log(launch)  # and so locked, until its exit code is written down
            if can_fork and launch["argv"]:
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, before)
                    os.close(woken)
                    os.close(wake)
                    os.close(log)
                    channel.close()
                    return launch
                channel.send(begun="warm")
            else:
                pid = _spawn(launch, log)
                channel.send(begun="cold")
            code = _watch(pid, channel, woken) if pid else 127
            _clear_up(pid)
            with suppress(OSError):
                Path(launch["output"]).with_name(EXIT).write_text(f"{code}\n")
            os.close(log)
            channel.send(ended=code)


def enter(launch: Launch) -> None:
    """Make this forked process the trial: its session, environment, streams and arguments."""
    os.setsid()
    end_with_parent()
    os.environ.clear()
    os.environ.update(launch["environ"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = _open_log(launch)
    for target, source in enumerate((nothing, log, log)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    sys.argv[1:] = launch["argv"]
    sys.orig_argv += launch["argv"]


def _spawn(launch: Launch, log: int) -> int:
    """Start the command; 0 if it cannot be started, which its log then says."""
    try:
        return subprocess.Popen(
            launch["words"],
            env=launch["environ"],
            cwd=launch["folder"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509  # there are no threads here
        ).pid
    except (OSError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        os.write(log, f"{launch['words'][0]}: {text}\n".encode())
        return 0


def _open_log(launch: Launch) -> int:
    """It is locked for as long as something of the trial has it open: see `has_ended`."""
    log = os.open(launch["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    _lock(log, exclusive=False)
    return log


def has_ended(output: Path) -> bool:
    """Whether nothing of the trial that printed this is left, as far as locks can tell."""
    try:
        with output.open("rb") as file:
            return _lock(file.fileno(), exclusive=True)
    except FileNotFoundError:
        return True


def ended_well(folder: Path) -> float | None:
    """When the trial of this folder has ended by itself, seconds since the epoch, if it has."""
    note = folder / EXIT
    with suppress(OSError):
        return round(note.stat().st_mtime, 3) if note.read_text().strip() == "0" else None
    return None


def _lock(file: int, exclusive: bool) -> bool:
    """False if somebody else's lock is in the way; where there are no locks, nothing ever is."""
    try:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


def _watch(pid: int, channel: Channel, woken: int) -> int:
    """Pass on what the tuner asks until the process has ended; return its exit code."""
    kill_at = float("inf")
    listening: list[Any] = [channel, woken]
    while True:
        if (code := _reap(pid)) is not None:
            return code
        ready, _, _ = select.select(
            listening, [], [], max(0.0, min(kill_at - time.monotonic(), 60))
        )
        if woken in ready:
            os.read(woken, 512)
        if channel in ready:
            try:
                for message in channel.receive():
                    _obey(message, pid)
            except EOFError:
                listening.remove(channel)
                _obey({"signal": signal.SIGTERM}, pid)
                kill_at = time.monotonic() + GRACE
        if time.monotonic() >= kill_at:
            _kill_all(pid)


def _obey(message: dict[str, Any], pid: int) -> None:
    if "kill" in message:
        _kill_all(pid)
    elif "signal" in message:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, message["signal"])


def _reap(pid: int) -> int | None:
    """Collect children that have ended; the exit code of `pid` if it is among them."""
    code = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == pid:
                code = os.waitstatus_to_exitcode(ended[1])
    return code


def _clear_up(leader: int) -> None:
    """End what the trial has left behind."""
    begun = time.monotonic()
    while (spent := time.monotonic() - begun) < STUBBORN:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            break
        if spent > LINGER:
            _kill_all(leader)
        time.sleep(0.01)
    _kill_group(leader)


def _kill_all(leader: int) -> None:
    for pid in _descendants(os.getpid()):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    _kill_group(leader)


def _kill_group(leader: int) -> None:
    if leader:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def _descendants(ancestor: int) -> list[int]:
    """Processes below this one; none where there is no /proc to tell."""
    children: dict[int, list[int]] = {}
    with suppress(FileNotFoundError):
        for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
            with suppress(OSError), Path("/proc", name, "stat").open("rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = list(children.get(ancestor, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def _inherit_orphans() -> None:
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(wanted: bool = True) -> None:
    """The kernel ends this process should its parent be gone, as a trial's keeper that is killed."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL if wanted else 0)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(_number, signal.SIG_DFL)
    keep(Channel(socket.socket(fileno=int(sys.argv[1]))))
