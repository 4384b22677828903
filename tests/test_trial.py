"""One trial as a process: whose command starts warm, what outlives it, why it failed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest
from conftest import Bake
from hypertrain.trial import keeper
from hypertrain.trial.interpreter import python_program
from hypertrain.trial.process import (
    BEGUN,
    ENDED,
    LOST,
    Event,
    Launch,
    WithoutKeeper,
    Worker,
    cold_workers,
    detached,
)
from hypertrain.trial.reason import failure
from test_sweep import environment, records, wait_until, write_sweep

HERE = Path(sys.executable).parent


# ---- which commands are a Python program of this interpreter

WARM = {
    "python train.py --a=1": ("python train.py", "--a=1"),
    "/usr/bin/env python train.py": ("python train.py", ""),
    "python3 -u train.py fit --a=1": ("python3 -u train.py", "fit --a=1"),
    "python -W error -Xdev -OO train.py --a=1": ("python -W error -Xdev -OO train.py", "--a=1"),
    "python -m package.train --a=1": ("python -m package.train", "--a=1"),
    "python -u -mpackage.train --a=1": ("python -u -mpackage.train", "--a=1"),
    f"{HERE}/python train.py": (f"{HERE}/python train.py", ""),
}
COLD = [
    "./train.py",
    "python",
    "python -",
    "python missing.py",
    "python -c pass",
    "python -I train.py",
    "python -E train.py",
    "python -m",
    "/bin/sh train.py",
    "torchrun train.py",
    "nice python train.py",
    "/elsewhere/python train.py",
    "",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    return tmp_path


def environ() -> dict[str, str]:
    return {**os.environ, "PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("line", WARM)
def test_a_program_of_this_python(folder: Path, line: str) -> None:
    found = python_program(line.split(), environ())
    assert found
    start, arguments = WARM[line]
    assert (list(found.start), list(found.arguments)) == (start.split(), arguments.split())
    assert found.is_module == ("-m" in start)
    assert found.program == ("package.train" if found.is_module else "train.py")


@pytest.mark.parametrize("line", COLD)
def test_what_is_no_program_of_this_python(folder: Path, line: str) -> None:
    assert python_program(line.split(), environ()) is None


def test_the_python_of_another_environment_is_not_this_one(folder: Path) -> None:
    other = folder / "bin"
    other.mkdir()
    (other / "python").symlink_to(sys.executable)
    assert python_program(["python", "train.py"], {"PATH": str(other)}) is None


# ---- what becomes of a trial


@pytest.fixture
def events() -> SimpleQueue[Event]:
    return SimpleQueue()


@pytest.fixture
def worker(events: SimpleQueue[Event]) -> Iterator[Worker]:
    (worker,) = cold_workers(1, events)
    yield worker
    worker.kill()
    worker.close()


def launch(folder: Path, script: str, *words: str, **environ: str) -> Launch:
    command = [sys.executable, "-c", script, *words]
    return Launch(command, None, {**os.environ, **environ}, str(folder / "output.log"))


def result(events: SimpleQueue[Event], seconds: float = 30) -> tuple[str, object]:
    kind = ""
    while kind not in (ENDED, LOST):
        event = events.get(timeout=seconds)
        kind = event.kind
    return kind, event.about


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not path.exists() or not path.read_text().endswith("\n"):
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)
    return path.read_text()


ENDINGS = {
    "pass": 0,
    "raise SystemExit(3)": 3,
    "import os; os._exit(9)": 9,
    "import os; os.abort()": -signal.SIGABRT,
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": -signal.SIGKILL,
}


@pytest.mark.parametrize(("script", "code"), ENDINGS.items())
def test_exit_codes(
    tmp_path: Path, worker: Worker, events: SimpleQueue[Event], script: str, code: int
) -> None:
    worker.start(launch(tmp_path, script))
    assert result(events) == (ENDED, code)


def test_a_command_that_does_not_exist(
    tmp_path: Path, worker: Worker, events: SimpleQueue[Event]
) -> None:
    worker.start(Launch(["no-such-command"], None, {**os.environ}, str(tmp_path / "output.log")))
    assert result(events) == (ENDED, 127)
    reason = failure(127, tmp_path / "output.log")
    assert reason == "exit status 127: no-such-command: No such file or directory"


# A process that leaves the group and the session of the trial, and a grandchild of such a one.
DAEMON = """
import os, subprocess, sys
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
first = subprocess.Popen(sleep, start_new_session=True, stdout=subprocess.DEVNULL)
second = subprocess.run(
    [sys.executable, "-c", "import subprocess, sys; print(subprocess.Popen(sys.argv[1:],"
     " start_new_session=True, stdout=subprocess.DEVNULL).pid)", *sleep],
    stdout=subprocess.PIPE, text=True)
