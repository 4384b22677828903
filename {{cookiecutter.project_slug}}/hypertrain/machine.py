"""What this machine has to share between workers: GPUs and cores."""

import math
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""Files of a container's CPU time and the period that it is for: cgroup v2 and v1."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def default_workers() -> int:
    """One for each GPU, else one for each core, up to 8."""
    return len(gpus()) or min(_cores(), 8)


def share_threads(workers: int) -> None:
    """Cap the threads of every trial that starts from here on, unless the user did.

    Two trials with a thread for each core get in each other's way and run several times slower.
    """
    if "OMP_NUM_THREADS" not in os.environ:  # the others follow it
        threads = max(1, _cores() // workers)
        for name in THREADS:
            os.environ.setdefault(name, str(threads))


def gpus() -> list[str]:
    """GPUs that trials may use, found without touching CUDA in this process."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.split() if answer.returncode == 0 else []


def _cores() -> int:
    """Cores that this process may use; a container's limit is mostly one of time, not of cores."""
    affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if affinity else os.cpu_count() or 1
    for files in QUOTAS:
        with suppress(OSError, ValueError):
            time, period = " ".join((CGROUP / file).read_text() for file in files).split()
            if int(time) > 0:  # "max" and -1 are no limit
                cores = min(cores, math.ceil(int(time) / int(period)))
    return cores
