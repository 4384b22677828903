"""GPUs as NVML names them and CUDA_VISIBLE_DEVICES hides them; how many trials share one."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypertrain import gpus
from hypertrain.growth import Growth
from nvml import Device, Nvml

PLAIN = [Device("GPU-aa11"), Device("GPU-ab22", "NVIDIA L4", sliceable=False)]
SLICED = [
    Device("GPU-aa11", slices=[Device("MIG-x"), None, Device("MIG-y")]),
    Device("GPU-bb22"),
]


@pytest.mark.parametrize(
    ("boards", "allowed", "found"),
    [
        (PLAIN, None, ["0", "1"]),
        (PLAIN, "", []),
        (PLAIN, "-1", []),
        (PLAIN, "1", ["1"]),
        (PLAIN, "1, 0", ["1", "0"]),
        (PLAIN, "0,-1,1", ["0"]),
        (PLAIN, "0,7,1", ["0"]),
        (PLAIN, "GPU-ab", ["GPU-ab"]),
        (PLAIN, "GPU-cc,0", []),
        (SLICED, None, ["MIG-x", "MIG-y", "GPU-bb22"]),
        (SLICED, "MIG-y,GPU-bb22", ["MIG-y", "GPU-bb22"]),
        (SLICED, "0", ["0"]),
        (SLICED, "GPU-aa11", ["GPU-aa11"]),
        ([], None, []),
        (None, None, []),
        (None, "0,GPU-x", ["0", "GPU-x"]),
        (None, "", []),
        ("no package", None, []),
        ("no package", "3", ["3"]),
    ],
)
def test_gpus_are_those_that_cuda_would_see(
    boards: list[Device] | str | None,
    allowed: str | None,
    found: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = None if isinstance(boards, str) else Nvml(boards)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    if allowed is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert [gpu.name for gpu in gpus.visible()] == found


def test_a_name_leads_to_the_memory_and_the_model_of_its_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slice_ = Device("MIG-x", "NVIDIA H200 MIG 1g.18gb", used=1, total=18)
    lost = Device("GPU-cc", used=-1)
    boards = [Device("GPU-aa", slices=[slice_]), Device("GPU-bb", used=30), lost]
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(boards))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-aa,MIG-x,2")
    found = gpus.visible()
    assert [gpu.memory() for gpu in found] == [(30, 80), (1, 18), (1, 18), None]
    assert [gpu.model for gpu in found[:2]] == ["NVIDIA H200", "NVIDIA H200 MIG 1g.18gb"]
    assert [gpu.is_slice for gpu in found] == [False, False, True, False]
    assert gpus.Gpu("0").memory() is None


def test_numbers_are_those_of_the_bus_unless_the_user_named_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NVML counts so; CUDA by itself puts the fastest GPU first."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus.environ("") == {}
    named = {"CUDA_VISIBLE_DEVICES": "1,2"}
    assert gpus.environ("1,2") == {**named, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,1,0")
    assert gpus.environ("1,2") == named


def test_the_real_package_is_taken_and_this_machine_is_not_hurt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a driver, its GPUs are named as CUDA names them; without one there are none."""
    pynvml = pytest.importorskip("pynvml")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in [name for name in dir(Nvml) if name.startswith("nvml")]:
        assert callable(getattr(pynvml, name)), name
    assert all(gpu.name.isdigit() or gpu.is_slice for gpu in gpus.visible())


# --- how many at once ----------------------------------------------------------------------------

H200 = {1: 39.0, 2: 21.9, 4: 14.1, 8: 12.4, 12: 11.8}
"""Seconds that 24 trials of the project's own training took on one H200, by trials at once."""


NO_GAIN = dict.fromkeys(H200, 24.0)
"""A GPU that a single trial keeps busy."""
CROWDED = {1: 24.0, 2: 13.0, 4: 20.0, 8: 40.0, 12: 90.0}
"""One where many get in each other's way."""


@dataclass
class Trial:
    place: int
    begun: float
    left: float
    values: int


