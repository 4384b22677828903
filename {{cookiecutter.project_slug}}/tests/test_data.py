"""The data sets: three different sets, and a download that is whole or not there at all."""

import hashlib
import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

import data
import train

RECORDS = 30
FOLDER = "cifar-10-batches-bin"
FILES = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    shades, labels = load_digits(return_X_y=True)
    ours_images, ours_labels = data.read_digits()
    assert np.array_equal(ours_images.reshape(-1, 64), np.floor(shades * 255 / 16))
    assert np.array_equal(ours_labels, labels)


def test_the_three_sets_of_digits_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)  # importing it would slow down every trial
    train_set, valid_set = data.load("digits", Path())
    sets = [train_set, valid_set, data.load_test("digits", Path())]
    contents = [{image.numpy().tobytes() for image in part.images} for part in sets]
    assert [len(part.labels) for part in sets] == [1085, 357, 355]
    assert sum(map(len, contents)) == len(set.union(*contents)) == 1797
    for part in sets:
        share = torch.bincount(part.labels) / len(part.labels)
        assert share.sub(0.1).abs().max() < 0.01


def test_folds_are_stratified_and_complete() -> None:
    labels = np.random.default_rng(0).integers(10, size=1000, dtype=np.uint8)
    fold = data.folds(labels, 5)
    counts = np.array([np.bincount(labels[fold == n], minlength=10) for n in range(5)])
    assert counts.sum() == 1000
    assert np.ptp(counts, axis=0).max() <= 1


# --- CIFAR-10, in small --------------------------------------------------------------------------


def record_table(name: str) -> data.Bytes:
    """A file's records, each its own label and noise."""
    table = np.random.default_rng(FILES.index(name)).integers(
        256, size=(RECORDS, 3073), dtype=np.uint8
    )
    table[:, 0] = np.arange(RECORDS) % 10
    return table


def packed(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


CONTENT = packed({f"{FOLDER}/{name}": record_table(name).tobytes() for name in FILES})


class Server(ThreadingHTTPServer):
    """Serves the first `sent` bytes of `content`; half-way it waits for `go_on`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.sent = len(CONTENT)
        self.requests = 0
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def archive(self, **changes: str) -> data.Archive:
        given = {
            "url": f"http://127.0.0.1:{self.server_port}/small.tar.gz",
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
        }
        return data.Archive(**(given | changes), folder=FOLDER, records=RECORDS)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        if not self.path.endswith("small.tar.gz"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        half = self.server.sent // 2
        self.wfile.write(self.server.content[:half])
        self.server.asked.set()
        self.server.go_on.wait(timeout=120)
        self.wfile.write(self.server.content[half : self.server.sent])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


def worker(archive: data.Archive, root: Path) -> subprocess.Popen[str]:
    """Another process that fetches; it says when it begins."""
    code = (
        "import data, pathlib; print('ready', flush=True); "
        f"data.fetch(data.{archive!r}, pathlib.Path({str(root)!r}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(Path(data.__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_cifar10_is_read_as_its_authors_wrote_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "CIFAR10", server.archive())
    train_set, valid_set = data.load("cifar10", tmp_path)
    test_set = data.load_test("cifar10", tmp_path)
    assert server.requests == 1
    assert [len(part.labels) for part in (train_set, valid_set, test_set)] == [140, 10, 30]
    assert valid_set.labels.bincount().tolist() == [1] * 10

    table = record_table("test_batch.bin")
    assert test_set.labels.tolist() == table[:, 0].tolist()
    red, row, column = 0, 3, 5  # a record: label, 1024 red, 1024 green, 1024 blue, row by row
    assert test_set.images[7, red, row, column] == table[7, 1 + row * 32 + column]
    assert test_set.images[7, 2, 31, 31] == table[7, -1]
    learned = {image.numpy().tobytes() for image in (*train_set.images, *valid_set.images)}
    assert len(learned) == 150
    assert not learned & {image.numpy().tobytes() for image in test_set.images}


def test_workers_that_start_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    server.go_on.clear()
    workers = [worker(server.archive(), tmp_path) for _ in range(2)]
    watchdogs = [threading.Timer(120, process.kill) for process in workers]
    try:
        for watchdog in watchdogs:
            watchdog.start()
        for process in workers:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        assert server.asked.wait(timeout=120)
        time.sleep(0.5)  # the second comes to the lock while the first is at half of the file
        server.go_on.set()
        assert [process.wait(timeout=60) for process in workers] == [0, 0]
    finally:
        for watchdog in watchdogs:
            watchdog.cancel()
        for process in workers:
            process.kill()
            process.communicate()
    assert server.requests == 1
    assert names(tmp_path) == [FOLDER]
    assert names(tmp_path / FOLDER) == sorted(FILES)


def test_a_killed_download_is_begun_anew(server: Server, tmp_path: Path) -> None:
    server.go_on.clear()
    process = worker(server.archive(), tmp_path)
    try:
        assert server.asked.wait(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert names(tmp_path) == [f"{FOLDER}.part"]
    server.go_on.set()
    assert data.fetch(server.archive(), tmp_path) == tmp_path / FOLDER
    assert names(tmp_path) == [FOLDER]


def cut(server: Server) -> data.Archive:
    server.sent = len(CONTENT) // 2
    return server.archive()


def altered(server: Server) -> data.Archive:
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    return server.archive()


def missing(server: Server) -> data.Archive:
    return server.archive(url=f"http://127.0.0.1:{server.server_port}/moved")


def unreachable(server: Server) -> data.Archive:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return server.archive(url=f"http://127.0.0.1:{unused.getsockname()[1]}/small.tar.gz")


def outside(server: Server) -> data.Archive:
    server.content = packed({"../evil": b"x"})
    server.sent = len(server.content)
    return server.archive(sha256=hashlib.sha256(server.content).hexdigest())


def no_archive(server: Server) -> data.Archive:
    server.content = b"<html>Please log in</html>"
    server.sent = len(server.content)
    return server.archive(sha256=hashlib.sha256(server.content).hexdigest())


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (cut, "cut short or altered"),
        (altered, "cut short or altered"),
        (missing, "404"),
        (unreachable, "refused"),
        (outside, "outside the destination"),
        (no_archive, "not a gzip file"),
    ],
)
def test_a_file_that_is_not_the_right_one_is_refused(
    case: Callable[[Server], data.Archive],
    message: str,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = case(server)
    monkeypatch.setattr(data, "CIFAR10", archive)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--dataset=cifar10"])
    with pytest.raises(SystemExit, match=rf"^train\.py: [^\n]*{archive.url}[^\n]*{message}[^\n]*$"):
        train.main()
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == []


def test_an_unpacked_file_that_is_not_whole_is_refused(server: Server, tmp_path: Path) -> None:
    archive = server.archive()
    path = data.fetch(archive, tmp_path) / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-3073])
    with pytest.raises(data.DataError, match=rf"^{path} has 89,117 bytes, not 92,190: [^\n]*$"):
        data.read_cifar(tmp_path / FOLDER, FILES, archive)


def test_the_progress_bar_is_for_terminals(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    data.fetch(server.archive(), tmp_path / "plain")
    lines = capsys.readouterr().err
    assert lines == f"Fetching {server.archive().url} ({len(CONTENT):,} bytes)\n"

    monkeypatch.setenv("FORCE_COLOR", "1")
    data.fetch(server.archive(), tmp_path / "terminal")
    assert "\x1b[" in capsys.readouterr().err
