"""The training script, as a user, a sweep and a platform that stops it see it."""

import json
import os
import pickle
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import wandb
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

import data
import train

SCRIPT = Path(train.__file__)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to train in, in this process, without W&B unless a test turns it on."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)
    wandb.teardown()  # it keeps the environment of its first use


def run_main(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    train.main()


def stranger(folder: Path, **variables: str) -> dict[str, str]:
    """The environment of someone without a W&B account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return kept | {"HOME": str(folder), "NETRC": str(folder / "none"), **variables}


def records(folder: Path) -> list[Record]:
    """What the only offline run below the folder has written: records in LevelDB's log format."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    content = path.read_bytes()
    found, part, position = [], b"", 7
    while position + 7 <= len(content):
        if (left := 32768 - position % 32768) < 7:  # a block's last bytes hold no header
            position += left
            continue
        size = int.from_bytes(content[position + 4 : position + 6], "little")
        part += content[position + 7 : position + 7 + size]
        if content[position + 6] in (1, 4):  # the whole record, or its last fragment
            found.append(Record.FromString(part))
            part = b""
        position += 7 + size
    return found


def history(folder: Path) -> list[dict[str, float]]:
    return [
        {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row.item}
        for row in (record.history for record in records(folder) if record.HasField("history"))
    ]


def summary(folder: Path) -> dict[str, object]:
    updates = [item for record in records(folder) for item in record.summary.update]
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in updates}


