"""What the platform's jobs call: a sweep started on W&B, run by workers, and its results read back.

The real `wandb` and its agent talk to a W&B server on loopback (`wandb_api.py`).
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Bake
from wandb_api import Fault, Run, Server, serve


@dataclass(frozen=True)
class Program:
    """A running command."""

    process: subprocess.Popen[bytes]
    log: Path
    cwd: Path

    @property
    def output(self) -> str:
        return self.log.read_text()


Start = Callable[..., Program]
PACKAGE = ROOT / "{{cookiecutter.project_slug}}" / "hypertrain"

GUIDE: dict[str, list[Any]] = {
    "lr": [0.1, 0.01, 0.001],
    "optimizer": ["sgd", "adam"],
    "scheduler": ["const", "cosine"],
}

PROGRAM = """\
import argparse, os, signal, sys, time
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int)
parser.add_argument("--wait", type=float, default=0)
args = parser.parse_args()

run = wandb.init(config={"x": args.x, "gpu": os.environ.get("CUDA_VISIBLE_DEVICES")})

def stop(number, _):
    run.finish(exit_code=128 + number)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)

signal.signal(signal.SIGTERM, stop)
for step in range(3):
    run.log({"score": 10 * args.x + step})
    print("logged", step, flush=True)
    time.sleep(args.wait)
sys.exit(int(args.x < 0))
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a project whose program takes no time."""
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "config").mkdir()
    shutil.copytree(PACKAGE, tmp_path / "hypertrain", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def hypertrain(root: Path, server: Server) -> Iterator[Start]:
    """`hypertrain("worker", path)` starts a command in `root` that knows the server."""
    started: list[Program] = []

    def start(
        *words: str, cwd: Path = root, env: dict[str, str] | None = None, before: str = ""
    ) -> Program:
        script = f"import sys, hypertrain.__main__ as command\n{before}\nsys.exit(command.main())"
        python = [sys.executable, *(["-c", script] if before else ["-m", "hypertrain"])]
        known = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "CUDA"))}
        home = {"HOME": str(root), "COLUMNS": "160"}
        output = root / f"output-{len(started)}.log"
        process = subprocess.Popen(
            [*python, *words],
            cwd=cwd,
            env=known | home | server.env | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=output.open("wb"),
            stderr=subprocess.STDOUT,
        )
        started.append(Program(process, output, cwd))
        return started[-1]

    yield start
    for program in started:
        program.process.kill()
        program.process.wait()
        for left in processes_in(program.cwd):
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)


def write_sweep(root: Path, parameters: dict[str, list[Any]], **keys: Any) -> None:
    sweep = {
        "program": "train.py",
        "project": "a-project",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {name: {"values": values} for name, values in parameters.items()},
    }
    (root / "config" / "wandb-sweep.yaml").write_text(yaml.safe_dump(sweep | keys))


def result(program: Program) -> tuple[int, str]:
    return program.process.wait(timeout=300), program.output


def started_sweep(hypertrain: Start, **options: Any) -> str:
    code, output = result(hypertrain("start-sweep", **options))
    assert code == 0, output
    return outputs(output)["sweep"]


def outputs(text: str) -> dict[str, str]:
    """Outputs of a flow's task, as neuro-flow finds them in a log."""
    mark = "::set-output name="
    found = (line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark))
    return dict(line.split("::", 1) for line in found)


def wait_until(happened: Callable[[], object], program: Program) -> None:
    until = time.monotonic() + 120
    while not happened():
        assert program.process.poll() is None, program.output
        assert time.monotonic() < until, program.output
        time.sleep(0.05)


def scores(run: Run) -> list[float]:
    return [line["score"] for line in run.history if "score" in line]


# Starting a sweep


def test_start_sweep_prints_where_to_look_and_what_workers_need(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2]}, program="/project/train.py", name="first")
    empty = {"WANDB_ENTITY": "", "WANDB_PROJECT": "", "WANDB_SWEEPS_FILE": "config/mine.yaml"}
    (root / "config" / "wandb-sweep.yaml").rename(root / "config" / "mine.yaml")
    code, output = result(hypertrain("start-sweep", env=empty))
    assert code == 0, output
    [sweep] = server.sweeps.values()
    url = f"{server.url}/a-team/a-project/sweeps/{sweep.name}"
    assert outputs(output) == {"sweep": f"a-team/a-project/{sweep.name}", "url": url}
    assert next(line for line in output.splitlines() if not line.startswith("wandb:")) == url
    assert sweep.path == outputs(output)["sweep"]
    assert sweep.config["program"] == "train.py"
    assert sweep.config["name"] == "first"
    assert server.key not in output


