"""The journal of a sweep: one line of JSON for each start and each end of a trial.

Lines are only ever added, so any kill leaves a journal that can be read. The format, key by key:

    number    of the trial, from 1
    point     where in the search space: an index or a quantile for each parameter
    params    what the program was told, nested as in the sweep file
    attempt   1, or more where a trial was begun anew; names the folder trials/NUMBER[-ATTEMPT]
    state     completed, stopped (early) or failed; no state: begun, and not ended yet
    value     best value of the metric
    seconds   of wall time
    reason    why it failed
    bands     the metric's values at Hyperband's bands
    begun     Unix time of the start; and so `ended`
    worker    which of the workers ran it, from 0
    host      the machine
    code      fingerprint of the program's sources (`sources.py`); about.json lists their files
    exit      status of the program: 0 also for a training that only lacked the metric
    run       id of its W&B run
    origin    results folder and trial folder that an equal trial was taken over from

A later line for a number takes the place of an earlier one. Keys without a value are left out;
journals from before `begun` have none of the keys from there on, and are read all the same.
"""

import errno
import getpass
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hypertrain import UserError

COMPLETED, STOPPED, FAILED = "completed", "stopped", "failed"
JOURNAL, LOCK = "journal.jsonl", "lock"
HOST = socket.gethostname()


@dataclass
class Record:
    """What is known of one trial; each key is explained above."""

    number: int
    point: list[float]
    params: dict[str, Any]
    attempt: int = 1
    state: str | None = None
    value: float | None = None
    seconds: float | None = None
    reason: str | None = None
    bands: list[float] = field(default_factory=list)
    begun: float | None = None
    ended: float | None = None
    worker: int | None = None
    host: str | None = None
    code: str | None = None
    exit: int | None = None
    run: str | None = None
    origin: str | None = None

    @property
    def done(self) -> bool:
        return self.state in (COMPLETED, STOPPED)

    @property
    def folder(self) -> str:
        """Of the attempt that counts, below the sweep's folder."""
        if self.origin:
            return f"../{self.origin}"
        return f"trials/{self.number}" + (f"-{self.attempt}" if self.attempt > 1 else "")


class Journal:
    """The journal of one sweep, open for this process alone.

    damaged: numbers of the lines that cannot be read; they are left out.
    elsewhere: who on another machine had it open and has not closed it.
    Raises: UserError when the folder cannot be made or another process has it open.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock, before = _locked(folder)
            self._file = os.open(folder / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise UserError(_unusable(folder, error)) from None
        self.elsewhere = before if before and f" on {HOST}, " not in before else None
        self._end_last_line()
        self.records, self.damaged = read(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._file)
        with suppress(OSError):
            os.ftruncate(self._lock, 0)
        os.close(self._lock)

    def write(self, record: Record) -> None:
        """Note a trial's start or end, for good, with the time and the machine.

        Raises: UserError when the disk is full, say; the journal is then as it was before.
        """
        if not record.origin:
            record.begun = record.begun or round(time.time(), 3)
            record.ended = record.ended or (round(time.time(), 3) if record.state else None)
            record.host = record.host or HOST
        shown = {key: value for key, value in asdict(record).items() if value not in (None, [])}
        self._append({"point": [], **shown}, for_good=record.state is not None)
        self.records[record.number] = record

    def _append(self, line: Mapping[str, Any], for_good: bool) -> None:
        before = os.fstat(self._file).st_size
        try:
            left = json.dumps(line).encode() + b"\n"
            while left:
                left = left[os.write(self._file, left) :]
            if for_good:
                os.fsync(self._file)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, before)
            raise UserError(unwritable(self.folder, error)) from None

    def _end_last_line(self) -> None:
        """What a kill cut short must not swallow the next line."""
        size = os.fstat(self._file).st_size
        with (self.folder / JOURNAL).open("rb") as file:
            kept = file.read().rfind(b"\n") + 1
        if kept != size:
            os.ftruncate(self._file, kept)


def read(folder: Path) -> tuple[dict[int, Record], list[int]]:
    """Records by number, and the numbers of the lines that are damaged; needs no lock.

    A last line without an end is being written, or was cut short: it does not count.
    """
    text = (folder / JOURNAL).read_bytes()
    records, damaged = {}, []
    for number, line in enumerate(text[: text.rfind(b"\n") + 1].split(b"\n")[:-1], start=1):
        record = _record(line)
        if record:
            records[record.number] = record
        else:
            damaged.append(number)
    return dict(sorted(records.items())), damaged


def damage(folder: Path, damaged: list[int]) -> str | None:
    """The one line that tells of damaged lines; None if there are none."""
    if not damaged:
        return None
    few = ", ".join(map(str, damaged[:5])) + (", ..." if len(damaged) > 5 else "")
    lines = f"line {few} is" if len(damaged) == 1 else f"lines {few} are"
    return f"{folder / JOURNAL}: {lines} damaged and left out; what was lost is run again."


def unwritable(where: Path, error: OSError) -> str:
    """The one line for what cannot be written, there or where the error says, and the remedy."""
    remedies = {
        errno.ENOSPC: "make room",
        errno.EDQUOT: "make room",
        errno.EFBIG: "make room or lift the limit (`ulimit -f`)",
    }
    remedy = remedies.get(error.errno or 0, "see to it")
    what = f"{error.filename or where}: cannot be written: {error.strerror}"
    return f"{what}; {remedy}, then the same command goes on"


def is_running(folder: Path) -> bool:
    """Whether a tuner has the sweep open on this machine, now."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(file, shared=True)
    except OSError:
        return False
    finally:
        os.close(file)


