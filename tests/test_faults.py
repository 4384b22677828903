"""Faults of daily life: nothing is lost, nothing runs on, and one line says what happened."""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Bake
from hypertrain.results import journal
from hypertrain.show.lasting import Lasting
from hypertrain.trial.reason import has_crashed
from test_sweep import (
    COUNTING,
    command,
    environment,
    notes,
    processes_in,
    records,
    results,
    run,
    wait_until,
    write_sweep,
)

BROKEN = COUNTING.replace('note("start")', 'note("start"); assert args.a != 2, "two is broken"')
FOUR = {"a": {"values": [0, 1, 2, 3]}, "b": {"value": 0}}


@pytest.fixture
def root(bake: Bake) -> Path:
    return bake(project_name="Faults")


# What failed before


def test_failed_trials_are_tried_again_for_a_reason_only(root: Path) -> None:
    arguments = write_sweep(root, BROKEN, parameters=FOUR)
    run(root, *arguments)
    assert notes(root, "start") == Counter(["0,0", "1,0", "2,0", "3,0"])

    same = run(root, *arguments)
    assert "1 failed trial is not tried again: the program is the same (--retry" in same.stdout
    assert notes(root, "start")["2,0"] == 1
    assert same.returncode == 0

    asked = run(root, *arguments, "--retry")
    assert "1 failed trial is tried again: as --retry asks" in asked.stdout
    assert "[4/4] trial 3" in asked.stdout
    assert notes(root, "start")["2,0"] == 2

    (root / "modules" / "data.py").write_text("# not of this program\n")
    assert "not tried again" in run(root, *arguments).stdout
    mended = run(root, *write_sweep(root, COUNTING, parameters=FOUR))
    assert "1 failed trial is tried again: the program has changed" in mended.stdout
    assert notes(root, "end") == Counter(["0,0", "1,0", "2,0", "3,0"])
    assert records(root)[3]["attempt"] == 3


def test_failed_trainings_of_confirm_are_tried_again_when_asked_only(root: Path) -> None:
    seedless = "import sys, wandb\nassert 'seed' not in str(sys.argv)\nwandb.init()\n"
    program = f"{seedless}wandb.log({{'score': 1}})\n"
    arguments = write_sweep(root, program, parameters={"a": {"value": 1}})
    assert run(root, *arguments, WANDB_MODE="disabled").returncode == 0
    words = ["confirm", *arguments, "--seeds", "2", "--workers", "1"]
    again: dict[int, tuple[int, bool]] = {}
    for options in ([], [], ["--retry"]):
        done = run(root, *words, *options, WANDB_MODE="disabled")
        assert done.returncode == 1, done.stdout + done.stderr
        lines = (results(root) / "confirm" / "journal.jsonl").read_text().count('"failed"')
        again[len(again)] = (lines, "not tried again: the program is the same" in done.stdout)
    assert again[0] == (3, False)
    assert again[1][1], again
    assert again[2][0] > again[1][0], again
    assert not again[2][1], again


def test_count_is_of_trials_whatever_became_of_them(root: Path) -> None:
    arguments = write_sweep(root, BROKEN, parameters=FOUR)
    run(root, *arguments, "--count", "3")
    assert {n: one["state"] for n, one in records(root).items()} == {
        1: "completed",
        2: "completed",
        3: "failed",
    }
    assert "[4/4] trial 4" in run(root, *arguments, "--count", "4").stdout
    assert sorted(records(root)) == [1, 2, 3, 4]
    assert notes(root, "start").total() == 4


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_finite_space_needs_no_end_and_says_that_it_is_exhausted(root: Path, method: str) -> None:
    arguments = write_sweep(root, COUNTING, method=method, parameters=FOUR)
    for _ in range(2):
        done = run(root, *arguments)
        assert done.returncode == 0, done.stderr
        assert "All 4 points of the search space have been tried." in done.stdout
    assert notes(root, "start") == Counter(["0,0", "1,0", "2,0", "3,0"])


