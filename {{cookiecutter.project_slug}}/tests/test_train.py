"""The training script, as a user, a sweep and a platform that stops it see it."""

import importlib
import itertools
import json
import os
import pickle
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import wandb
from torch import Tensor, nn
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

import data
import train
from model import ConvNet

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


@pytest.fixture
def tiny() -> tuple[ConvNet, data.Split]:
    """A model as it starts, and a set that all of it can be looked at."""
    torch.manual_seed(0)
    images = torch.randint(256, (50, 1, 8, 8), dtype=torch.uint8)
    return ConvNet(1, data.CLASSES), data.Split(images, torch.arange(50) % data.CLASSES)


def test_each_epoch_takes_every_sample_once_in_an_order_of_its_own(
    tiny: tuple[ConvNet, data.Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, samples = tiny
    seen: list[Tensor] = []

    def predict(_: nn.Module, images: Tensor) -> Tensor:
        assert model.training
        seen.extend(images)
        scores: Tensor = model(images)
        return scores

    monkeypatch.setattr(train, "predict", predict)
    optimizer = train.make_optimizer("sgd", model, lr=0.1)
    scheduler = train.make_scheduler("const", optimizer, steps=14)
    for _ in range(2):
        train.train_epoch(model, samples, optimizer, scheduler, batch_size=8)

    position = {image.numpy().tobytes(): number for number, image in enumerate(samples.images)}
    order = [position[image.numpy().tobytes()] for image in seen]
    first, second, unshuffled = order[:50], order[50:], list(range(50))
    assert sorted(first) == sorted(second) == unshuffled
    assert first != second
    assert unshuffled not in (first, second)


def test_a_measurement_changes_nothing_and_depends_on_no_batch(
    tiny: tuple[ConvNet, data.Split],
) -> None:
    model, samples = tiny
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loss, accuracy = train.evaluate(model, samples)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    alone = [
        train.evaluate(model, data.Split(*(part[n : n + 1] for part in samples))) for n in range(50)
    ]
    assert np.mean([loss for loss, _ in alone]) == pytest.approx(loss, rel=1e-5)
    assert np.mean([hit for _, hit in alone]) == pytest.approx(accuracy)


def test_of_equal_epochs_the_first_is_the_best(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = iter([(1.0, 0.5), (0.9, 0.7), (0.8, 0.7)])
    monkeypatch.setattr(train, "evaluate", lambda *_: next(results))
    run_main(monkeypatch, "--epochs=3")
    (checkpoint,) = (here / "results" / "checkpoints").iterdir()
    assert torch.load(checkpoint)["epoch"] == 2


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


# --- going on where it was cut off ----------------------------------------------------------------


@pytest.fixture
def logged(here: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, float]]]:
    """(step, metrics) of all that is logged, exactly; every training goes by the name `mine`."""
    seen: list[tuple[int, dict[str, float]]] = []
    disabled = importlib.import_module("wandb.sdk.lib.noop_run").NoopRun
    monkeypatch.setattr(
        disabled, "log", lambda _, metrics, step, commit: seen.append((step, metrics))
    )
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    return seen


def cut_off(monkeypatch: pytest.MonkeyPatch, call: str, nth: int, *options: str) -> None:
    """Train until `call`, a function of train.py, is called for the `nth` time."""
    function, calls = getattr(train, call), itertools.count(1)

    def die(*args: object, **kwargs: object) -> object:
        if next(calls) == nth:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(train, call, die)
        with pytest.raises(KeyboardInterrupt):
            run_main(monkeypatch, *options)


def best_model(here: Path) -> dict[str, Tensor]:
    """Of the training that has just ended; it leaves nothing else."""
    (checkpoint,) = (here / "results" / "checkpoints").iterdir()
    model: dict[str, Tensor] = torch.load(checkpoint)["model"]
    checkpoint.unlink()
    return model


@pytest.mark.parametrize("options", [[], ["--optimizer=adam", "--scheduler=cosine"]], ids=str)
def test_a_training_goes_on_bit_for_bit(
    options: list[str],
    here: Path,
    logged: list[tuple[int, dict[str, float]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--epochs=6", "--test", *options]
    run_main(monkeypatch, *options)
    whole, model, shown = logged.copy(), best_model(here), capsys.readouterr().out
    assert [step for step, _ in whole] == [1, 2, 3, 4, 5, 6]

    logged.clear()
    cut_off(monkeypatch, "train_epoch", 3, *options)  # two epochs are done
    cut_off(monkeypatch, "evaluate", 3, *options)  # two more
    cut_off(monkeypatch, "load_test", 1, *options)  # before it has begun
    run_main(monkeypatch, *options)
    assert logged == whole
    again = best_model(here)
    assert all(torch.equal(again[name], value) for name, value in model.items())
    lines = [line for line in capsys.readouterr().out.splitlines() if "going on" not in line]
    assert lines == shown.splitlines()


def test_what_was_logged_but_not_saved_is_logged_again_at_its_step(
    here: Path, logged: list[tuple[int, dict[str, float]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = train.save, itertools.count(1)

    def die(path: Path, **state: object) -> None:
        if path.suffix == ".state" and next(calls) == 2:
            raise KeyboardInterrupt
        save(path, **state)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "save", die)
        run_main(monkeypatch, "--epochs=3")
    run_main(monkeypatch, "--epochs=3")
    assert [step for step, _ in logged] == [1, 2, 2, 3]
    assert logged[1] == logged[2]


def test_in_a_sweep_that_did_not_see_it_end_it_trains_nothing_again(
    here: Path,
    logged: list[tuple[int, dict[str, float]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "abcd1234")
    for _ in range(2):
        run_main(monkeypatch, "--epochs=2", "--test")
    assert [step for step, _ in logged] == [1, 2]
    first, again = capsys.readouterr().out.split("going on after epoch 2\n")
    assert first.splitlines()[-2:] == again.splitlines()


def another_seed(_: Path) -> list[str]:
    return ["--epochs=3", "--seed=1"]


def cut(state: Path) -> list[str]:
    state.write_bytes(state.read_bytes()[:-1000])
    return ["--epochs=3"]


def empty(state: Path) -> list[str]:
    state.write_bytes(b"")
    return ["--epochs=3"]


def one_bit(state: Path) -> list[str]:
    """In the middle, among the weights, where PyTorch reads on."""
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    assert torch.load(state)["epoch"] == 2
    return ["--epochs=3"]


def a_model(state: Path) -> list[str]:
    state.write_bytes(state.with_suffix(".pt").read_bytes())
    return ["--epochs=3"]


@pytest.mark.parametrize("spoil", [another_seed, cut, empty, one_bit, a_model])
def test_a_state_that_is_damaged_or_not_its_own_is_not_taken(
    spoil: Callable[[Path], list[str]],
    here: Path,
    logged: list[tuple[int, dict[str, float]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cut_off(monkeypatch, "train_epoch", 3, "--epochs=3")
    options = spoil(here / "results" / "checkpoints" / "mine.state")
    logged.clear()
    run_main(monkeypatch, *options)
    assert [step for step, _ in logged] == [1, 2, 3]
    assert (
        "mine.state is damaged or of another training: beginning anew\n" in capsys.readouterr().out
    )
    resumed, model = logged.copy(), best_model(here)

    logged.clear()
    run_main(monkeypatch, *options)
    assert resumed == logged
    assert all(torch.equal(value, model[name]) for name, value in best_model(here).items())


def test_other_code_begins_anew(
    here: Path, logged: list[tuple[int, dict[str, float]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(monkeypatch, "train_epoch", 3, "--epochs=3")
    logged.clear()
    monkeypatch.setattr(train, "code", lambda: "edited")
    run_main(monkeypatch, "--epochs=3")
    assert [step for step, _ in logged] == [1, 2, 3]


def test_the_fingerprint_of_the_code_is_of_every_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [path.name for path in SCRIPT.parent.glob("*.py")]
    assert {"train.py", "data.py", "model.py"} <= set(names)
    for name in names:
        shutil.copy(SCRIPT.with_name(name), tmp_path)
    before = train.code()
    monkeypatch.setattr(train, "__file__", str(tmp_path / SCRIPT.name))
    for name in names:
        assert train.code() == before
        source = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(source + b"\n")
        assert train.code() != before
        (tmp_path / name).write_bytes(source)


def test_without_its_best_model_it_begins_anew(
    here: Path, logged: list[tuple[int, dict[str, float]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(monkeypatch, "train_epoch", 3, "--epochs=3")
    (here / "results" / "checkpoints" / "mine.pt").unlink()
    run_main(monkeypatch, "--epochs=3")
    assert [step for step, _ in logged] == [1, 2, 1, 2, 3]


def test_killed_by_the_system_it_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--epochs=6"]
    environ = stranger(tmp_path, WANDB_RUN_ID="mine", WANDB_MODE="offline")
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environ,
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
        finally:
            watchdog.cancel()
            process.kill()
    again = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=True
    )
    begun = re.match(r"going on after epoch (\d)\n", again.stdout)
    assert begun
    assert 2 <= int(begun[1]) <= 5
    epochs = [int(number) for number in re.findall(r"^epoch (\d)/6", again.stdout, re.MULTILINE)]
    assert epochs == list(range(int(begun[1]) + 1, 7))
    assert [path.name for path in (tmp_path / "results" / "checkpoints").iterdir()] == ["mine.pt"]


# --- by hand, in a sweep, on a platform -----------------------------------------------------------


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
        ({"WANDB_API_KEY": "0" * 39}, "API key"),
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
    assert "0" * 39 not in str(exit_.value)


@pytest.mark.parametrize("around", ["{}\n", " {}\r\n", "{}"])
def test_what_surrounds_the_key_is_taken_off(
    around: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", around.format("0" * 40))
    seen = []

    def login(**_: object) -> bool:  # without asking the server
        seen.append(wandb.setup().settings.api_key)
        return True

    monkeypatch.setattr(wandb, "login", login)
    monkeypatch.setattr(wandb, "init", lambda **_: None)
    train.start_run({})
    assert seen == ["0" * 40]


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
