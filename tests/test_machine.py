"""What a machine has to share, cores by affinity and by quota and GPUs, and how trials share it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypertrain import UserError, machine
from hypertrain.gpus import Gpu
from hypertrain.machine import Asked, share


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has set their number; a test may."""
    for name in machine.THREADS:
        monkeypatch.setenv(name, "")  # so that it is taken back
        monkeypatch.delenv(name)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinities")
@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "300000 100000"}, 3),
        ({"cpu.max": "250000 100000"}, 3),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "1600000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "200000"}, 8),
    ],
)
def test_cores_are_those_of_the_container(
    files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert machine.cores() == cores
    assert machine.share_threads(2) == str(max(1, cores // 2))
    assert os.environ["OMP_NUM_THREADS"] == str(max(1, cores // 2))


def test_the_users_threads_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    machine.share_threads(2)
    assert os.environ["OMP_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ


def gpus(count: int, model: str = "NVIDIA H200", memory: int | None = 1) -> list[Gpu]:
    return [Seen(f"GPU-{number}", model, memory) for number in range(count)]


class Seen(Gpu):
    """A GPU whose memory can be read, if `handle` is something."""

    def memory(self) -> tuple[int, int] | None:
        return None if self.handle is None else (0, 80)


SLICES = [Gpu("MIG-a", "NVIDIA H200 MIG 1g.18gb"), Gpu("MIG-b", "NVIDIA H200 MIG 1g.18gb")]


@pytest.mark.parametrize(
    ("asked", "found", "cores", "places", "workers", "why"),
    [
        (Asked(), [], 4, [], 4, ""),
        (Asked(), [], 64, [], 8, ""),
        (Asked(workers=20), [], 1, [], 20, ""),
        (Asked(trials_per_gpu="auto"), [], 2, [], 2, "--trials-per-gpu: there is no GPU"),
        (Asked(), gpus(1), 16, ["0"], 1, "1 trial at once on 1 GPU (NVIDIA H200); --tr"),
        (Asked(), gpus(2), 16, ["0", "1"], 2, "1 trial at once on each of 2 GPUs (NVIDIA H200)"),
        (Asked(workers=3), gpus(2), 16, ["0", "1"], 3, "Trials are dealt to 2 GPUs (NVIDIA H200)"),
        (Asked(trials_per_gpu=4), gpus(2), 16, ["0", "1"], 8, "4 trials at once on each of 2 GPUs"),
        (Asked(trials_per_gpu=1), gpus(1, model=""), 16, ["0"], 1, "1 trial at once on 1 GPU"),
        (Asked(gpus_per_trial=2), gpus(4), 16, ["01", "23"], 2, "on each of 2 groups of 2 GPUs"),
        (Asked(gpus_per_trial=2), gpus(3), 16, ["01"], 1, "once on 1 group of 2 GPUs"),
        (Asked(gpus_per_trial=2, trials_per_gpu=2), gpus(2), 16, ["01"], 2, "2 trials at once on"),
        (Asked(gpus_per_trial=1), SLICES, 16, ["a", "b"], 2, "2 GPUs (NVIDIA H200 MIG 1g.18gb)"),
        (Asked(trials_per_gpu="auto"), gpus(1), 16, ["0"], 8, "Up to 8 trials at once on 1 GPU"),
        (Asked(trials_per_gpu="auto"), gpus(4), 16, ["0", "1", "2", "3"], 16, "Up to 4 trials at"),
        (
            Asked(trials_per_gpu="auto"),
            gpus(4),
            2,
            ["0", "1", "2", "3"],
            4,
            "Up to 1 trial at once",
        ),
        (Asked(trials_per_gpu="auto"), gpus(1, memory=None), 9, ["0"], 1, "cannot be read"),
    ],
)
def test_trials_share_the_machine(
    asked: Asked, found: list[Gpu], cores: int, places: list[str], workers: int, why: str
) -> None:
    shared = share(asked, found, cores)
    assert ["".join(gpu.name[4:] for gpu in place) for place in shared.places] == places
    assert shared.workers == workers
    assert why in shared.why
    assert bool(why) == bool(shared.why)
    assert shared.grows == (asked.trials_per_gpu == "auto" and workers > len(places) > 0)


def test_a_worker_without_a_gpu_runs_one_trial_whatever_is_asked_of_gpus() -> None:
    asked = Asked(trials_per_gpu=4)
    assert share(asked, [], cores=16, on_cores=1).workers == 1
    assert share(asked, gpus(1), cores=16, on_cores=1).workers == 4


@pytest.mark.parametrize(
    ("asked", "found", "message"),
    [
        (Asked(workers=2, trials_per_gpu=2), gpus(1), "--workers and --trials-per-gpu both say"),
        (Asked(workers=2, trials_per_gpu="auto"), [], "--workers and --trials-per-gpu both say"),
        (Asked(gpus_per_trial=1), [], "--gpus-per-trial 1: this machine has 0 GPUs"),
        (
            Asked(gpus_per_trial=3),
            gpus(2),
            "--gpus-per-trial 3: this machine has 2 GPUs: GPU-0, GPU-1",
        ),
        (Asked(gpus_per_trial=2), SLICES, "--gpus-per-trial 2: slices of a GPU (MIG) do not work"),
    ],
)
def test_what_the_machine_does_not_have_is_refused_by_name(
    asked: Asked, found: list[Gpu], message: str
) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}[^\n]*$"):
        share(asked, found, cores=8)