with open(sys.argv[1], "w") as file:
    print(os.getpid(), first.pid, second.stdout.strip(), file=file)
"""
needs_subreaper = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")


@needs_subreaper
def test_nothing_outlives_a_trial_that_ends(
    tmp_path: Path, worker: Worker, events: SimpleQueue[Event]
) -> None:
    worker.start(launch(tmp_path, DAEMON, str(tmp_path / "pids")))
    assert result(events) == (ENDED, 0)
    assert not [pid for pid in wait_for(tmp_path / "pids").split() if alive(int(pid))]


@needs_subreaper
def test_nothing_outlives_a_trial_that_is_killed(
    tmp_path: Path, worker: Worker, events: SimpleQueue[Event]
) -> None:
    worker.start(
        launch(tmp_path, f"{DAEMON}\nimport time; time.sleep(600)", str(tmp_path / "pids"))
    )
    pids = wait_for(tmp_path / "pids").split()
    worker.kill()
    assert result(events) == (ENDED, -signal.SIGKILL)
    assert not [pid for pid in pids if alive(int(pid))]


# A keeper on a system like macOS, which tells it of none but its own children.
ELSEWHERE = """
import socket, sys
from hypertrain.trial import keeper
keeper._descendants = lambda ancestor: []
keeper._inherit_orphans = lambda: None
keeper.keep(keeper.Channel(socket.socket(fileno=int(sys.argv[1]))))
"""
CHILD = """
import subprocess, sys
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
print(subprocess.Popen(sleep).pid, file=open(sys.argv[1], "w"))
"""


def test_where_orphans_are_not_inherited_the_group_is_ended(
    tmp_path: Path, events: SimpleQueue[Event]
) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        words = [sys.executable, "-c", ELSEWHERE, str(theirs.fileno())]
        environ = {**os.environ, "PYTHONPATH": str(Path(keeper.__file__).parents[2])}
        started = detached(words, environ, [theirs.fileno()], subprocess.DEVNULL)
    worker = Worker(ours, events, started)
    worker.start(launch(tmp_path, CHILD, str(tmp_path / "pid")))
    assert result(events) == (ENDED, 0)
    pid = int(wait_for(tmp_path / "pid"))
    wait_until(lambda: not alive(pid))
    worker.close()
    worker.wait()
    assert started.poll() == 0


STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("ready", file=open(sys.argv[1], "w"), flush=True)
end = time.monotonic() + 600
while time.monotonic() < end:
    time.sleep(0.1)
"""


def test_a_trial_is_asked_first(tmp_path: Path, worker: Worker, events: SimpleQueue[Event]) -> None:
    worker.start(launch(tmp_path, STUBBORN, str(tmp_path / "ready")))
    wait_for(tmp_path / "ready")
    worker.terminate()
    wait_for(tmp_path / "output.log")
    assert (tmp_path / "output.log").read_text() == "asked\n"
    worker.kill()
    assert result(events) == (ENDED, -signal.SIGKILL)


