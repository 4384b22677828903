"""Sweeps on GPUs that only have names: who sees which, how many at once, memory that ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Bake
from test_sweep import records, run, write_sweep

TESTS = Path(__file__).parent

# It notes what it sees, and whom beside itself; with {full}, two cannot share a GPU.
PROGRAM = """
import argparse, os, pathlib, sys, time, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
args = parser.parse_args()
gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
here = pathlib.Path("running", gpu)
here.mkdir(parents=True, exist_ok=True)
mine = here / str(args.a)
mine.touch()
run = wandb.init()
time.sleep(0.4)
beside = len(list(here.iterdir()))
with open("notes.txt", "a") as file:
    file.write(f"{{args.a}} {{gpu}} {{beside}} {{run.id}}\\n")
mine.unlink()
if beside > {fit}:
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
run.log({{"score": args.a}})
"""


@pytest.fixture
def root(bake: Bake) -> Path:
    return bake(project_name="GPU test")


def sweep(root: Path, fit: int, trials: int) -> list[str]:
    parameters = {"a": {"values": list(range(trials))}}
    return write_sweep(root, PROGRAM.format(fit=fit), parameters=parameters)


def notes(root: Path) -> list[tuple[int, str, int, str]]:
    lines = [line.split() for line in (root / "notes.txt").read_text().splitlines()]
    return [(int(a), gpu, int(beside), run_id) for a, gpu, beside, run_id in lines]


@pytest.mark.parametrize(
    ("options", "gpus", "most"),
    [
        ([], {"x", "y"}, 1),
        (["--trials-per-gpu", "2"], {"x", "y"}, 2),
        (["--gpus-per-trial", "2"], {"x,y"}, 1),
        (["--gpus-per-trial", "2", "--trials-per-gpu", "3"], {"x,y"}, 3),
        (["--workers", "1"], {"x"}, 1),
    ],
)
def test_each_trial_sees_the_gpus_that_are_its_own(
    options: list[str], gpus: set[str], most: int, root: Path
) -> None:
    arguments = sweep(root, fit=9, trials=6)
    done = run(root, *arguments, *options, CUDA_VISIBLE_DEVICES="x,y", WANDB_MODE="disabled")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = notes(root)
    assert {gpu for _, gpu, _, _ in seen} == gpus
    assert max(beside for _, _, beside, _ in seen) == most


def test_what_runs_out_of_memory_beside_others_runs_again_alone(root: Path) -> None:
    arguments = [*sweep(root, fit=1, trials=6), "--workers", "2"]
    done = run(root, *arguments, CUDA_VISIBLE_DEVICES="x", WANDB_MODE="disabled")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ran out of memory beside others; it runs again alone" in done.stdout
    assert {record["state"] for record in records(root).values()} == {"completed"}
    seen = notes(root)
    again = [note for number, note in enumerate(seen) if note[0] in {a for a, *_ in seen[:number]}]
    assert again
    assert seen.index(again[0]) <= 3  # the others wait for it
    assert {beside for _, _, beside, _ in again} == {1}


def test_what_runs_out_of_memory_alone_has_failed(root: Path) -> None:
    arguments = [*sweep(root, fit=0, trials=2), "--workers", "2"]
    done = run(root, *arguments, CUDA_VISIBLE_DEVICES="x", WANDB_MODE="disabled")
    assert done.returncode == 1
    assert {record["state"] for record in records(root).values()} == {"failed"}
    assert all("out of memory" in record["reason"] for record in records(root).values())
    assert 3 <= len(notes(root)) <= 4  # each at most twice, and one of them again alone at least


def test_auto_takes_one_more_when_that_pays(root: Path, tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core feeds one trial")
    (tmp_path / "pynvml.py").write_text(
        f"import sys\nsys.path.append({str(TESTS)!r})\nfrom nvml import Device, Nvml\n"
        "sys.modules['pynvml'] = Nvml([Device('GPU-x', total=80 * 2**30)])\n"
    )
    arguments = [*sweep(root, fit=9, trials=8), "--trials-per-gpu", "auto"]
    done = run(root, *arguments, PYTHONPATH=str(tmp_path), WANDB_MODE="disabled")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as many as pay" in done.stdout
    assert "2 trials at once on each GPU: room for" in done.stdout
    seen = notes(root)
    assert {gpu for _, gpu, _, _ in seen} == {"0"}
    assert seen[0][2] == 1
    assert max(beside for _, _, beside, _ in seen) >= 2
