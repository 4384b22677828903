"""`python -m hypertrain`: real sweeps, really run, killed, resumed and broken."""

from __future__ import annotations

import json
import os
import platform
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from wandb_api import serve

# A program that notes each start and each full end, so that a test can count them.
COUNTING = """
import argparse, os, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
parser.add_argument("--b", type=int)
args = parser.parse_args()
run = wandb.init(config=vars(args))
point = f"{args.a},{args.b}"
def note(what):
    with open("notes.txt", "a") as file:
        file.write(f"{what} {point} {os.getpid()}\\n")
note("start")
for step in range(5):
    time.sleep(0.04)
    wandb.log({"score": args.a * 10 + args.b - 4 + step})
note("end")
"""


@pytest.fixture
def root(bake: Bake) -> Path:
    return bake(project_name="Sweep test")


def write_sweep(root: Path, program: str, **sweep: Any) -> list[str]:
    """Give the project a program and its sweep file; return the arguments that name it."""
    (root / "modules" / "program.py").write_text(program)
    whole = {
        "program": "modules/program.py",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"a": {"values": [0, 1, 2, 3]}, "b": {"values": [0, 1, 2]}},
        **sweep,
    }
    (root / "config" / "test.yaml").write_text(yaml.safe_dump(whole))
    return ["--sweep", "config/test.yaml"]


def environment(**more: str) -> dict[str, str]:
    """No account, no settings of whoever runs the tests."""
    ours = ("WANDB_", "OMP_", "NETRC")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "HOME": "/nonexistent", "NETRC": os.devnull, **more}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hypertrain", *arguments]


def run(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=root,
        env=environment(**environ),
        capture_output=True,
        text=True,
        timeout=150,
        stdin=subprocess.DEVNULL,
    )


def results(root: Path) -> Path:
    (folder,) = (root / "results").glob("sweep-*")
    return folder


def records(root: Path) -> dict[int, dict[str, Any]]:
    lines = (results(root) / "journal.jsonl").read_text().splitlines()
    return {line["number"]: line for line in map(json.loads, lines)}


def notes(root: Path, what: str) -> Counter[str]:
    path = root / "notes.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(line.split()[1] for line in lines if line.startswith(what))