KEYS = "`neuro secret add wandb-token"
FAILURES: dict[str, tuple[dict[str, str], list[Fault], str]] = {
    "blanks": ({"WANDB_API_KEY": " " + "4" * 40 + "\n"}, [], f"refuses the key .*{KEYS}"),
    "no key": ({"WANDB_API_KEY": ""}, [], f"there is no W&B key; .*{KEYS}"),
    "short key": ({"WANDB_API_KEY": "4" * 20}, [], f"must have 40. characters.*{KEYS}"),
    "wrong key": ({"WANDB_API_KEY": "4" * 40}, [], f"refuses the key .*{KEYS}"),
    "no server": ({"WANDB_BASE_URL": "http://127.0.0.1:9"}, [], "127.0.0.1:9 does not answer"),
    "no address": ({"WANDB_BASE_URL": "wandb"}, [], "WANDB_BASE_URL.* valid URL"),
    "silent": ({}, [Fault("silent")], "does not answer; check the network"),
    "drops": ({}, [Fault("drop")], "does not answer; check the network"),
    "out of order": ({}, [Fault(500)], "does not answer; check the network"),
    "silent later": ({}, [Fault("silent", "UpsertSweep")], "does not answer"),
    "out of order later": ({}, [Fault(500, "UpsertSweep")], "does not answer"),
    "refused later": ({}, [Fault(401, "UpsertSweep")], "refuses the key"),
    "other team": ({"WANDB_ENTITY": "nobody"}, [], "entity nobody not found"),
    "bad file": ({}, [Fault(400, "UpsertSweep")], "injected fault"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failing_start_is_one_line_with_the_remedy(
    name: str, hypertrain: Start, root: Path, server: Server
) -> None:
    env, faults, says = FAILURES[name]
    write_sweep(root, {"x": [1]})
    server.faults = faults
    code, output = result(hypertrain("start-sweep", env={"WANDB_HTTP_TIMEOUT": "2"} | env))
    assert code == 2, output
    assert not outputs(output)
    [line] = [line for line in output.splitlines() if not line.startswith("wandb:")]
    assert line.startswith("hypertrain: ")
    assert re.search(says, line), line
    assert not server.sweeps
    for secret in (server.key, "4" * 20):
        assert secret not in output


def test_failing_start_ends_though_the_service_of_wandb_does_not(
    hypertrain: Start, root: Path, server: Server
) -> None:
    """Wandb waits for its service at exit; one that hears of nothing any more never ends."""
    write_sweep(root, {"x": [1]})
    server.faults = [Fault("silent")]
    start = hypertrain("start-sweep", env={"WANDB_HTTP_TIMEOUT": "2"})
    wait_until(lambda: "key is configured" in start.output, start)
    comms = {pid: Path(f"/proc/{pid}/comm").read_text() for pid in processes_in(root)}
    (service,) = (pid for pid, comm in comms.items() if comm.startswith("wandb-core"))
    os.kill(service, signal.SIGSTOP)
    assert start.process.wait(timeout=60) == 2, start.output
    assert "does not answer" in start.output


def test_start_survives_a_short_failure_of_the_server(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1]})
    server.faults = [Fault(status, times=1) for status in (429, 500)] + [Fault("drop", times=1)]
    assert started_sweep(hypertrain) in {sweep.path for sweep in server.sweeps.values()}
    assert len(server.sweeps) == 1


# Workers