def test_a_space_that_nobody_means_to_try_whole_is_asked_for_its_end(root: Path) -> None:
    wide = {"a": {"min": 1, "max": 2000}, "b": {"value": 0}}
    done = run(root, *write_sweep(root, COUNTING, method="random", parameters=wide))
    assert done.returncode == 2
    assert "method random would end after 2,000 trials; add `run_cap: 30`" in done.stderr


# W&B's service, a process of each trial's own

LOSING = """
import argparse, os, pathlib, signal, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
run = wandb.init(config=vars(args))
def note(what):
    with open("notes.txt", "a") as file:
        file.write(f"{what} {args.a},0 {os.getpid()}\\n")
def kill_service():
    for child in pathlib.Path("/proc/self/task").glob("*/children"):
        for pid in child.read_text().split():
            if pathlib.Path("/proc", pid, "comm").read_text().startswith("wandb-core"):
                os.kill(int(pid), signal.SIGKILL)
note("start")
wandb.log({"score": args.a})
first = not pathlib.Path("lost").exists()
if args.a == 2 or (args.a == 0 and first):
    pathlib.Path("lost").touch()
    kill_service()
if args.a == 3:
    raise ConnectionResetError("by the database")
for _ in range(50):
    time.sleep(0.01)
    wandb.log({"score": args.a})
note("end")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is found in /proc")
@pytest.mark.parametrize("how", [[], ["--cold"]], ids=["warm", "cold"])
def test_a_trial_that_loses_its_service_goes_on_with_another(root: Path, how: list[str]) -> None:
    arguments = write_sweep(root, LOSING, parameters={"a": FOUR["a"]})
    done = run(root, *arguments, "--workers", "1", *how, WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trial 1 has lost W&B's service; it goes on with another" in done.stdout
    found = records(root)
    assert [found[n]["state"] for n in (1, 2, 3, 4)] == ["completed"] * 2 + ["failed"] * 2
    assert notes(root, "start") == Counter({"0,0": 2, "1,0": 1, "2,0": 3, "3,0": 1})
    assert found[4]["reason"] == "exit status 1: ConnectionResetError: by the database"


# Whoever reads the output goes away, the terminal hangs up, somebody presses Ctrl-C

ENDLESS = COUNTING.replace("range(5)", "range(5 if args.a < 2 else 6000)")


def begin(root: Path, *words: str, output: int, **environ: str) -> subprocess.Popen[bytes]:
    """A sweep whose first two trials end, and whose others do not."""
    arguments = write_sweep(root, ENDLESS, parameters=FOUR)
    return subprocess.Popen(
        [*words, *command(*arguments, "--workers", "2")],
        cwd=root,
        env=environment(WANDB_MODE="offline", **environ),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def two_are_left(root: Path) -> bool:
    return notes(root, "start").total() == 4 and notes(root, "end").total() == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nobody_reads_any_more(root: Path, number: signal.Signals) -> None:
    """As under `| head`, and under `| tee` after Ctrl-C: the pipe is closed before the end."""
    ours, theirs = os.pipe()
    process = begin(root, output=theirs)
    os.close(theirs)
    assert os.read(ours, 1000).startswith(b"config/test.yaml: ")
    os.close(ours)
    wait_until(lambda: two_are_left(root))
    (results(root) / "report.html").unlink()
    for _ in range(3 if number == signal.SIGHUP else 1):  # a shell passes on what the system sent
        process.send_signal(number)
        time.sleep(0.05)
    _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (130, b"")
    assert processes_in(root) == []
    states = [record.get("state") for record in records(root).values()]
    assert states == ["completed", "completed", None, None]
    assert (results(root) / "report.html").exists()


@pytest.mark.parametrize("buffered", [True, False])
def test_what_cannot_be_piped_is_said_on_the_terminal(buffered: bool) -> None:
    main, terminal = pty.openpty()
    ours, theirs = os.pipe()
    raw = os.fdopen(theirs, "wb", buffering=-1 if buffered else 0)
    stream = io.TextIOWrapper(raw, write_through=not buffered)
    with os.fdopen(terminal, "w") as screen:
        lasting = Lasting(stream, screen)
        lasting.write("read\n")
        lasting.flush()
        assert os.read(ours, 100) == b"read\n"
        os.close(ours)
        for line in ("first\n", "second\n"):
            lasting.write(line)
            lasting.flush()
        shown = b""
        while shown.count(b"\n") < 2:
            shown += os.read(main, 100)
        assert shown == b"first\r\nsecond\r\n"
        os.close(main)
        lasting.write("third\n")  # the terminal has hung up
        lasting.flush()
    stream.close()


def test_under_nohup_a_hangup_ends_nothing(root: Path) -> None:
    arguments = write_sweep(root, COUNTING, parameters=FOUR)
    words = ["nohup", *command(*arguments, "--workers", "1")]
    with (root / "out").open("wb") as output:
        process = subprocess.Popen(
            words, cwd=root, env=environment(), stdout=output, stderr=output, start_new_session=True
        )
    wait_until(lambda: notes(root, "end").total() >= 1)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 0
    assert notes(root, "end").total() == 4


STUBBORN = COUNTING.replace(
    "run = wandb.init",
    "import signal\nif args.a == 0:\n    signal.signal(signal.SIGTERM, lambda *_: print('asked'))\n"
    "run = wandb.init",
).replace("range(5)", "range(40 if args.a == 0 else 6000)")


def test_a_trial_that_completes_while_it_is_waited_for_counts(root: Path) -> None:
    arguments = write_sweep(root, STUBBORN, parameters={"a": {"values": [0, 1]}, "b": {"value": 0}})
    process = subprocess.Popen(
        command(*arguments, "--workers", "2"),
        cwd=root,
        env=environment(WANDB_MODE="offline"),
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    wait_until(lambda: notes(root, "start").total() == 2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping: 2 trials may take up to 15 s" in said
    assert [record.get("state") for record in records(root).values()] == ["completed", None]
    assert processes_in(root) == []


# Time that is up

HANGING = """
import argparse, signal, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
run = wandb.init()
wandb.log({"score": args.a})
if args.a == 1:
    print("a deadlock", flush=True)
    time.sleep(600)