def processes_in(root: Path) -> list[str]:
    """Command lines of the processes that work in this project."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == root.resolve():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def wait_until(condition: Any, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def kill_everything(root: Path) -> None:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == root.resolve():
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


ALL_POINTS = Counter(f"{a},{b}" for a in range(4) for b in range(3))


# The whole thing, as a new user meets it


def test_the_guides_sweep_finds_the_best_of_twelve_trained_models(root: Path) -> None:
    done = run(root, "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    found = records(root)
    assert len(found) == 12
    assert {record["state"] for record in found.values()} == {"completed"}
    points = {tuple(sorted(record["params"].items())) for record in found.values()}
    assert len(points) == 12
    offline = list((results(root) / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(offline) == 12

    page = (results(root) / "report.html").read_text()
    assert "; ended; written" in page

    best = max(record["value"] for record in found.values())
    assert best > 0.95
    firsts = sum(record["value"] == best for record in found.values())
    equals = f" (one of {firsts} equals)" if firsts > 1 else ""
    repeat = re.search(rf"^Repeat the best trial{re.escape(equals)}:\n  (.*)\n", done.stdout, re.M)
    assert repeat, done.stdout
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    again = subprocess.run(
        repeat[1],
        shell=True,
        cwd=root,
        env=environment(PATH=path, WANDB_MODE="disabled", OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"best accuracy01/valid {best:.4f}" in again.stdout, again.stdout + again.stderr

    second = run(root, "--workers", "2")
    assert second.returncode == 0
    assert "Done already: 12 trials" in second.stdout
    assert records(root) == found


def test_on_a_terminal_the_progress_is_live(root: Path) -> None:
    arguments = write_sweep(root, COUNTING)
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        command(*arguments, "--workers", "2"),
        cwd=root,
        env=environment(TERM="xterm-256color", COLUMNS="120"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            shown += os.read(main, 4096)
        except OSError:
            break
    assert process.wait(60) == 0
    screen = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "\x1b[" in shown.decode()
    assert re.search(r"running +score +time", screen)
    assert re.search(r"best so far +trial \d+", screen)
    assert "left" in screen
    assert "Leaderboard" in screen
    assert notes(root, "end") == ALL_POINTS


# Nothing is lost, nothing is run twice


@pytest.mark.parametrize("ended_before", [0, 1, 5])
def test_after_sigkill_of_everything_the_same_command_goes_on(
    root: Path, ended_before: int
) -> None:
    arguments = write_sweep(root, COUNTING)
    first = subprocess.Popen(
        command(*arguments, "--workers", "2"),
        cwd=root,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: notes(root, "start") and notes(root, "end").total() >= ended_before)
    kill_everything(root)
    first.wait()
    completed = {n for n, record in records(root).items() if record.get("state")}

    second = run(root, *arguments, "--workers", "2")
    assert second.returncode == 0, second.stdout + second.stderr
    found = records(root)
    assert sorted(found) == list(range(1, 13))
    assert {record["state"] for record in found.values()} == {"completed"}
    assert all(found[number]["attempt"] == 1 for number in completed)
    # A trial may have ended in the instant before the journal knew: only such a one ran again.
    again = notes(root, "end") - ALL_POINTS
    assert again.total() <= 2
    assert notes(root, "end") - again == ALL_POINTS


def test_a_journal_cut_short_loses_only_what_was_being_written(root: Path) -> None:
    arguments = write_sweep(root, COUNTING, parameters={"a": {"values": [0, 1]}, "b": {"value": 0}})
    assert run(root, *arguments).returncode == 0
    journal = results(root) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-7])
    assert run(root, *arguments).returncode == 0
    assert sorted(records(root)) == [1, 2]
    # The keeper's own note of the exit code stands in for the line: nothing is trained twice.
    assert notes(root, "end").total() == 2


def test_ctrl_c_ends_the_trials_and_says_how_to_go_on(root: Path) -> None:
    arguments = write_sweep(root, COUNTING)
    process = subprocess.Popen(
        command(*arguments, "--workers", "2"),
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: notes(root, "end").total() >= 2)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "The same command goes on where it stopped" in said
    assert "Traceback" not in said
    assert processes_in(root) == []
    completed = {n for n, record in records(root).items() if record.get("state")}
    assert len(completed) < 12
    assert run(root, *arguments, "--workers", "2").returncode == 0
    found = records(root)
    assert {record["state"] for record in found.values()} == {"completed"}
    assert all(found[number]["attempt"] == 1 for number in completed)
    # A trial may have been stopped in its last instant: only such a one ran again.
    again = notes(root, "end") - ALL_POINTS
    assert again.total() <= 2
    assert notes(root, "end") - again == ALL_POINTS


def test_trials_do_not_outlive_a_killed_tuner(root: Path) -> None:
    forever = COUNTING.replace("time.sleep(0.04)", "time.sleep(600)")
    arguments = write_sweep(root, forever, parameters={"a": {"values": [1, 2]}, "b": {"value": 0}})
    process = subprocess.Popen(
        command(*arguments, "--workers", "2"),
        cwd=root,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: notes(root, "start").total() == 2)
    process.kill()
    process.wait()
    wait_until(lambda: not processes_in(root))


def test_a_second_tuner_on_the_same_sweep_is_refused(root: Path) -> None:
    arguments = write_sweep(root, COUNTING)
    first = subprocess.Popen(
        command(*arguments), cwd=root, env=environment(), stdout=subprocess.DEVNULL
    )
    wait_until(lambda: notes(root, "start"))
    second = run(root, *arguments)
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "another `python -m hypertrain` runs this sweep" in second.stderr
    assert first.wait(60) == 0
    assert notes(root, "end") == ALL_POINTS


def test_a_changed_sweep_file_starts_a_new_sweep_and_says_so(root: Path) -> None:
    small = {"a": {"values": [0]}, "b": {"value": 0}}
    run(root, *write_sweep(root, COUNTING, parameters=small))
    changed = run(root, *write_sweep(root, COUNTING, parameters={**small, "b": {"value": 1}}))
    assert "a new sweep" in changed.stdout
    assert len(list((root / "results").glob("sweep-*"))) == 2
    assert notes(root, "end") == Counter(["0,0", "0,1"])


def test_failed_trials_are_tried_again_once_the_program_is_mended(root: Path) -> None:
    broken = COUNTING.replace('note("start")', "assert args.a != 2, 'two is broken'")
    arguments = write_sweep(root, broken)
    first = run(root, *arguments)
    assert first.returncode == 0
    assert first.stdout.count("AssertionError: two is broken") >= 3
    second = run(root, *write_sweep(root, COUNTING))
    assert "has changed since" in second.stdout
    assert notes(root, "end") == ALL_POINTS


# Trials that fail, each in its own way

WAYS_TO_FAIL = {
    "raise": "raise ValueError('no such luck')",
    "exit3": "sys.exit(3)",
    "_exit": "os._exit(9)",
    "segfault": "ctypes.string_at(0)",
    "killed": "os.kill(os.getpid(), 9)",
    "nan": "wandb.log({'score': float('nan')})",
    "other": "wandb.log({'loss': 1})",
    "silent": "pass",
}
REASONS = {
    "raise": "exit status 1: ValueError: no such luck",
    "exit3": "exit status 3",
    "_exit": "exit status 9",
    "segfault": "killed by SIGSEGV",
    "killed": "killed by SIGKILL (out of memory?)",
    "nan": "score was never a finite number",
    "other": "score was never logged; the program logged loss",
    "silent": "score was never logged; the program logged nothing",
}
FAILING = """
import ctypes, os, sys, wandb
how = sys.argv[1].removeprefix("--how=")
wandb.init()
if how == "fine":
    wandb.log({"score": 1})