def test_two_workers_train_each_point_once(hypertrain: Start, bake: Bake, server: Server) -> None:
    """The guide's grid with the project's own program, one epoch each."""
    project = bake(project_name="Hyperparameter tuning test")
    file = project / "config" / "wandb-sweep.yaml"
    sweep = yaml.safe_load(file.read_text())
    sweep["parameters"]["epochs"] = {"value": 1}
    file.write_text(yaml.safe_dump(sweep))
    path = started_sweep(hypertrain, cwd=project)
    workers = [hypertrain("worker", path, cwd=project) for _ in range(2)]
    for code, output in map(result, workers):
        assert code == 0, output
    assert path.startswith("a-team/hyperparameter-tuning-test/")
    points = [tuple(run.params[name] for name in GUIDE) for run in server.runs.values()]
    assert sorted(points) == sorted(itertools.product(*GUIDE.values()))
    metric = "accuracy01/valid"
    for run in server.runs.values():
        assert (run.state, run.started) == ("finished", 1)
        [logged] = [line[metric] for line in run.history if metric in line]
        assert run.summary[metric] == logged
        assert {"loss/train", "loss/valid", "lr"} < set(run.history[0])
    assert len({run.attributes["agent"] for run in server.runs.values()}) == 2
    assert len({run.summary[metric] for run in server.runs.values()}) > 6

    code, output = result(hypertrain("leaderboard", path, cwd=project))
    assert code == 0, output
    best = max(server.runs.values(), key=lambda run: run.summary[metric])
    arguments = (
        f"--{name}={value}" for name, value in sorted(best.params.items()) if name in GUIDE
    )
    assert (
        f"Repeat the best trial:\n  python modules/train.py --epochs=1 {' '.join(arguments)}"
        in output
    )
    assert all(run.attributes["displayName"] in output for run in server.runs.values())
    assert f"Ranked by the last {metric} of each" in output
    assert f'`wandb.define_metric("{metric}", summary="max")` in the program' in output


def test_worker_fails_only_if_all_of_its_trials_do(
    hypertrain: Start, root: Path, server: Server
) -> None:
    """They fail after wandb.init, before it, or all but the last."""
    cases: dict[str, tuple[list[Any], int]] = {
        "raises": ([-1, -2], 1),
        "refuses": (["x", "y"], 1),
        "all but one": ([-1, -2, -3, 4], 0),
    }
    workers = {}
    for name, (values, _) in cases.items():
        write_sweep(root, {"x": values})
        path = started_sweep(hypertrain)
        workers[name] = hypertrain("worker", path)
    for name, (values, expected) in cases.items():
        code, output = result(workers[name])
        assert code == expected, output
        failed = f"hypertrain: every trial of this worker has failed ({len(values)})"
        assert (failed in output) is (expected == 1)
        assert "Traceback" not in output
    assert len(server.runs) == 8


def test_worker_without_work_succeeds(hypertrain: Start, root: Path, server: Server) -> None:
    write_sweep(root, {"x": [1]})
    path = started_sweep(hypertrain)
    next(iter(server.sweeps.values())).state = "FINISHED"
    code, output = result(hypertrain("worker", path))
    assert code == 0, output
    assert not server.runs


@pytest.mark.parametrize("path", ["a-team/a-project/nothing", "a-project/nothing", "", "a/b/c/d"])
@pytest.mark.parametrize("command", ["worker", "leaderboard"])
def test_unknown_sweep_is_one_line(command: str, path: str, hypertrain: Start) -> None:
    code, output = result(hypertrain(command, path))
    assert code == 2, output
    [line] = [line for line in output.splitlines() if not line.startswith("wandb:")]
    assert line.startswith("hypertrain: ")
    assert path in line


