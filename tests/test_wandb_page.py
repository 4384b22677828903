"""A sweep of one machine with a W&B account: it is a sweep there too, and agents may join it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_wandb_sweep import (
    PROGRAM,
    Start,
    hypertrain,
    result,
    root,
    scores,
    server,
    wait_until,
    write_sweep,
)
from wandb_api import Fault, Server

__all__ = ["hypertrain", "root", "server"]  # fixtures


def lines_of(output: str) -> list[str]:
    return [line for line in output.splitlines() if line and not line.startswith("wandb:")]


def page_of(server: Server) -> str:
    [sweep] = server.sweeps.values()
    return f"{server.url}/{sweep.entity}/{sweep.project}/sweeps/{sweep.name}"


def test_trials_belong_to_a_sweep_on_wandb(hypertrain: Start, root: Path, server: Server) -> None:
    write_sweep(root, {"x": [1, 2, 3]}, name="first")
    code, output = result(hypertrain("--workers", "2"))
    assert code == 0, output
    [sweep] = server.sweeps.values()
    assert (sweep.entity, sweep.project, sweep.state) == ("a-team", "a-project", "FINISHED")
    assert sweep.config["name"] == "first"
    found = {run.attributes["displayName"]: run for run in server.runs.values()}
    assert sorted(found) == ["trial-1", "trial-2", "trial-3"]
    for x, run in enumerate((found[name] for name in sorted(found)), start=1):
        assert (run.sweep, run.state, run.params["x"]) == (sweep.name, "finished", x)
        assert run.attributes.get("groupName") is None
        assert scores(run) == [10 * x, 10 * x + 1, 10 * x + 2]
    lines = lines_of(output)
    assert lines[0] == lines[-1] == page_of(server)


def test_interrupted_sweep_goes_on_at_the_same_page(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2], "wait": [20]})
    first = hypertrain("--workers", "1")
    wait_until(lambda: any(run.started for run in list(server.runs.values())), first)
    first.process.send_signal(signal.SIGINT)
    code, output = result(first)
    assert code == 130, output
    [sweep] = server.sweeps.values()
    assert sweep.state == "RUNNING"
    assert lines_of(output)[-1] == page_of(server)

    (root / "train.py").write_text(PROGRAM.replace("time.sleep(args.wait)", "pass"))
    code, output = result(hypertrain("--workers", "1"))
    assert code == 0, output
    assert list(server.sweeps.values()) == [sweep]
    assert sweep.state == "FINISHED"
    assert lines_of(output)[0] == lines_of(output)[-1] == page_of(server)
    finished = [run.params["x"] for run in server.runs.values() if run.state == "finished"]
    assert finished == [1, 2]


@pytest.mark.parametrize("gone", ["deleted", "another server"])
def test_page_that_is_gone_is_made_anew(
    gone: str, hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2]})
    code, output = result(hypertrain("--count", "1"))
    assert code == 0, output
    [noted] = root.glob("results/sweep-*/wandb-sweep.json")
    if gone == "deleted":
        server.sweeps.clear()
    else:
        noted.write_text(json.dumps({"sweep": "a-team/a-project/old", "server": "elsewhere"}))
    code, output = result(hypertrain())
    assert code == 0, output
    assert ("is not on W&B any more" in output) is (gone == "deleted")
    assert lines_of(output)[-1].startswith(f"{server.url}/a-team/a-project/sweeps/")
    assert "Traceback" not in output
    assert json.loads(noted.read_text())["sweep"].rpartition("/")[2] in server.sweeps


@pytest.mark.parametrize(
    "fault", [Fault(400, "UpsertSweep", says="no sweeps here"), Fault("drop", "UpsertSweep")]
)
def test_refused_sweep_leaves_a_group_of_runs(
    fault: Fault, hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2]}, name="first")
    server.faults = [fault]
    code, output = result(hypertrain(env={"WANDB_HTTP_TIMEOUT": "2"}))
    assert code == 0, output
    [line] = [line for line in output.splitlines() if "no page for this sweep" in line]
    assert line.startswith("W&B has no page for this sweep, its runs are a group instead: ")
    if isinstance(fault.kind, int):
        assert line.endswith("no sweeps here")
    assert not server.sweeps
    runs = list(server.runs.values())
    assert [(run.state, run.sweep) for run in runs] == [("finished", None)] * 2
    [group] = {run.attributes["groupName"] for run in runs}
    assert re.fullmatch(r"first-[0-9a-f]{8}", group)


def test_agents_elsewhere_join_and_nothing_is_trained_twice(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2, 3, 4, 5, 6], "wait": [0.7]})
    here = hypertrain("--workers", "1")
    wait_until(lambda: server.sweeps, here)
    [sweep] = server.sweeps.values()
    there = hypertrain("worker", sweep.path)
    for code, output in (result(here), result(there)):
        assert code == 0, output
    assert sorted(run.params["x"] for run in server.runs.values()) == [1, 2, 3, 4, 5, 6]
    assert {run.state for run in server.runs.values()} == {"finished"}
    agents = [run.attributes.get("agent") for run in server.runs.values()]
    elsewhere = sum(agent is not None for agent in agents)
    assert 0 < elsewhere < 6
    assert f"{elsewhere} trials ran elsewhere" in here.output or elsewhere == 1
    assert sweep.state == "FINISHED"


def test_silent_server_does_not_hold_up_the_trials(
    hypertrain: Start, root: Path, server: Server
) -> None:
    """Whether a point is free is asked in vain once, not before each trial."""
    write_sweep(root, {"x": [1, 2, 3]})
    server.faults = [Fault("silent", "Runs")]
    code, output = result(hypertrain("--workers", "1"))
    assert code == 0, output
    assert [run.state for run in server.runs.values()] == ["finished"] * 3
    assert server.requests.count("Runs") < 3


def test_offline_runs_become_a_sweep_with_the_printed_commands(
    hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2]}, name="first")
    code, output = result(hypertrain(env={"WANDB_MODE": "offline"}))
    assert code == 0, output
    assert not server.runs
    lines = output.splitlines()
    start = lines.index("Bring the runs to W&B as a sweep, if you like:")
    commands = [line.strip() for line in lines[start + 1 : start + 3]]
    assert [command.split()[:2] for command in commands] == [["wandb", "sync"], ["wandb", "sweep"]]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, **server.env, "HOME": str(root), "PATH": path}
    for command in commands:
        subprocess.run(["bash", "-c", command], cwd=root, env=env, check=True, timeout=300)
    [sweep] = server.sweeps.values()
    assert (sweep.config["name"], sweep.project) == ("first", "a-project")
    found = [(run.params["x"], run.state, run.sweep, scores(run)) for run in server.runs.values()]
    assert sorted(found) == [
        (x, "finished", sweep.name, [10 * x, 10 * x + 1, 10 * x + 2]) for x in (1, 2)
    ]