""" + "".join(f"elif how == {way!r}:\n    {code}\n" for way, code in WAYS_TO_FAIL.items())


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_failed_trial_is_recorded_with_its_reason_and_the_others_go_on(
    root: Path, mode: str
) -> None:
    ways = ["fine", *WAYS_TO_FAIL]
    arguments = write_sweep(root, FAILING, parameters={"how": {"values": ways}})
    done = run(root, *arguments, "--workers", "2", WANDB_MODE=mode)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {record["params"]["how"]: record for record in records(root).values()}
    assert found.pop("fine")["value"] == 1
    assert {how: record["reason"] for how, record in found.items()} == REASONS
    assert "8 failed" in done.stdout
    log = results(root) / "trials" / str(found["raise"]["number"]) / "output.log"
    assert "ValueError: no such luck" in log.read_text()


def test_when_every_trial_fails_alike_the_sweep_ends_early_and_shows_why(root: Path) -> None:
    arguments = write_sweep(root, "import sys\nsys.exit('the data is missing')")
    done = run(root, *arguments, "--workers", "2")
    assert done.returncode == 1
    assert 3 <= len(records(root)) <= 5
    assert "every trial fails alike" in done.stdout
    assert re.search(r"The last lines of .*output\.log:\n  the data is missing", done.stdout)


# What a trial sees


def test_a_trial_cannot_tell_that_it_was_not_started_by_wandb_agent(root: Path) -> None:
    looking = """
import json, os, sys, wandb
from data import load  # a module beside the program
run = wandb.init()
assert __name__ == "__main__"
seen = {"argv": sys.argv, "cwd": os.getcwd(), "path": sys.path[0], "config": dict(run.config),
        "project": run.project, "group": run.group}
print("SEEN" + json.dumps(seen))
wandb.log({"score": run.config["nested"]["deep"]})
"""
    parameters = {
        "flag": {"value": True},
        "nothing": {"value": None},
        "list": {"value": [1, "x"]},
        "nested": {"parameters": {"deep": {"values": [0.5]}}},
        "whole": {"value": 3.0},
    }
    arguments = write_sweep(root, looking, parameters=parameters, project="elsewhere")
    done = run(root, *arguments)
    assert done.returncode == 0, done.stdout
    output = (results(root) / "trials" / "1" / "output.log").read_text()
    seen = json.loads(re.search(r"SEEN(.*)", output)[1])  # type: ignore[index]
    assert seen["argv"] == [
        "modules/program.py",
        "--flag=True",
        "--list=[1, 'x']",
        "--nested={'deep': 0.5}",
        "--nothing=None",
        "--whole=3",
    ]
    assert seen["cwd"] == str(root)
    assert seen["path"] == str(root / "modules")
    assert seen["config"] == {
        "flag": True,
        "nothing": None,
        "list": [1, "x"],
        "nested": {"deep": 0.5},
        "whole": 3,
    }
    assert seen["project"] == "elsewhere"


def test_a_trial_cannot_change_another(root: Path) -> None:
    meddling = """