def test_worker_runs_an_agent_on_each_gpu(hypertrain: Start, root: Path, server: Server) -> None:
    write_sweep(root, {"x": [1, 2]})
    path = started_sweep(hypertrain)
    code, output = result(hypertrain("worker", path, env={"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}))
    assert code == 0, output
    assert sorted(run.params["gpu"] for run in server.runs.values()) == ["GPU-a", "GPU-b"]


def test_workers_of_one_job_are_as_many_agents(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2, 3, 4], "wait": [0.5]})
    path = started_sweep(hypertrain)
    code, output = result(hypertrain("worker", path, "--workers", "2", "--count", "3"))
    assert code == 0, output
    assert [run.state for run in server.runs.values()] == ["finished"] * 3
    assert {run.attributes["agent"] for run in server.runs.values()} == set(server.agents)
    assert len(server.agents) == 2


def test_log_of_a_job_tells_each_trial_and_what_it_printed(
    hypertrain: Start, root: Path, server: Server
) -> None:
    """People read it with `neuro logs`."""
    write_sweep(root, {"x": [1, -2]})
    bar = "print('\\r 10%\\r100%')\nprint('the end')\n"
    (root / "train.py").write_text(PROGRAM.replace("sys.exit", f"{bar}sys.exit"))
    path = started_sweep(hypertrain)
    code, output = result(hypertrain("worker", path))
    assert code == 0, output
    lines = [line for line in output.splitlines() if "wandb" not in line]
    url = f"{server.url}/{path.rpartition('/')[0]}/sweeps/{path.rpartition('/')[2]}"
    assert lines[0] == url
    first, second = server.runs.values()
    for number, run, ended in ((1, first, "12"), (2, second, r"failed: exit status 1: .*")):
        start = lines.index(f"[trial {number}] W&B run {run.name}")
        marked = [line for line in lines[start:] if line.startswith(f"[trial {number}] ")]
        printed = ["logged 0", "logged 1", "logged 2", "100%", "the end"]
        assert marked[1:] == [f"[trial {number}] {line}" for line in printed]
        x = run.params["x"]
        [line] = [line for line in lines if re.match(rf"\[{number}/\?\] ", line)]
        assert re.fullmatch(rf"\[{number}/\?\] trial {number}  x={x}  {ended}  [\d.]+s", line)
    assert lines[-1] == f"2 trials, 1 failed: {url}"


def test_worker_with_a_wandb_of_another_make_runs_the_official_agent(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1]})
    path = started_sweep(hypertrain)
    without = "import wandb.apis.public.sweeps as sweeps; del sweeps._agent_heartbeat"
    code, output = result(hypertrain("worker", path, before=without))
    assert code == 0, output
    assert "lacks wandb.apis.public.sweeps._agent_heartbeat: the official `wandb agent`" in output
    assert "Agent received command: exit" in output
    assert [run.state for run in server.runs.values()] == ["finished"]


def test_worker_survives_failures_of_the_server(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2]})
    path = started_sweep(hypertrain)
    server.faults = [
        Fault(500, "file_stream", 1),
        Fault("drop", "file_stream", 1),
        Fault(429, "Heartbeat", 1),
        Fault(500, "UpsertBucket", 1),
    ]
    code, output = result(hypertrain("worker", path))
    assert code == 0, output
    assert [(run.state, scores(run)) for run in server.runs.values()] == [
        ("finished", [10, 11, 12]),
        ("finished", [20, 21, 22]),
    ]
    assert all(fault.times == 0 for fault in server.faults)


def test_interrupted_trial_keeps_its_history_and_is_taken_up_again(
    hypertrain: Start, root: Path, server: Server
) -> None:
    """One worker ends as the platform ends a job, another by Ctrl-C."""
    paths, workers = [], []
    for x in (7, 8):
        write_sweep(root, {"x": [x], "wait": [60]})
        paths.append(started_sweep(hypertrain))
        workers.append(hypertrain("worker", paths[-1]))
    for worker, number in zip(workers, (signal.SIGTERM, signal.SIGINT), strict=True):
        wait_until(lambda: "logged 0" in worker.output, worker)  # noqa: B023
        worker.process.send_signal(number)
        code, output = result(worker)
        assert code == 128 + number, output
    runs = sorted(server.runs.values(), key=lambda run: int(run.params["x"]))
    assert [(run.state, scores(run)) for run in runs] == [("preempted", [70]), ("preempted", [80])]
    wait_until(lambda: not processes_in(root), workers[-1])

    (root / "train.py").write_text(PROGRAM.replace("time.sleep(args.wait)", "pass"))
    for worker in [hypertrain("worker", path) for path in paths]:
        code, output = result(worker)
        assert code == 0, output
    assert len(server.runs) == 2
    for run in runs:
        first = 10 * int(run.params["x"])
        assert (run.state, run.started) == ("finished", 2)
        assert scores(run) == [first, first, first + 1, first + 2]


def test_killed_worker_leaves_nothing_that_another_cannot_take(
    hypertrain: Start, root: Path, server: Server
) -> None:
    """SIGKILL, as when the machine's memory is used up."""
    write_sweep(root, {"x": [7, 8], "wait": [60]})
    path = started_sweep(hypertrain)
    worker = hypertrain("worker", path)
    wait_until(lambda: "logged 0" in worker.output, worker)
    worker.process.kill()
    worker.process.wait()
    [run] = server.runs.values()
    until = time.monotonic() + 60
    while run.state != "preempted" or processes_in(root):
        assert time.monotonic() < until, run
        time.sleep(0.1)
    assert scores(run) == [70]

    (root / "train.py").write_text(PROGRAM.replace("time.sleep(args.wait)", "pass"))
    code, output = result(hypertrain("worker", path))
    assert code == 0, output
    found = [(run.params["x"], run.state, run.started) for run in server.runs.values()]
    assert found == [(7, "finished", 2), (8, "finished", 1)]