"""


DEAF = HANGING.replace("time.sleep", "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep")


@pytest.mark.parametrize(
    "program", [HANGING, pytest.param(DEAF, marks=pytest.mark.slow)], ids=["hung", "deaf"]
)
def test_a_hung_trial_ends_and_the_sweep_goes_on(root: Path, program: str) -> None:
    arguments = write_sweep(root, program, parameters={"a": {"values": [0, 1, 2]}})
    done = run(root, *arguments, "--workers", "1", "--trial-time-limit", "5s", WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout + done.stderr
    found = records(root)
    assert [found[n]["state"] for n in (1, 2, 3)] == ["completed", "failed", "completed"]
    assert found[2]["reason"] == "ran longer than 5.0s (--trial-time-limit)"
    assert processes_in(root) == []


IMPORTING = "import argparse, wandb\nimport faulty\nwandb.init(); wandb.log({'score': 1})\n"


def with_module(root: Path, text: str) -> dict[str, str]:
    """The environment in which a module `faulty` is installed for the user."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = root / "base" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "faulty.py").write_text(text)
    return {"PYTHONUSERBASE": str(root / "base"), "PYTHONPATH": str(packages)}


@pytest.mark.parametrize("ends", ["by its limit", "by SIGKILL"])
def test_an_import_that_never_comes_back_is_not_left_behind(root: Path, ends: str) -> None:
    environ = with_module(
        root, "import time, pathlib\npathlib.Path('in').touch()\ntime.sleep(600)\n"
    )
    arguments = write_sweep(root, IMPORTING, parameters={"a": {"values": [0, 1]}})
    if ends == "by its limit":
        done = run(root, *arguments, "--time-limit", "6s", **environ)
        assert "Stopped: the time limit is reached." in done.stdout
        assert "up to 15 s" not in done.stdout, "no trial has begun"
    else:
        process = subprocess.Popen(
            command(*arguments), cwd=root, env=environment(**environ), stdout=subprocess.DEVNULL
        )
        wait_until((root / "in").exists)
        process.kill()
        process.wait()
    assert (root / "in").exists()
    wait_until(lambda: not processes_in(root), 5)


