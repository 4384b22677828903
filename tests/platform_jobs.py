"""Jobs of the stand-in platform: each is a real process that sees its volumes and nothing else.

A job runs in namespaces of its own (bubblewrap, or unshare from util-linux): the system read-only,
an empty /tmp and HOME, the volumes where it asked for them, its command as process 1. So it cannot
reach the user's folder on the client, and, as in a container, a signal without a handler is lost.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

GRACE = 20.0  # between SIGTERM and SIGKILL, seconds
CORES = itertools.cycle(sorted(os.sched_getaffinity(0)))


class Mount(NamedTuple):
    kind: str  # ro, rw, symlink, tmpfs, proc, dev
    source: str
    target: str


@dataclass
class Job:
    """What the platform knows of a job; `request` is the payload that created it."""

    id: str
    request: Mapping[str, Any]
    status: str = "pending"
    reason: str = ""
    exit_code: int | None = None
    cancelled: bool = False
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    finished: datetime | None = None
    log: bytearray = field(default_factory=bytearray)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None

    @property
    def done(self) -> bool:
        return self.status in ("succeeded", "failed", "cancelled")

    @property
    def text(self) -> str:
        return self.log.decode(errors="replace")

    def write(self, data: bytes) -> None:
        self.log += data
        self.touch()

    def touch(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def finish(self, exit_code: int, reason: str = "") -> None:
        self.exit_code = exit_code
        self.status = "cancelled" if self.cancelled else "failed" if exit_code else "succeeded"
        self.reason = reason or ("" if self.status == "succeeded" else "Error")
        self.started = self.started or datetime.now(UTC)
        self.finished = datetime.now(UTC)
        self.touch()


def _system(pythons: Sequence[Path]) -> Iterator[Mount]:
    hidden = {"proc", "dev", "sys", "tmp", "root", "project"}
    for entry in sorted(Path("/").iterdir()):
        if entry.is_symlink():
            yield Mount("symlink", str(entry.readlink()), str(entry))
        elif entry.is_dir() and entry.name not in hidden:
            yield Mount("ro", str(entry), str(entry))
    yield Mount("proc", "", "/proc")
    yield Mount("dev", "", "/dev")
    yield Mount("tmpfs", "", "/tmp")
    yield Mount("tmpfs", "", "/root")
    for python in pythons:
        yield Mount("ro", str(python), str(python))


def _bwrap(mounts: Sequence[Mount], workdir: str, argv: Sequence[str]) -> list[str]:
    flags = {"ro": "--ro-bind", "rw": "--bind", "symlink": "--symlink"}
    command = ["bwrap", "--unshare-pid", "--as-pid-1", "--die-with-parent"]
    for kind, source, target in mounts:
        command += [flags[kind], source, target] if kind in flags else [f"--{kind}", target]
    return [*command, "--dir", workdir, "--chdir", workdir, "--", *argv]


def _unshare(mounts: Sequence[Mount], workdir: str, argv: Sequence[str]) -> list[str]:
    lines = ["set -e", "root=$(mktemp -d)", "mount -t tmpfs tmpfs $root"]
    for kind, source, target in mounts:
        src, dst = shlex.quote(source or target), f"$root{shlex.quote(target)}"
        if kind == "symlink":
            lines.append(f"ln -s {src} {dst}")
        elif kind in ("tmpfs", "proc"):
            lines.append(f"mkdir -p {dst} && mount -t {kind} {kind} {dst}")
        else:
            lines.append(f"mkdir -p {dst} && mount --rbind {src} {dst}")
    enter = f'cd {shlex.quote(workdir)} && exec "$@"'
    lines += [
        f"mkdir -p $root{shlex.quote(workdir)}",
        f'exec chroot $root sh -c {shlex.quote(enter)} sh "$@"',
    ]
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    spaces = ["unshare", *user, "--mount", "--pid", "--fork", "--kill-child"]
    return [*spaces, "sh", "-c", "\n".join(lines), "sh", *argv]


@functools.cache
def sandbox() -> str | None:
    """Which of the two this system permits."""
    for name, build in (("bwrap", _bwrap), ("unshare", _unshare)):
        if shutil.which(name):
            trial = build([*_system([])], "/project", ["true"])
            if subprocess.run(trial, capture_output=True, timeout=30).returncode == 0:
                return name
    return None


def _payload(process: asyncio.subprocess.Process) -> int | None:
    """The host's number of the job's process 1: the only child of the sandbox program."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    numbers = children.read_text().split() if children.exists() else []
    return int(numbers[0]) if numbers else None


def send(job: Job, signum: signal.Signals) -> None:
    pid = _payload(job.process) if job.process and job.process.returncode is None else None
    if pid is not None:
        os.kill(pid, signum)


async def execute(
    job: Job, *, env: Mapping[str, str], volumes: Sequence[Mount], pythons: Sequence[Path]
) -> None:
    """Run the job's command to its end; the log grows as the process writes."""
    container = job.request
    workdir = container.get("working_dir") or env.get("WORKDIR", "/")
    argv = shlex.split(f"{container.get('entrypoint', '')} {container.get('command', '')}")
    build = _bwrap if sandbox() == "bwrap" else _unshare
    prefixes = [Path(sys.prefix), Path(sys.base_prefix), *pythons]
    # A preset limits a job's cores; unlimited, torch's threads get in each other's way.
    job.process = await asyncio.create_subprocess_exec(
        *("taskset", "--cpu-list", str(next(CORES))),
        *build([*_system(prefixes), *volumes], workdir, argv),
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    job.status, job.started = "running", datetime.now(UTC)
    job.touch()
    assert job.process.stdout is not None
    while chunk := await job.process.stdout.read(65536):
        job.write(chunk)
    code = await job.process.wait()
    job.finish(code if code >= 0 else 128 - code)


async def kill(job: Job) -> None:
    """SIGTERM, then SIGKILL to those who stay, as container runtimes do."""
    job.cancelled = True
    send(job, signal.SIGTERM)
    for _ in range(int(GRACE * 10)):
        if job.done:
            return
        await asyncio.sleep(0.1)
    send(job, signal.SIGKILL)