def test_deleted_sweep_ends_the_worker_when_its_trial_has_ended(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [7, 8], "wait": [4]})
    path = started_sweep(hypertrain)
    worker = hypertrain("worker", path)
    wait_until(lambda: "logged 0" in worker.output, worker)
    server.sweeps.clear()
    code, output = result(worker)
    assert code == 2, output
    assert f"hypertrain: {path}: W&B holds this sweep no longer; what ran has ended" in output
    assert [(run.state, len(scores(run))) for run in server.runs.values()] == [("finished", 3)]


def test_paused_sweep_is_waited_for(hypertrain: Start, root: Path, server: Server) -> None:
    write_sweep(root, {"x": [1]})
    path = started_sweep(hypertrain)
    [sweep] = server.sweeps.values()
    sweep.state = "PAUSED"
    worker = hypertrain("worker", path)
    wait_until(lambda: server.requests.count("Heartbeat") > 1, worker)
    assert not server.runs
    sweep.state = "RUNNING"
    code, output = result(worker)
    assert code == 0, output
    assert [run.state for run in server.runs.values()] == ["finished"]


def test_refused_key_ends_the_worker_in_one_line_that_masks_it(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1]})
    path = started_sweep(hypertrain)
    server.faults = [Fault(401, "Heartbeat", says=f"who is {server.key}?")]
    code, output = result(hypertrain("worker", path))
    assert code == 2, output
    [line] = [line for line in output.splitlines() if line.startswith("hypertrain: ")]
    assert "refuses the key (who is ***?)" in line
    assert server.key not in output
    assert "Traceback" not in output


def test_runs_go_where_the_sweep_is(hypertrain: Start, root: Path, server: Server) -> None:
    """Neither the key's own entity draws them elsewhere, nor the worker's own wandb-core."""
    write_sweep(root, {"x": [1]})
    path = started_sweep(hypertrain)
    server.default_entity = "somebody"
    env = {"WANDB_ENTITY": "", "WANDB_PROJECT": ""}
    (root / "train.py").write_text(
        PROGRAM.replace("parser =", "assert 'WANDB_SERVICE' not in os.environ\nparser =")
    )
    code, output = result(hypertrain("worker", path, env=env))
    assert code == 0, output
    assert [(run.entity, run.state) for run in server.runs.values()] == [("a-team", "finished")]


def test_stopped_trial_is_neither_failed_nor_taken_up_again(
    hypertrain: Start, root: Path, server: Server
) -> None:
    """What early termination does on the server: the agent ends the trial."""
    write_sweep(root, {"x": [7], "wait": [60]})
    worker = hypertrain("worker", started_sweep(hypertrain))
    wait_until(lambda: "logged 0" in worker.output, worker)
    [run] = server.runs.values()
    run.stopped = True
    code, output = result(worker)
    assert code == 0, output
    assert (run.state, run.started, scores(run)) == ("killed", 1, [70])


def processes_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


@pytest.mark.parametrize(("goal", "best"), [("maximize", "13"), ("minimize", "11")])
def test_leaderboard_reads_what_define_metric_made_of_the_summary(
    goal: str, best: str, hypertrain: Start, root: Path, server: Server
) -> None:
    """The summary then holds `{"min": ..., "max": ...}` instead of the last value."""
    defined = 'run.define_metric("score", summary="min,max")\nfor step in (1, 3, 2):'
    (root / "train.py").write_text(PROGRAM.replace("for step in range(3):", defined))
    write_sweep(root, {"x": [1]}, metric={"name": "score", "goal": goal})
    path = started_sweep(hypertrain)
    code, output = result(hypertrain("worker", path))
    assert code == 0, output
    [run] = server.runs.values()
    assert run.summary["score"] == {"min": 11, "max": 13}
    code, output = result(hypertrain("leaderboard", path))
    assert code == 0, output
    name = run.attributes["displayName"]
    row = next(line.split() for line in output.splitlines() if name in line.split())
    assert best in row
    assert "Ranked by the last" not in output
