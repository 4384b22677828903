"""What this machine has to share between trials, cores and GPUs, and how it is shared."""

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hypertrain import UserError
from hypertrain.gpus import Gpu

CGROUP = Path("/sys/fs/cgroup")
QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""Files of a container's CPU time and the period that it is for: cgroup v2 and v1."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MOST = 8
"""Trials at once on cores alone, or on one GPU with `auto`: more were measured to gain little."""


@dataclass(frozen=True)
class Asked:
    """What the user asked for; None where it is left to us."""

    workers: int | None = None
    trials_per_gpu: int | Literal["auto"] | None = None
    gpus_per_trial: int | None = None


@dataclass(frozen=True)
class Share:
    """How trials share the machine.

    places: the GPUs that a trial there sees; none on a machine without.
    workers: trials at once, at most; dealt to the places in turn.
    grows: whether each place begins with one trial. why: a line for the user, or nothing.
    """

    places: list[list[Gpu]]
    workers: int
    grows: bool
    why: str


def share(asked: Asked, found: Sequence[Gpu], cores: int, on_cores: int | None = None) -> Share:
    """Decide how trials share these GPUs and cores.

    on_cores: trials at once where there is no GPU; None goes by the number of cores.

    Raises: UserError for what contradicts itself and for what this machine does not have.
    """
    if asked.workers and asked.trials_per_gpu:
        raise UserError(
            "--workers and --trials-per-gpu both say how many trials run at once; give one"
        )
    places = _places(asked.gpus_per_trial, found)
    if not places:
        ignored = "--trials-per-gpu: there is no GPU, trials share the cores"
        why = ignored if asked.trials_per_gpu else ""
        return Share([], asked.workers or on_cores or min(cores, MOST), False, why)
    here = _shown(places)
    on_each = f"on each of {here}" if len(places) > 1 else f"on {here}"
    if asked.workers:
        return Share(places, asked.workers, False, f"Trials are dealt to {here}")
    if asked.trials_per_gpu != "auto":
        each = asked.trials_per_gpu or 1
        hint = "" if asked.trials_per_gpu else "; --trials-per-gpu auto sees whether more pay"
        why = f"{_count(each, 'trial')} at once {on_each}{hint}"
        return Share(places, each * len(places), False, why)
    if any(gpu.memory() is None for place in places for gpu in place):
        why = f"1 trial at once {on_each}: the memory cannot be read, which auto goes by"
        return Share(places, len(places), False, why)
    each = max(1, min(cores // len(places), MOST))
    why = f"Up to {_count(each, 'trial')} at once {on_each}, as many as pay"
    return Share(places, each * len(places), each > 1, why)


def _places(size: int | None, found: Sequence[Gpu]) -> list[list[Gpu]]:
    """GPUs in groups of `size`; those left over are not used."""
    if size is not None and size > len(found):
        names = f": {', '.join(gpu.name for gpu in found)}" if found else ""
        raise UserError(
            f"--gpus-per-trial {size}: this machine has {_count(len(found), 'GPU')}{names}"
        )
    if size is not None and size > 1 and any(gpu.is_slice for gpu in found):
        raise UserError(
            f"--gpus-per-trial {size}: slices of a GPU (MIG) do not work together; leave it out"
        )
    size = size or 1
    return [list(found[n : n + size]) for n in range(0, len(found) - size + 1, size)]


def _shown(places: list[list[Gpu]]) -> str:
    gpus = [gpu for place in places for gpu in place]
    models = " and ".join(sorted({gpu.model for gpu in gpus if gpu.model}))
    groups = f"{_count(len(places), 'group')} of " if len(places[0]) > 1 else ""
    number = len(places[0]) if groups else len(gpus)
    return f"{groups}{_count(number, 'GPU')}{f' ({models})' if models else ''}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def share_threads(workers: int) -> str:
    """Cap the threads of every trial that starts from here on, unless the user did; return the cap.

    Two trials with a thread for each core get in each other's way and run several times slower.
    """
    if "OMP_NUM_THREADS" not in os.environ:  # the others follow it
        threads = max(1, cores() // workers)
        for name in THREADS:
            os.environ.setdefault(name, str(threads))
    return os.environ["OMP_NUM_THREADS"]


def cores() -> int:
    """Cores that this process may use; a container's limit is mostly one of time, not of cores."""
    affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    for files in QUOTAS:
        with suppress(OSError, ValueError):
            time, period = " ".join((CGROUP / file).read_text() for file in files).split()
            if int(time) > 0:  # "max" and -1 are no limit
                cores = min(cores, math.ceil(int(time) / int(period)))
    return cores


def killed_for_memory() -> int:
    """How many processes the system has killed so far because memory ran out."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
