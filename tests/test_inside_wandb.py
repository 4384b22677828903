"""What W&B does not promise may be missing: trials then start slower, and none fails of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import wandb_api
import yaml
from conftest import Bake
from environments import commands, environment
from test_sweep import environment as no_account
from test_sweep import records, run, write_sweep

PROGRAM = """
import argparse, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
with wandb.init(project="ignored", config=vars(args)) as run:
    assert run.sweep_id and run.config.a == args.a
    run.log({"score": args.a})
    run.log({"score": args.a - 1})
"""
SPACE = {"a": {"values": [3, 4]}}
PARTS = (
    "_wrap_log",
    "_forget_local_sweep",
    "_list_packages",
    "_ask_for_no_inputs",
    "_look_for_service_often",
    "_log_records",
)


@pytest.fixture
def root(bake: Bake) -> Path:
    return bake(project_name="Inside test")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_missing(root: Path, part: str) -> None:
    """As if W&B had renamed what the function uses."""
    file = root / "hypertrain" / "inside_wandb.py"
    text = file.read_text()
    begin = text.index(f"def {part}(")
    body = text.index("\n", text.index(":\n", begin)) + 1
    file.write_text(f"{text[:body]}    raise AttributeError('missing')\n{text[body:]}")
    done = run(root, *write_sweep(root, PROGRAM, parameters=SPACE), "--workers", "2")
    assert [record.get("value") for record in records(root).values()] == [3, 4], done.stdout
    assert "forked from a warm process" in done.stdout


def test_without_any_of_it_a_trial_says_that_nothing_was_seen(root: Path) -> None:
    file = root / "hypertrain" / "inside_wandb.py"
    text = file.read_text()
    for part in PARTS:
        begin = text.index(f"def {part}(")
        body = text.index("\n", text.index(":\n", begin)) + 1
        text = f"{text[:body]}    raise AttributeError('missing')\n{text[body:]}"
    file.write_text(text)
    done = run(root, *write_sweep(root, PROGRAM, parameters=SPACE), "--workers", "2")
    reasons = [record.get("reason") for record in records(root).values()]
    assert reasons == ["score was never logged; the program logged nothing"] * 2, done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.fixture(params=["0.25.0", "0.27.0"])
def older(request: pytest.FixtureRequest) -> Path:
    """The Python of an environment with an older wandb."""
    needed = ("rich==15.0.0", "PyYAML==6.0.3", "filelock==4.2.12", "numpy==2.4.6")
    home = environment(f"wandb-{request.param}", f"wandb=={request.param}", *needed)
    return commands(home) / "python"


def hypertrain(python: Path, root: Path, *words: str, **environ: str) -> str:
    """What `python -m hypertrain` says; it must end well."""
    done = subprocess.run(
        [python, "-m", "hypertrain", *words],
        cwd=root,
        env=no_account(PYTHONPATH="", **environ),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sys.version_info[:2] == (3, 11) or "Traceback" not in done.stdout
    return done.stdout


OLD_PROGRAM = PROGRAM.replace("run.sweep_id and ", "")


@pytest.mark.doors
@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_older_versions_of_wandb(root: Path, older: Path, mode: str) -> None:
    arguments = write_sweep(root, OLD_PROGRAM, parameters=SPACE)
    said = hypertrain(older, root, *arguments, "--workers", "2", WANDB_MODE=mode)
    assert [record.get("value") for record in records(root).values()] == [3, 4], said
    assert "forked from a warm process" in said


@pytest.mark.doors
def test_older_versions_of_wandb_online(root: Path, older: Path) -> None:
    """What the protocol needs is missing: the runs are a group, a worker is the official agent."""
    arguments = write_sweep(root, OLD_PROGRAM, parameters=SPACE, project="older")
    with wandb_api.serve() as server:
        said = hypertrain(older, root, *arguments, "--workers", "2", **server.env)
        assert [record.get("value") for record in records(root).values()] == [3, 4], said
        assert (
            "lacks wandb.apis.public.sweeps._sweep_with_runs: the runs are a group on W&B" in said
        )
        config = yaml.safe_load((root / "config" / "test.yaml").read_text())
        points, size = wandb_api.points(config)
        sweep = wandb_api.Sweep("0123abcd", server.entity, "older", config, points, size)
        server.sweeps[sweep.name] = sweep
        said = hypertrain(older, root, "--count", "1", "worker", sweep.path, **server.env)
        assert "the official `wandb agent` runs instead" in said
        assert [run.params for run in server.runs.values() if run.sweep] == [{"a": 3}]
        assert {run.state for run in server.runs.values()} == {"finished"}