def small_cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 as it lies on the disk once it is fetched, with 40 noisy images in each file."""
    monkeypatch.setattr(data, "CIFAR10", data.Archive("", "", "cifar", records=40))
    (root / "data" / "cifar").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]:
        table = random.integers(256, size=(40, 3073), dtype=np.uint8)
        table[:, 0] %= 10
        (root / "data" / "cifar" / name).write_bytes(table.tobytes())


@pytest.mark.parametrize(
    "option",
    [
        "--lr=0.05",
        "--optimizer=adam",
        "--scheduler=cosine",
        "--epochs=2",
        "--batch-size=32",
        "--batch_size=32",
        "--seed=1",
        "--dataset=cifar10",
    ],
)
def test_each_option_changes_the_result(
    option: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_cifar(here, monkeypatch)
    losses = []
    for options in (["--epochs=1"], ["--epochs=1"], ["--epochs=1", option]):
        run_main(monkeypatch, *options)
        losses.append(re.findall(r"loss/valid (\S+)", capsys.readouterr().out)[-1])
    assert losses[0] == losses[1] != losses[2]


def test_the_test_set_is_touched_only_when_asked(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_cifar(here, monkeypatch)
    (here / "data" / "cifar" / "test_batch.bin").unlink()
    run_main(monkeypatch, "--epochs=1", "--dataset=cifar10")
    assert "accuracy01/test" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"^train.py: .*test_batch.bin has 0 bytes"):
        run_main(monkeypatch, "--epochs=1", "--dataset=cifar10", "--test")
    run_main(monkeypatch, "--epochs=3", "--test")
    (accuracy,) = re.findall(r"accuracy01/test (\S+)", capsys.readouterr().out)
    assert 0.8 < float(accuracy) <= 1


@pytest.mark.parametrize(
    "options",
    [
        ["--lr=0"],
        ["--lr=-1"],
        ["--lr=nan"],
        ["--lr=inf"],
        ["--lr=fast"],
        ["--epochs=0"],
        ["--epochs=-3"],
        ["--epochs=1.5"],
        ["--batch-size=0"],
        ["--seed=-1"],
        ["--seed=1" + "0" * 30],
        ["--optimizer=rmsprop"],
        ["--scheduler=linear"],
        ["--dataset=mnist"],
        ["--learning-rate=1"],
    ],
    ids=lambda options: options[0],
)
def test_a_bad_value_is_refused_in_one_line(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    with pytest.raises(SystemExit) as exit_:
        train.parse_args()
    assert exit_.value.code == 2
    error = capsys.readouterr().err.split("train.py: error: ")[1]
    assert options[0].split("=")[0] in error
    assert error.count("\n") == 1


def test_a_loss_that_is_no_number_ends_the_run(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^train.py: the loss is nan in epoch 1: [^\n]*$"):
        run_main(monkeypatch, "--lr=1e18", "--epochs=3")
    assert "epoch 1/3" not in capsys.readouterr().out


def test_the_best_epoch_counts(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    results = iter([(1.0, 0.5), (0.8, 0.9), (0.9, 0.7)])
    monkeypatch.setattr(train, "evaluate", lambda *_: next(results))
    run_main(monkeypatch, "--epochs=3", "--scheduler=cosine")
    wandb.teardown()  # waits for the file, as the end of the process does

    rows = history(here)
    assert [row["accuracy01/valid"] for row in rows] == [0.5, 0.9, 0.7]
    assert [row["loss/valid"] for row in rows] == [1.0, 0.8, 0.9]
    assert [row["lr"] for row in rows] == pytest.approx([0.1, 0.075, 0.025])
    assert summary(here)["accuracy01/valid"] == 0.9
    (checkpoint,) = (here / "results" / "checkpoints").iterdir()
    assert checkpoint.name in {f"{record.run.run_id}.pt" for record in records(here)}
    assert torch.load(checkpoint)["epoch"] == 2


def test_a_checkpoint_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train.save(path, epoch=1)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        train.save(path, epoch=lambda: 2)
    assert torch.load(path) == {"epoch": 1}


def test_by_hand_on_a_terminal_without_an_account(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()  # W&B asks for a key only on a terminal
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--epochs=2"],
        cwd=tmp_path,
        env=stranger(tmp_path),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        try:
            out, _ = process.communicate(timeout=100)
        finally:
            process.kill()
            os.close(ours)
    assert process.returncode == 0
    assert len(re.findall(r"^epoch ", out, re.MULTILINE)) == 2
    rows = history(tmp_path)
    assert len(rows) == 2
    assert {"accuracy01/valid", "loss/train", "loss/valid", "lr"} <= rows[0].keys()
    (run,) = (record.run for record in records(tmp_path) if record.HasField("run"))
    assert run.project == train.PROJECT


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WANDB_MODE": "online"}, "WANDB_MODE=online needs an account"),
        ({"WANDB_API_KEY": "0" * 40 + "\n"}, "API key cannot start or end with whitespace"),
    ],
    ids=["no key", "bad key"],
)
def test_an_account_that_does_not_work_is_told_in_one_line(
    variables: dict[str, str], message: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    for name, value in stranger(here, **variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=rf"^train.py: [^\n]*{message}[^\n]*$") as exit_:
        run_main(monkeypatch, "--epochs=1")
    assert "0" * 40 not in str(exit_.value)


def test_a_sweep_brings_its_own_project(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(wandb, "init", lambda **given: seen.append(given["project"]))
    train.start_run({})
    monkeypatch.setenv("WANDB_SWEEP_ID", "abcd1234")
    train.start_run({})
    monkeypatch.delenv("WANDB_SWEEP_ID")
    monkeypatch.setenv("WANDB_PROJECT", "another")
    train.start_run({})
    assert seen == [train.PROJECT, None, None]


def test_sigterm_keeps_what_was_logged(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--epochs=100000"],
        cwd=tmp_path,
        env=stranger(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        try:
            assert process.stdout
            while not process.stdout.readline().startswith("epoch 3/"):
                assert process.poll() is None
            process.terminate()
            process.communicate(timeout=60)
        finally:
            watchdog.cancel()
            process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert len(history(tmp_path)) >= 3
    assert [record.exit.exit_code for record in records(tmp_path) if record.HasField("exit")] == [
        128 + signal.SIGTERM
    ]
