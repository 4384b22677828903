"""Results on disk: an append-only journal that any kill leaves readable, and a lock."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hypertrain import UserError

COMPLETED, STOPPED, FAILED = "completed", "stopped", "failed"


@dataclass
class Record:
    """What is known of one trial.

    state: None while it has not ended.
    value: best of the metric. bands: its values at Hyperband's bands. seconds: of wall time.
    """

    number: int
    point: list[float]
    params: dict[str, Any]
    attempt: int = 1
    state: str | None = None
    value: float | None = None
    seconds: float | None = None
    reason: str | None = None
    bands: list[float] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.state in (COMPLETED, STOPPED)

    @property
    def folder(self) -> str:
        return f"trials/{self.number}" + (f"-{self.attempt}" if self.attempt > 1 else "")


class Journal:
    """The journal of one sweep, open for this process alone.

    Raises: UserError when another process has it open.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("a")
        if not _lock(self._lock.fileno()):
            self._lock.close()
            raise UserError(
                f"{folder}: another `python -m hypertrain` runs this sweep; wait for it or stop it"
            )
        path = folder / "journal.jsonl"
        self._file = path.open("ab+", buffering=0)
        self.records = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._lock.close()

    def write(self, record: Record) -> None:
        """Note a trial's start or end, for good."""
        self.records[record.number] = record
        shown = {key: value for key, value in asdict(record).items() if value not in (None, [])}
        self._append({"point": [], **shown})
        if record.state:
            os.fsync(self._file.fileno())

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be written: {error.strerror}") from None

    def _read(self) -> dict[int, Record]:
        """Records by number; a last line cut short by a kill is dropped."""
        self._file.seek(0)
        text = self._file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._file.truncate(len(whole))
        try:
            records = [Record(**json.loads(line)) for line in whole.splitlines()]
        except (ValueError, TypeError):
            raise UserError(
                f"{self._file.name}: is damaged; move {self.folder} away to start the sweep anew"
            ) from None
        return {record.number: record for record in records}


def _lock(file: int) -> bool:
    """Lock the open file until it is closed or the process is gone, however it goes."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