@needs_subreaper
def test_nothing_outlives_a_tuner_that_is_killed(tmp_path: Path) -> None:
    """Not the trial, which ignores SIGTERM, nor what has left its session; its keeper ends them."""
    script = tmp_path / "trial.py"
    ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    script.write_text(f"{ignoring}{DAEMON}\ntime.sleep(600)\n")
    tuner = """
import os, sys, time
from queue import SimpleQueue
from hypertrain.trial import keeper, process
(worker,) = process.cold_workers(1, SimpleQueue())
worker.start(process.Launch(sys.argv[1:], None, {**os.environ}, os.devnull))
time.sleep(600)
"""
    package = str(Path(failure.__code__.co_filename).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", tuner, sys.executable, str(script), str(tmp_path / "pids")],
        env={**os.environ, "PYTHONPATH": package},
    )
    pids = [int(pid) for pid in wait_for(tmp_path / "pids").split()]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30  # the grace, and some
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@needs_subreaper
def test_a_trial_does_not_outlive_its_keeper(
    tmp_path: Path, worker: Worker, events: SimpleQueue[Event]
) -> None:
    pid = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w'), flush=True)"
    worker.start(launch(tmp_path, f"{pid}; time.sleep(600)", str(tmp_path / "pid")))
    trial = int(wait_for(tmp_path / "pid"))
    keeper = int(Path(f"/proc/{trial}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(keeper, signal.SIGKILL)
    assert result(events)[0] == LOST
    deadline = time.monotonic() + 10
    while alive(trial):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_trial_after_the_other(
    tmp_path: Path, worker: Worker, events: SimpleQueue[Event]
) -> None:
    for number in range(3):
        worker.start(launch(tmp_path, f"raise SystemExit({number})"))
        assert events.get(timeout=30) == Event(worker, BEGUN, "cold")
        assert result(events) == (ENDED, number)


# ---- why it failed

CHAIN = """\
Traceback (most recent call last):
  File "train.py", line 2, in <module>
    open("data.csv")
FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "train.py", line 4, in <module>
    raise RuntimeError("cannot start") from error
RuntimeError: cannot start
"""
REASONS = {
    "the data is missing": "the data is missing",
    CHAIN: "FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'",
    CHAIN.replace("The above exception was the direct cause of the following", "During handling of "
                  "the above exception, another"): "RuntimeError: cannot start",
    # Of several lines the first, and none of W&B's after it.
    "Traceback (most recent call last):\n  File \"a.py\"\nmodule.SizeError: sizes differ:\n"
    "\tleft is 3\n\tright is 4\nwandb: \nwandb: Find logs at: x\n":
        "module.SizeError: sizes differ:",
    "\x1b[31mTraceback (most recent call last):\x1b[0m\n  File\n\x1b[31mValueError\x1b[0m: no\n":
        "ValueError: no",
    # Of several processes that failed the one that did, not the one that tells of it.
    "[rank1]: Traceback (most recent call last):\n[rank1]:   File\n[rank1]: KeyError: 'x'\n"
    "Traceback (most recent call last):\n  File \"b.py\"\n"
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n====\n": "KeyError: 'x'",
    "0 of 3 Traceback (most recent call last):\n  File \"a.py\"\nValueError: no\nbye\n":
        "ValueError: no",
    "usage: train.py [-h]\ntrain.py: error: unrecognized arguments: --x=1\n":
        "train.py: error: unrecognized arguments: --x=1",
    "epoch 1\r 50%|##  |\r100%|####|\nout of patience\n": "out of patience",
    "wandb: Synced\n": None,
    "": None,
}  # fmt: skip


@pytest.mark.parametrize(("output", "reason"), REASONS.items())
def test_the_reason_of_a_failure(tmp_path: Path, output: str, reason: str | None) -> None:
    (tmp_path / "output.log").write_text(output)
    said = "exit status 1" + (f": {reason}" if reason else "")
    assert failure(1, tmp_path / "output.log") == said


def test_a_signal_is_told_by_its_name(tmp_path: Path) -> None:
    log = tmp_path / "output.log"
    assert failure(-9, log) == failure(137, log) == "killed by SIGKILL (out of memory?)"
    assert failure(-11, log) == failure(139, log) == "killed by SIGSEGV"
    assert failure(200, log) == "exit status 200"
    assert failure(0, log) is None


# ---- where a process cannot fork: Windows

WITHOUT_FORK = """
import os, runpy, signal
del os.fork, signal.SIGHUP
runpy.run_module("hypertrain", run_name="__main__", alter_sys=True)
"""
ENDS = """
import argparse, sys, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
wandb.init()
wandb.log({"score": args.a})
if args.a == 2:
    sys.exit("not two")
"""


def test_without_fork_a_sweep_runs_all_the_same(bake: Bake) -> None:
    root = bake(project_name="Without fork")
    arguments = write_sweep(root, ENDS, parameters={"a": {"values": [1, 2, 3]}})
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FORK, *arguments, "--workers", "2"],
        cwd=root,
        env=environment(WANDB_MODE="offline"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "each a new process: this system cannot fork" in done.stdout
    found = records(root)
    assert [found[n]["state"] for n in (1, 2, 3)] == ["completed", "failed", "completed"]
    assert found[2]["reason"] == "exit status 1: not two"
    assert (found[1]["value"], found[3]["value"]) == (1, 3)


@pytest.mark.parametrize(("end", "code"), [(Worker.terminate, -15), (Worker.kill, -9)])
def test_without_a_keeper_a_trial_can_be_ended(
    end: Callable[[Worker], None], code: int, folder: Path, events: SimpleQueue[Event]
) -> None:
    worker, output = WithoutKeeper(events), folder / "output.log"
    worker.start(launch(folder, "print('running', flush=True); import time; time.sleep(600)"))
    wait_until(lambda: output.exists() and "running" in output.read_text(), 60)
    getattr(worker, end.__name__)()
    assert result(events) == (ENDED, code)
    assert (folder / "exit").read_text() == f"{code}\n"


def test_without_a_keeper_what_cannot_be_started_says_so(
    folder: Path, events: SimpleQueue[Event]
) -> None:
    worker = WithoutKeeper(events)
    worker.start(replace(launch(folder, ""), words=["no-such-program"]))
    assert result(events) == (ENDED, 127)
    assert (folder / "output.log").read_text() == "no-such-program: No such file or directory\n"