def test_an_import_that_aborts_the_process_is_named(root: Path) -> None:
    environ = with_module(root, "import os\nprint('no such device', flush=True)\nos.abort()\n")
    done = run(
        root, *write_sweep(root, IMPORTING, parameters={"a": {"values": [*range(9)]}}), **environ
    )
    assert done.returncode == 1
    assert "importing beforehand has failed: no such device" in done.stdout
    assert "every trial fails alike (killed by SIGABRT)" in done.stdout
    assert processes_in(root) == []


# Early stops


def test_a_crash_after_a_bad_value_is_a_failure(root: Path) -> None:
    crashing = """
import argparse, atexit, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
wandb.init()
atexit.register(time.sleep, 1)  # as W&B may take to end a run
for step in range(5):
    wandb.log({"score": -args.a})
    assert args.a != 5 or step < 3, "worse"
"""
    arguments = write_sweep(
        root,
        crashing,
        parameters={"a": {"values": [0, 1, 5]}},
        early_terminate={"type": "hyperband", "min_iter": 3, "eta": 2},
    )
    done = run(root, *arguments, "--workers", "1", WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout
    assert records(root)[3]["reason"] == "exit status 1: AssertionError: worse"


@pytest.mark.slow
def test_a_trial_that_is_stopped_early_has_the_time_that_the_agent_gives_it(root: Path) -> None:
    saving = """
import argparse, signal, sys, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
def save(*_):
    time.sleep(20)
    open("saved", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
wandb.init()
for step in range(40):
    wandb.log({"score": args.a})
    time.sleep(0.05)
"""
    arguments = write_sweep(
        root,
        saving,
        parameters={"a": {"values": [3, 2, 1]}},
        early_terminate={"type": "hyperband", "min_iter": 3, "eta": 2},
    )
    done = run(root, *arguments, "--workers", "1", WANDB_MODE="disabled")
    assert done.returncode == 0, done.stdout
    assert records(root)[3]["state"] == "stopped"
    assert (root / "saved").exists()


def test_what_a_dying_program_prints_last(tmp_path: Path) -> None:
    crash = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: no\n'
    file = tmp_path / "output.log"
    assert not has_crashed(file)
    for text, expected in {
        crash: True,
        f"{crash}wandb: \nwandb: Find logs at: x\n": True,
        f"{crash}epoch 1\nepoch 2\nepoch 3\nepoch 4\nepoch 5\n": False,
        f"{crash}1\n2\n3\n4\n5\n6\n{crash}": True,
        "epoch 1\n": False,
    }.items():
        file.write_text(text)
        assert has_crashed(file) == expected, text


# Disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(kib)` is a folder with so much room, and then with another."""
    there = tmp_path / "disk"
    there.mkdir()

    def sized(kib: int) -> Path:
        again = ["-o", f"remount,size={kib}k"] if there.is_mount() else ["-o", f"size={kib}k"]
        words = ["mount", "-t", "tmpfs", *again, "tmpfs", str(there)]
        if subprocess.run(words, capture_output=True).returncode:
            pytest.skip("only root can make a disk")
        return there

    yield sized
    subprocess.run(["umount", "-l", str(there)], capture_output=True)


@pytest.mark.parametrize("kib", [16, 60, 100, 400])
def test_a_full_disk_costs_what_does_not_fit(
    root: Path, small_disk: Callable[[int], Path], kib: int
) -> None:
    disk = small_disk(kib)
    (root / "results").symlink_to(disk)
    arguments = write_sweep(root, COUNTING, parameters=FOUR)
    done = run(root, *arguments, "--workers", "2", WANDB_MODE="offline")
    told = done.stderr if done.returncode else done.stdout
    assert "cannot be written: No space left on device; make room, then the same" in told, told
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in (0, 2)
    assert done.stderr.count("\n") == (1 if done.returncode else 0)
    wait_until(lambda: not processes_in(root), 5)
    before = {n for n, one in records(root).items() if one.get("state") == "completed"}
    small_disk(20_000)
    again = run(root, *arguments, "--retry", WANDB_MODE="offline")
    assert again.returncode == 0, again.stdout + again.stderr
    found = records(root)
    assert {one["state"] for one in found.values()} == {"completed"}
    assert all(found[n]["attempt"] == 1 for n in before)
    assert (results(root) / "report.html").exists()


def test_a_damaged_line_of_metrics_costs_that_line_and_is_named(root: Path) -> None:
    damage = b'{"score": 9\n\n[1]\n{"score": ' + b"9" * 400 + b"}\n\xff\n" + b"[" * 100_000 + b"\n"
    (root / "damage").write_bytes(damage)
    damaging = COUNTING.replace(
        'note("end")',
        'open(os.environ["HYPERTRAIN_METRICS"], "ab").write(open("damage", "rb").read())\n'
        'wandb.log({"score": 3})',
    )
    arguments = write_sweep(root, damaging, parameters={"a": {"value": 0}, "b": {"value": 0}})
    done = run(root, *arguments, WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("trials/1/metrics.jsonl: 5 lines are damaged and left out") == 1
    assert records(root)[1]["value"] == 3


def test_half_a_line_of_metrics_is_taken_back(tmp_path: Path) -> None:
    script = f"""
import os, resource, signal
from hypertrain.trial import record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
os.environ[record.FILE] = {str(tmp_path / "metrics.jsonl")!r}
record._note({{"score": 1.0}}, None)
resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
record._note({{"score": 2.0}}, None)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
record._note({{"score": 3.0}}, None)
"""
    package = str(Path(journal.__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": package}
    )
    assert (tmp_path / "metrics.jsonl").read_text() == '{"score": 1.0}\n{"score": 3.0}\n'


# What is wrong before the first trial


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_misspelt_mode_is_refused_before_anything_begins(root: Path) -> None:
    said = one_line(run(root, *write_sweep(root, COUNTING), WANDB_MODE="ofline"))
    assert "WANDB_MODE: 'ofline' is none of online, offline" in said
    assert "write WANDB_MODE=offline" in said
    assert not (root / "results").exists()


@pytest.mark.parametrize(
    "environ",
    [
        {"WANDB_MODE": ""},
        {"WANDB_SERVICE": "2-1234-tcp-localhost-34567"},
        {"PYTHONIOENCODING": "cp1252"},
        {"TMPDIR": "long"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_an_odd_environment_is_no_hindrance(root: Path, environ: dict[str, str]) -> None:
    if "TMPDIR" in environ:
        (root / "long" / ("x" * 120)).mkdir(parents=True)
        environ = {"TMPDIR": str(root / "long" / ("x" * 120))}
    program = "import wandb\nwandb.init(); wandb.log({'score': 1})\n"
    arguments = write_sweep(root, program, parameters={"a": {"values": ["→ 模", "b"]}})
    done = run(root, *arguments, **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert [record["state"] for record in records(root).values()] == ["completed"] * 2
    assert run(root, "leaderboard", **environ).returncode == 0


def test_a_folder_that_was_deleted(root: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    package = Path(journal.__file__).parents[2]
    words = f"cd {gone} && rmdir {gone} && exec {sys.executable} -m hypertrain"
    done = subprocess.run(
        ["sh", "-c", words],
        env=environment(PYTHONPATH=str(package)),
        capture_output=True,
        text=True,
    )
    assert "this folder has been deleted; change to the project's folder" in one_line(done)


def test_a_program_that_cannot_be_read(root: Path) -> None:
    arguments = write_sweep(root, COUNTING)
    (root / "modules" / "program.py").chmod(0)
    capabilities = "-dac_override,-dac_read_search"
    drop = ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]
    if os.getuid() == 0 and subprocess.run([*drop, "true"], capture_output=True).returncode:
        pytest.skip("root reads everything")
    done = subprocess.run(
        [*(drop if os.getuid() == 0 else []), *command(*arguments)],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert "program: modules/program.py cannot be read; run `chmod +r" in one_line(done)


def test_what_nobody_has_thought_of_is_one_line_too(root: Path) -> None:
    broken = root / "hypertrain" / "show" / "summary.py"
    broken.write_text(
        f"{broken.read_text()}\n\ndef before(*_): raise RuntimeError('two\\nlines')\n"
    )
    said = one_line(run(root, *write_sweep(root, COUNTING)))
    told = re.fullmatch(r"hypertrain: RuntimeError: two \(the traceback is in (.*)\)\n", said)
    assert told, said
    log = Path(told[1])
    assert "two\nlines" in log.read_text()
    log.unlink()
    wait_until(lambda: not processes_in(root), 5)  # what imports ends with the tuner


def test_many_parameters_fit_a_terminal(root: Path) -> None:
    many = {f"parameter_{n}": {"values": [v / 7 for v in range(100)]} for n in range(200)}
    program = "import wandb\nwandb.init(); wandb.log({'score': 1})\n"
    arguments = write_sweep(root, program, method="random", parameters=many, run_cap=3)
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = subprocess.Popen(
        command(*arguments, "--workers", "2"),
        cwd=root,
        env=environment(TERM="xterm-256color", WANDB_MODE="offline"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    with suppress(OSError):
        while new := os.read(main, 4096):
            shown += new
    os.close(main)
    assert process.wait(60) == 0
    screen = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "parameter_106=" in screen
    line = r"\[\d/3\]\s+trial\s+\d+\s+(parameter_\d+=\S+\s+){10}and\s+190\s+more"
    assert re.search(line, screen), screen
    after = screen[screen.index("Leaderboard") :].replace("\r", "")
    table, _, rest = after.partition("Repeat the best trial")
    assert len(table.splitlines()) < 15
    assert "--parameter_199=" in rest


# Others at work in the same folder


def test_two_sweeps_that_run_are_told_of_each_other(root: Path) -> None:
    def launch(name: str, value: int) -> tuple[subprocess.Popen[bytes], Path]:
        parameters = {"a": {"values": [value, value + 1]}, "b": {"value": 0}}
        arguments = write_sweep(root, ENDLESS, parameters=parameters)
        (root / "config" / "test.yaml").rename(root / "config" / f"{name}.yaml")
        words = command(*(word.replace("test.yaml", f"{name}.yaml") for word in arguments))
        with (root / f"{name}.txt").open("wb") as said:
            words += ["--workers", "1"]
            started = subprocess.Popen(words, cwd=root, env=environment(), stdout=said)
        wait_until(lambda: notes(root, "start")[f"{value},0"])
        return started, root / f"{name}.txt"

    sweeps = [launch("first", 2), launch("second", 5)]
    try:
        for (_, said), (other, _) in itertools.permutations(sweeps):
            told = rf"results/sweep-\S+ is running as well \(\S+ on \S+, process {other.pid}, "
            wait_until(lambda told=told, said=said: re.search(told, said.read_text()))
    finally:
        for started, _ in sweeps:
            started.send_signal(signal.SIGINT)
            started.wait()
    assert all(said.read_text().count("is running as well") == 1 for _, said in sweeps)
    one = {"a": {"value": 1}, "b": {"value": 1}}
    alone = run(root, *write_sweep(root, COUNTING, parameters=one))
    assert "is running as well" not in alone.stdout


def test_a_sweep_that_another_machine_has_not_closed(root: Path) -> None:
    arguments = write_sweep(root, COUNTING, parameters={"a": {"value": 1}, "b": {"value": 5}})
    assert "was not closed" not in run(root, *arguments).stdout
    assert "was not closed" not in run(root, *arguments).stdout
    (results(root) / "lock").write_text("eve on gpu-7, process 12, since 2026-01-01 10:00:00\n")
    said = run(root, *arguments).stdout
    assert "was not closed by eve on gpu-7, process 12, since 2026-01-01 10:00:00; if that" in said


# Names and secrets


def test_runs_of_two_people_have_ids_of_their_own(root: Path, bake: Bake) -> None:
    """The same file in the same project of W&B, from two clones; each attempt keeps its name."""
    ids: list[str] = []
    for folder in (root, bake(project_name="Faults again")):
        arguments = write_sweep(folder, BROKEN, project="shared", parameters=FOUR)
        for words in (arguments, [*arguments, "--retry"]):
            assert run(folder, *words, WANDB_MODE="offline").returncode == 0
        ids += [one.name.split("-", 3)[3] for one in results(folder).glob("wandb/offline-run-*")]
    assert len(ids) == len(set(ids)) == 10
    assert sum(re.search(r"-3-2$", one) is not None for one in ids) == 2


def test_a_secret_is_told_to_the_trial_alone(root: Path) -> None:
    program = "import os, sys, wandb\nassert sys.argv[1] == '--key=s3cr3t-value'\n"
    program += (
        "wandb.init(mode='disabled'); wandb.log({'score': 1}); assert '--a=2' not in sys.argv\n"
    )
    words = ["${env}", "${interpreter}", "${program}", "--key=${envvar:API_KEY}", "${args}"]
    arguments = write_sweep(root, program, command=words, parameters={"a": {"values": [1, 2]}})
    done = run(root, *arguments, API_KEY="s3cr3t-value")
    assert [record["state"] for record in records(root).values()] == ["completed", "failed"]
    looked = run(root, "leaderboard", "--json", API_KEY="s3cr3t-value")
    assert '--key="$API_KEY"' in done.stdout
    for text in (done.stdout, done.stderr, looked.stdout):
        assert "s3cr3t" not in text
    for file in results(root).rglob("*"):
        assert not file.is_file() or b"s3cr3t" not in file.read_bytes(), file


IN_OWN_FOLDER = """
import argparse, os, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
os.makedirs("logs", exist_ok=True)
run = wandb.init(dir="logs")
run.summary["score"] = args.a
with open("notes.txt", "a") as file:
    file.write(f"{run.name} {run.group}\\n")
"""


@pytest.mark.parametrize("how", [[], ["--cold"]], ids=["warm", "cold"])
def test_a_run_in_a_folder_of_the_programs_choice_is_found(root: Path, how: list[str]) -> None:
    arguments = write_sweep(root, IN_OWN_FOLDER, parameters={"a": {"values": [3]}})
    own = {"WANDB_RUN_GROUP": "ablation", "WANDB_NAME": "mine"}
    done = run(root, *arguments, *how, WANDB_MODE="offline", **own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert records(root)[1]["value"] == 3
    assert (root / "notes.txt").read_text() == "mine ablation\n"
    (kept,) = root.glob("logs/wandb/offline-run-*/*.wandb")
    (link,) = root.glob("results/*/wandb/offline-run-*/*.wandb")
    assert link.resolve() == kept.resolve()


HUGE = """
import argparse, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
parser.add_argument("--seed", type=int)
args = parser.parse_args()
wandb.init()
wandb.log({"score": 1e200 if args.seed == 2 else args.a})
"""


def test_values_too_large_for_statistics_end_no_sweep(root: Path) -> None:
    parameters = {"a": {"values": [1, 2]}, "seed": {"values": [1, 2, 3]}}
    done = run(root, *write_sweep(root, HUGE, parameters=parameters))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[6/6]" in done.stdout
    assert "1e+200" in done.stdout


SAVES_AND_EXITS = """
import argparse, signal, sys, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
wandb.init()
for step in range(100):
    wandb.log({"score": step})
    time.sleep(0.2)
"""


def test_what_is_ended_by_its_time_limit_has_failed_whatever_its_status(root: Path) -> None:
    arguments = write_sweep(root, SAVES_AND_EXITS, parameters={"a": {"values": [1]}})
    done = run(root, *arguments, "--trial-time-limit", "2s")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed: ran longer than 2.0s (--trial-time-limit)" in done.stdout