def run(growth: Growth, seconds: dict[int, float], trials: int, memory: int = 0) -> float:
    """Run trials on GPUs with these seconds for 24 of them; return the time it took.

    Each trial is of another length, up to twice the shortest, and takes `memory` of 80 bytes, of
    which others have 10.
    """
    lengths = random.Random(0)
    now, todo, running = 0.0, trials, list[Trial]()
    while todo or running:
        for place in range(len(growth.before)):
            free = growth.at_once - sum(trial.place == place for trial in running)
            for _ in range(min(free, todo)):
                length = lengths.uniform(1, 2)
                running.append(Trial(place, now, length, round(10 * length)))
                todo -= 1
        crowds = [
            sum(trial.place == place for trial in running) for place in range(len(growth.before))
        ]
        growth.look([(10 + memory * crowd, 80) for crowd in crowds])
        speeds = [speed(crowd, seconds) for crowd in crowds]
        step = min(trial.left / speeds[trial.place] for trial in running)
        now += step
        for trial in list(running):
            trial.left -= step * speeds[trial.place]
            if trial.left < 1e-9:
                running.remove(trial)
                growth.ended(trial.begun, now, trial.values)
    return now


def speed(crowd: int, seconds: dict[int, float]) -> float:
    """Of each of so many trials; a single one has 1. Between the measured numbers, a line."""
    together = [seconds[1] / seconds[known] for known in seconds]
    return float(np.interp(crowd, list(seconds), together)) / max(1, crowd)


@pytest.mark.parametrize("places", [1, 2, 4])
def test_auto_gets_as_much_done_as_was_measured_to_be_possible(places: int) -> None:
    alone = run(Growth(1, [(10, 80)] * places), H200, 100)
    growth = Growth(8, [(10, 80)] * places)
    assert alone / run(growth, H200, 100) > 2.5
    assert growth.at_once == 8
    assert growth.why.startswith("no more are tried, 1.")


@pytest.mark.parametrize(
    ("seconds", "most", "memory", "at_once", "why"),
    [
        (H200, 8, 0, 8, "no more are tried, 1.1"),
        (H200, 3, 0, 3, "no more are tried, 1."),
        (H200, 1, 0, 1, "no more are tried"),
        (H200, 8, 20, 3, "memory holds no more, 1."),
        (H200, 8, 60, 1, "memory holds no more"),
        (H200, 8, 69, 1, "memory holds no more"),
        (NO_GAIN, 8, 0, 1, "2 get 1.0"),
        (CROWDED, 8, 0, 2, "4 get 0.6"),
    ],
)
def test_auto_stops_where_more_gain_nothing(
    seconds: dict[int, float], most: int, memory: int, at_once: int, why: str
) -> None:
    growth = Growth(most, [(10, 80)])
    run(growth, seconds, 100, memory)
    assert growth.at_once == at_once
    assert growth.why.startswith(why)


def test_auto_never_takes_more_memory_than_there_is() -> None:
    for memory in range(1, 70):
        growth = Growth(8, [(10, 80)])
        run(growth, H200, 60, memory)
        assert 10 + growth.at_once * memory <= 80
        assert growth.at_once >= min(2, max(1, 62 // memory))


def test_trials_that_began_before_a_change_do_not_count() -> None:
    growth = Growth(8, [(0, 80)])
    assert growth.ended(0, 10, values=5)
    assert growth.at_once == 2
    assert not any(growth.ended(9, 11, values=500) for _ in range(10))
    assert growth.at_once == 2


def test_a_trial_out_of_memory_halves_the_number_for_good() -> None:
    growth = Growth(8, [(0, 80)])
    for _ in range(7):
        growth.ended(100 * growth.at_once, 100 * growth.at_once + 10, values=5)
    assert growth.at_once == 8
    assert growth.out_of_memory()
    assert (growth.at_once, growth.why) == (4, "8 ran out of memory")
    assert not any(growth.ended(1000, 1001, values=50) for _ in range(20))
    assert growth.out_of_memory()
    assert growth.at_once == 2


def test_a_program_that_logs_nothing_is_counted_in_trials() -> None:
    growth = Growth(8, [(0, 80)])
    assert growth.ended(0, 10, values=0)
    assert not growth.ended(10, 20, values=0)
    assert growth.ended(10, 20, values=0)
    assert growth.at_once == 4