import json, os, random, sys, threading
import numpy, torch, wandb
wandb.init()
state = {
    "environ": "MEDDLED" in os.environ, "cwd": os.getcwd(), "patched": hasattr(json, "meddled"),
    "threads": sorted(t.name for t in threading.enumerate() if t.name == "meddler"),
    "modules": "meddled" in sys.modules,
}
print("STATE" + json.dumps(state))
print("RANDOM", random.random(), numpy.random.rand(), torch.rand(1).item())
os.environ["MEDDLED"] = "1"; json.meddled = True; sys.modules["meddled"] = sys
torch.manual_seed(random.randrange(1000)); random.seed(1); numpy.random.seed(1)
threading.Thread(target=lambda: threading.Event().wait(100), name="meddler", daemon=True).start()
wandb.log({"score": 1})
os.chdir("/")
"""
    arguments = write_sweep(root, meddling, parameters={"a": {"values": [1, 2, 3, 4]}})
    assert run(root, *arguments, "--workers", "1").returncode == 0
    outputs = [p.read_text() for p in results(root).glob("trials/*/output.log")]
    states = {re.search(r"STATE(.*)", output)[1] for output in outputs}  # type: ignore[index]
    draws = {re.search(r"RANDOM(.*)", output)[1] for output in outputs}  # type: ignore[index]
    assert len(states) == 1
    assert json.loads(states.pop())["cwd"] == str(root)
    assert len(draws) == 4
    for column in zip(*(draw.split() for draw in draws), strict=True):
        assert len(set(column)) == 4


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left alone")
def test_a_trial_keeps_the_memory_that_it_frees(root: Path) -> None:
    batches = """
import os, resource, wandb
for _ in range(20):
    activations = [bytearray(10_000_000) for _ in range(4)]
    del activations
assert "MALLOC_TRIM_THRESHOLD_" not in os.environ
wandb.init()
wandb.log({"score": resource.getrusage(resource.RUSAGE_SELF).ru_minflt})
"""
    arguments = write_sweep(root, batches, parameters={"a": {"value": 1}})
    done = run(root, *arguments)
    touched_once = 4 * 10_000_000 / os.sysconf("SC_PAGE_SIZE")
    assert records(root)[1]["value"] < 5 * touched_once, done.stdout


def test_a_program_ends_as_it_would_on_its_own(root: Path) -> None:
    ending = """
import atexit, threading, time, wandb, weakref
from torch.utils.data import DataLoader
run = wandb.init()
atexit.register(lambda: print("atexit ran"))
weakref.finalize(run, print, "finalizer ran")
def late():
    time.sleep(0.5)
    print("thread ran")
threading.Thread(target=late).start()
loader = DataLoader(range(10), batch_size=2, num_workers=2, multiprocessing_context="fork")
total = sum(batch.sum().item() for batch in loader)
wandb.log({"score": total})
"""
    arguments = write_sweep(root, ending, parameters={"a": {"value": 1}})
    done = run(root, *arguments)
    assert records(root)[1]["value"] == 45, done.stdout
    output = (results(root) / "trials" / "1" / "output.log").read_text()
    assert output.index("thread ran") < output.index("atexit ran")
    assert "finalizer ran" in output
    assert "wandb sync" in output  # the run was finished, though the program never says so


COMPILING = """
import argparse, sys, torch, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
wandb.init(mode="disabled")
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

def step():
    optimizer.zero_grad()
    loss = model(torch.ones(2, 3)).square().mean()
    loss.backward()
    optimizer.step()
    return loss

for parameter in model.parameters():
    torch.nn.init.ones_(parameter)
print("RESULT", step().item(), "torch._dynamo.utils" in sys.modules, flush=True)
if args.a == 1:  # its package was not asked for anything before
    from torch._dynamo.utils import counters
if args.a == 2:
    @torch.compiler.disable
    def aside(x):
        return x + 1
if args.a:
    compiled = torch.compile(lambda: aside(step()) if args.a == 2 else step(), backend="eager")
    print("RESULT", compiled().item(), compiled().item())
    import torch._dynamo.utils as utils
    if args.a == 1:
        print("RESULT", counters is utils.counters)
    print("RESULT", utils.__spec__.loader.get_filename())
    print("RESULT", torch._dynamo is sys.modules["torch._dynamo"])
    for reason, times in sorted(utils.counters["graph_break"].items()):
        print("RESULT", times, reason.splitlines()[0])