_KINDS: dict[str, tuple[type, ...]] = {
    "number": (int,),
    "point": (list,),
    "params": (dict,),
    "attempt": (int,),
    "bands": (list,),
    "worker": (int,),
    "exit": (int,),
    **dict.fromkeys(("value", "seconds", "begun", "ended"), (int, float)),
    **dict.fromkeys(("state", "reason", "host", "code", "run", "origin"), (str,)),
}


def _record(line: bytes) -> Record | None:
    try:
        found = json.loads(line)
        sound = found["number"] >= 1 and all(
            isinstance(value, _KINDS[key]) and not isinstance(value, bool)
            for key, value in found.items()
        )
        record = Record(**found)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return record if sound and record.state in (None, COMPLETED, STOPPED, FAILED) else None


def holder(folder: Path) -> str:
    """Who has the sweep open: user, machine, process and since when."""
    try:
        return (folder / LOCK).read_text(errors="replace").strip()
    except OSError:
        return ""


def _locked(folder: Path) -> tuple[int, str]:
    """The file descriptor that holds the sweep's lock, and who held it before and did not let go.

    Raises: UserError when another process holds it, OSError when there is nothing to hold.
    """
    path = folder / LOCK
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        before = holder(folder)
        if not _lock_soon(file):
            raise UserError(
                f"{folder}: another `python -m hypertrain` runs this sweep"
                f"{f' ({before})' if before else ''}; wait for it or stop it"
            )
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.ftruncate(file, 0)
        os.write(file, f"{_user()} on {HOST}, process {os.getpid()}, since {since}\n".encode())
    except BaseException as error:
        os.close(file)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise
    return file, before


def _lock_soon(file: int) -> bool:
    """`_lock`, with patience for whoever only looks whether the sweep runs."""
    for _ in range(5):
        if _lock(file):
            return True
        time.sleep(0.05)
    return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def _lock(file: int, shared: bool = False) -> bool:
    """Lock the open file until it is closed or the process is gone, however it goes.

    Returns: False when another process has it.
    Raises: OSError when the file system has no locks.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _unusable(folder: Path, error: OSError) -> str:
    """Why there can be no journal in this folder, and the remedy."""
    top = folder.parent
    if top.is_symlink() and not top.exists():
        return f"{top}: is a link to {top.readlink()}, which does not exist; make it or unlink"
    if top.exists() and not top.is_dir():
        return f"{top}: is a file, and the results need a folder of that name; move the file away"
    if isinstance(error, PermissionError):
        owner = next(p for p in (folder, *folder.parents) if p.exists())
        return f"{owner}: cannot be written as {_user()}; change its owner or its mode"
    where = error.filename or folder
    if error.errno == errno.EROFS:
        return f"{where}: is read-only here; make {top} a link to a folder that can be written"
    if str(where).endswith(LOCK):
        return (
            f"{where}: cannot be locked: {error.strerror}; put the results on a disk that has "
            f"locks: move {top} there and leave a link"
        )
    return f"{where}: {error.strerror}"
