"""The journal: what is damaged costs itself, what cannot be written is taken back."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from conftest import ROOT
from hypertrain import UserError
from hypertrain.results import journal
from hypertrain.results.journal import COMPLETED, Journal, Record, damage, is_running, read

ENDED = [Record(n, [n], {"a": n}, state=COMPLETED, value=float(n), seconds=1.0) for n in (1, 2, 3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a sweep of three trials."""
    there = tmp_path / "results" / "sweep-1"
    with Journal(there) as open_journal:
        for record in ENDED:
            open_journal.write(Record(record.number, record.point, record.params))
            open_journal.write(record)
    return there


def test_what_is_written_is_read_with_time_and_place(folder: Path) -> None:
    records, damaged = read(folder)
    assert list(records) == [1, 2, 3]
    assert not damaged
    for record in records.values():
        assert record.begun
        assert record.ended
        assert record.begun <= record.ended
        assert record.host == journal.HOST


def test_an_end_is_on_the_disk_before_anything_else_happens(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: kept.append((folder / "journal.jsonl").read_bytes()))
    with Journal(folder) as open_journal:
        open_journal.write(Record(4, [4], {"a": 4}))
        assert not kept  # what had only begun is run again anyway
        open_journal.write(Record(4, [4], {"a": 4}, state=COMPLETED, value=4.0))
        assert [text.count(b'"number": 4') for text in kept] == [2]


DAMAGE: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "cut": lambda lines: [*lines[:3], lines[3][:20] + b"\n", *lines[4:]],
    "joined": lambda lines: [*lines[:3], lines[3].rstrip() + lines[4], lines[5]],
    "blank": lambda lines: [*lines[:3], b"\n", *lines[4:]],
    "nulls": lambda lines: [*lines[:3], b"\0" * 40 + b"\n", *lines[4:]],
    "unknown key": lambda lines: [*lines[:3], lines[3].replace(b'"state"', b'"stele"'), *lines[4:]],
    "wrong kind": lambda lines: [*lines[:3], lines[3].replace(b"2.0", b'"2"'), *lines[4:]],
    "unknown state": lambda lines: [
        *lines[:3],
        lines[3].replace(b"completed", b"complEted"),
        *lines[4:],
    ],
    "no text": lambda lines: [*lines[:3], b"\xff\xfe{}\n", *lines[4:]],
    "a list": lambda lines: [*lines[:3], b"[1]\n", *lines[4:]],
    "deep": lambda lines: [*lines[:3], b"[" * 100_000 + b"\n", *lines[4:]],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_line_costs_that_line_alone(kind: str, folder: Path) -> None:
    file = folder / "journal.jsonl"
    file.write_bytes(b"".join(DAMAGE[kind](file.read_bytes().splitlines(keepends=True))))
    with Journal(folder) as open_journal:
        records = open_journal.records
        assert open_journal.damaged == [4]
        open_journal.write(ENDED[1])
    assert [records[n].done for n in (1, 3)] == [True, True]
    assert read(folder)[0][2].done, "run again, it counts"
    told = damage(folder, [4])
    assert told == f"{file}: line 4 is damaged and left out; what was lost is run again."


def test_a_last_line_without_an_end_is_no_damage(folder: Path) -> None:
    file = folder / "journal.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"number": 4, "par')
    assert read(folder)[1] == []
    with Journal(folder) as open_journal:
        open_journal.write(Record(4, [4], {"a": 4}))
    assert read(folder)[1] == []
    assert list(read(folder)[0]) == [1, 2, 3, 4]


def test_journals_of_earlier_versions_are_read(tmp_path: Path) -> None:
    line = {"point": [0], "number": 1, "params": {"a": 0}, "attempt": 2}
    ended = {**line, "state": "stopped", "value": 1.5, "seconds": 2.0, "bands": [1.0, 1.5]}
    (tmp_path / "journal.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(ended)}\n")
    records, damaged = read(tmp_path)
    assert (records[1].done, records[1].begun, records[1].bands) == (True, None, [1.0, 1.5])
    assert records[1].folder == "trials/1-2"
    assert not damaged


def test_a_short_write_is_completed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    with Journal(folder) as open_journal:
        open_journal.write(Record(4, [4], {"a": 4}))
    monkeypatch.undo()
    assert list(read(folder)[0]) == [1, 2, 3, 4]


def test_what_does_not_fit_the_disk_is_taken_back(folder: Path) -> None:
    """The kernel's limit on the size of a file stands for a full disk: it cuts a write short."""
    file = folder / "journal.jsonl"
    before = file.read_bytes()
    script = f"""
import resource, signal
from pathlib import Path
from hypertrain import UserError
from hypertrain.results.journal import Journal, Record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(Path({str(folder)!r})) as journal:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before)} + 30,) * 2)
    try:
        journal.write(Record(4, [4], {{"a": 4}}))
    except UserError as error:
        print(error)
    assert 4 not in journal.records
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=pythonpath(), timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be written: File too large; make room" in done.stdout
    assert file.read_bytes() == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != len(before) + 30


def test_a_second_tuner_is_told_who_has_the_sweep(folder: Path) -> None:
    with Journal(folder):
        assert is_running(folder)
        with pytest.raises(
            UserError, match=rf"runs this sweep \(.* on .*, process {os.getpid()}, since"
        ):
            Journal(folder)
    assert not is_running(folder)
    with Journal(folder):
        pass


def test_a_look_does_not_keep_a_tuner_out(folder: Path) -> None:
    """Whoever asks whether a sweep runs holds its lock for an instant."""
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        threading.Timer(0.1, fcntl.flock, (lock, fcntl.LOCK_UN)).start()
        with Journal(folder):
            pass


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="cannot be locked: No locks available; put the results on"):
        Journal(tmp_path / "results" / "sweep-1")


def pythonpath() -> dict[str, str]:
    package = Path(journal.__file__).parents[2]
    return {**os.environ, "PYTHONPATH": str(package)}


OPEN = """
from pathlib import Path
from hypertrain import UserError
from hypertrain.results.journal import Journal
import os, pwd
if {nobody}:
    os.setuid(65534)
try:
    Journal(Path({folder!r}))
except UserError as error:
    print(error)
"""


UNUSABLE = {
    "a file": "is a file, and the results need a folder of that name",
    "a dangling link": "is a link to /nowhere/results, which does not exist",
    "another user's": "cannot be written as ",
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_results_that_cannot_be_used_are_one_line(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # pytest's own folders are closed to other users
        results = Path(folder, "results")
        if kind == "a file":
            results.write_text("")
        elif kind == "a dangling link":
            results.symlink_to("/nowhere/results")
        elif os.getuid():
            pytest.skip("only root can make what belongs to another user")
        else:
            results.mkdir(mode=0o755)
        script = OPEN.format(folder=str(results / "sweep-1"), nobody=kind == "another user's")
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            env=pythonpath(),
            timeout=60,
        )
        assert not done.stderr
        (line,) = done.stdout.splitlines()
        assert UNUSABLE[kind] in line


def test_the_page_on_results_explains_every_key() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    table = page.partition("| key | |")[2]
    keys = [key for row in re.findall(r"^\| (`.*?) \|", table, re.M) for key in row.split(", ")]
    assert [key.strip("`") for key in keys] == [field.name for field in fields(Record)]