wandb.log({"score": args.a})
"""


def test_the_compiler_is_loaded_only_for_programs_that_ask_for_it(root: Path) -> None:
    """In a forked trial it is not there before; from then on all is as in a process of its own."""
    arguments = write_sweep(root, COMPILING, parameters={"a": {"values": [0, 1, 2]}})
    done = run(root, *arguments, "--workers", "2", WANDB_MODE="disabled", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    for number, a in enumerate((0, 1, 2), start=1):
        output = (results(root) / "trials" / str(number) / "output.log").read_text()
        alone = subprocess.run(
            [sys.executable, "modules/program.py", f"--a={a}"],
            cwd=root,
            env=environment(WANDB_MODE="disabled", OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
            timeout=120,
        )
        told, expected = (
            [r for r in t.splitlines() if "RESULT" in r] for t in (output, alone.stdout)
        )
        assert told[0].endswith(" False"), output
        assert expected[0].endswith(" True"), alone.stdout + alone.stderr
        assert [told[0].removesuffix("False"), *told[1:]] == [
            expected[0].removesuffix("True"),
            *expected[1:],
        ]
        assert len(told) >= (5 if a else 1)


LAUNCHING = """
import argparse, sys
import wandb
parser = argparse.ArgumentParser()
parser.add_argument("--staged", type=int)
args = parser.parse_args()
if args.staged:
    from wandb.sdk.launch.inputs.internal import StagedLaunchInputs
    applied = []
    StagedLaunchInputs.apply = lambda self, run: applied.append(run)
with wandb.init() as run:
    told = applied == [run] if args.staged else "wandb.sdk.launch" not in sys.modules
    run.log({"score": int(told)})
"""
ONLINE = """
import argparse, sys
import wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
before = set(sys.modules)
run = wandb.init(config=vars(args))
run.log({"score": args.a})
run.finish()
print("late", sorted(sys.modules.keys() - before))
"""


def test_a_run_imports_launch_only_when_it_has_inputs(root: Path) -> None:
    arguments = write_sweep(root, LAUNCHING, parameters={"staged": {"values": [0, 1]}})
    done = run(root, *arguments, WANDB_MODE="offline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [record["value"] for record in records(root).values()] == [1, 1]


def test_online_runs_reach_the_server_and_import_nothing_late(root: Path) -> None:
    arguments = write_sweep(root, ONLINE, parameters={"a": {"values": [3, 4]}})
    with serve() as server:
        done = run(root, *arguments, WANDB_PROJECT="online", **server.env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "W&B online" in done.stdout
        sent = [(one.state, one.params["a"], one.summary["score"]) for one in server.runs.values()]
    assert sorted(sent) == [("finished", 3, 3), ("finished", 4, 4)]
    outputs = [file.read_text() for file in results(root).glob("trials/*/output.log")]
    assert [re.findall("late (.*)", output) for output in outputs] == [["[]"]] * 2


def test_every_way_of_starting_gives_the_same_results(root: Path) -> None:
    values, packages = {}, []
    ways: dict[str, tuple[list[str], dict[str, Any]]] = {
        "warm": ([], {}),
        "cold": (["--cold"], {}),
        "command": (
            [],
            {"command": ["sh", "-c", 'exec python "$0" "$@"', "${program}", "${args}"]},
        ),
    }
    parameters = {"lr": {"values": [0.1, 0.01]}, "epochs": {"value": 2}}
    for way, (options, sweep) in ways.items():
        metric = {"name": "accuracy01/valid", "goal": "maximize"}
        program = (root / "modules" / "train.py").read_text()
        arguments = write_sweep(root, program, parameters=parameters, metric=metric, **sweep)
        done = run(root, *arguments, *options, "--workers", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("forked from a warm process" in done.stdout) == (way == "warm")
        values[way] = {r["number"]: r["value"] for r in records(root).values()}
        packages += [file.read_text() for file in results(root).rglob("files/requirements.txt")]
        shutil.rmtree(root / "results")
    assert values["warm"] == values["cold"] == values["command"]
    assert "torch==" in packages[0]
    assert packages == packages[:1] * 6
    assert len(set(values["warm"].values())) == 2


def test_a_command_may_hand_over_a_json_file(root: Path) -> None:
    reading = """
