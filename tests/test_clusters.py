"""docs/clusters.md: its commands, run with stand-ins for `sbatch` and `ssh`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from pages import Block, blocks
from test_wandb_sweep import Start, hypertrain, processes_in, root, server, write_sweep
from wandb_api import Server

__all__ = ["hypertrain", "root", "server"]  # fixtures

PAGE = blocks((ROOT / "docs" / "clusters.md").read_text())
STAND_INS = {
    # Runs two jobs of the array, each with the script's words behind its own name.
    "sbatch": 'for SLURM_ARRAY_TASK_ID in 1 2; do bash "$@" > job-$SLURM_ARRAY_TASK_ID.log & done',
    "ssh": 'cd "$HOME/$1" && bash -c "$2"',
}


def block(excuse: str) -> Block:
    [found] = [one for one in PAGE if one.excuse == excuse]
    return found


@pytest.fixture
def run(root: Path, server: Server) -> Callable[[str], None]:
    """`run(commands)` runs them in the project as a person would, with nothing else on PATH."""
    bin_folder = root / "bin"
    bin_folder.mkdir()
    for name, text in STAND_INS.items():
        (bin_folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (bin_folder / name).chmod(0o755)
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "activate").write_text(f"PATH={Path(sys.executable).parent}:$PATH\n")
    for host in ("alpha", "beta"):
        (root / host).mkdir()
        (root / host / "my-project").symlink_to(root)

    def run_all(commands: str) -> None:
        known = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
        path = os.pathsep.join([str(bin_folder), known["PATH"]])
        env = known | server.env | {"HOME": str(root), "PATH": path}
        script = f". .venv/bin/activate\n{commands}"
        subprocess.run(["bash", "-ec", script], cwd=root, env=env, check=True, timeout=300)
        until = time.monotonic() + 300
        while processes_in(root):
            assert time.monotonic() < until, [log.read_text() for log in root.glob("*.log")]
            time.sleep(0.2)

    return run_all


@pytest.mark.parametrize("cluster", ["slurm", "ssh"])
def test_workers_start_as_documented(
    cluster: str, run: Callable[[str], None], hypertrain: Start, root: Path, server: Server
) -> None:
    write_sweep(root, {"x": [1, 2, 3, 4], "wait": [1]})
    (root / "sweep.sh").write_text(block("file: sweep.sh").text)
    run(block(f"run: {cluster}").text)
    assert [run.state for run in server.runs.values()] == ["finished"] * 4
    assert len(server.agents) == 2
    assert len({run.attributes["agent"] for run in server.runs.values()}) == 2