import json, sys, wandb
wandb.init()
wandb.log({"score": json.load(open(sys.argv[1]))["a"]})
"""
    words = ["${env}", "${interpreter}", "${program}", "${args_json_file}"]
    arguments = write_sweep(root, reading, parameters={"a": {"values": [5, 7]}}, command=words)
    assert run(root, *arguments).returncode == 0
    assert [record["value"] for record in records(root).values()] == [5, 7]


def test_a_process_of_the_trial_does_not_outlive_it(root: Path) -> None:
    leaving = (
        "import subprocess, wandb\nwandb.init(); wandb.log({'score': 1})\n"
        "subprocess.Popen(['sleep', '600'])"
    )
    assert run(root, *write_sweep(root, leaving, parameters={"a": {"value": 1}})).returncode == 0
    wait_until(lambda: not processes_in(root), 5)


# When a sweep ends


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_search_without_an_end_is_refused_with_the_remedy(root: Path, method: str) -> None:
    endless = {"a": {"min": 0.0, "max": 9.0}}
    done = run(root, *write_sweep(root, COUNTING, method=method, parameters=endless))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "config/test.yaml: run_cap:" in done.stderr
    assert "--count 30" in done.stderr
    assert not (root / "results").exists()


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_count_is_of_all_sessions(root: Path, method: str) -> None:
    parameters = {"a": {"min": 0, "max": 9}, "b": {"min": 0, "max": 9}}
    arguments = write_sweep(root, COUNTING, method=method, parameters=parameters, run_cap=14)
    assert run(root, *arguments, "--count", "12").returncode == 0
    assert sorted(records(root)) == list(range(1, 13))
    assert run(root, *arguments).returncode == 0
    assert sorted(records(root)) == list(range(1, 15))
    assert notes(root, "end").total() == 14


def test_the_time_limit_leaves_the_rest_for_later(root: Path) -> None:
    slow = COUNTING.replace("0.04", "0.2")
    arguments = write_sweep(root, slow, parameters={"a": {"min": 0, "max": 99}, "b": {"value": 0}})
    done = run(root, *arguments, "--workers", "1", "--time-limit", "15s")
    assert done.returncode == 0
    assert "the time limit is reached" in done.stdout
    assert "The same command goes on where it stopped" in done.stdout
    assert 0 < notes(root, "end").total() < 100
    assert processes_in(root) == []


def test_hyperband_stops_the_trials_that_lag_behind(root: Path) -> None:
    climbing = COUNTING.replace("range(5)", "range(40)").replace("- 4 + step", "")
    arguments = write_sweep(
        root,
        climbing,
        parameters={"a": {"values": [3, 2, 1, 0]}, "b": {"value": 0}},
        early_terminate={"type": "hyperband", "min_iter": 3, "eta": 2},
    )
    for count in ("3", "4"):  # a later session knows what an earlier one saw
        done = run(root, *arguments, "--workers", "1", "--count", count)
        assert done.returncode == 0
    # Of the first two, the worse is the median itself; the others are beyond it at every band.
    states = [record["state"] for record in records(root).values()]
    assert states == ["completed", "completed", "stopped", "stopped"]
    assert [record["value"] for record in records(root).values()] == [30, 20, 10, 0]
    assert notes(root, "end") == Counter(["3,0", "2,0"])


def test_a_nested_metric_is_named_with_dots(root: Path) -> None:
    nested = "import wandb\nwandb.init()\nwandb.log({'valid': {'top': {'acc': 3}}})\n"
    metric = {"name": "valid.top.acc", "goal": "maximize"}
    arguments = write_sweep(root, nested, metric=metric, parameters={"a": {"value": 1}})
    done = run(root, *arguments, WANDB_MODE="disabled")
    assert done.returncode == 0, done.stdout + done.stderr
    assert records(root)[1]["value"] == 3


def test_a_target_that_is_reached_ends_the_sweep(root: Path) -> None:
    metric = {"name": "score", "goal": "maximize", "target": 10}
    arguments = write_sweep(root, COUNTING, metric=metric)  # the values of a trial end at 10a + b
    for _ in range(2):
        done = run(root, *arguments, "--workers", "1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "score has reached its target of 10: no more trials" in done.stdout
        assert [record["value"] for record in records(root).values()] == [0, 1, 2, 10]


def test_what_is_taken_but_meant_otherwise_is_said_first(root: Path) -> None:
    parameters = {"a": {"value": 1}, "b": {"distribution": "log_uniform", "min": 0.001, "max": 0.1}}
    program = COUNTING.replace('"--b", type=int', '"--b", type=float')
    arguments = write_sweep(root, program, method="random", parameters=parameters, run_cap=1)
    done = run(root, *arguments)
    assert "log_uniform_values" in done.stdout.partition("[1/1]")[0], done.stdout
