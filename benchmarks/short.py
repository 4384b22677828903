"""A worker with 1,000 trials that take no time: does it grow, in memory, descriptors or time?

The agents' protocol is real, at the loopback server; the trials' runs are disabled. Linux only.
Run by `run.py`, with the baked project as the working directory.
"""

import json
import re
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

TRIALS, EARLY = 1_000, 100
PROGRAM = """\
import wandb

wandb.init(mode="disabled").log({"score": 1.0})
"""
SWEEP = {
    "program": "modules/short.py",
    "project": "short",
    "method": "grid",
    "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"x": {"values": list(range(TRIALS))}},
}
START = "import json, wandb; print('/'.join(['{entity}', 'short', wandb.sweep({sweep})]))"


def short(python: Path, project: Path, env: dict[str, str]) -> dict[str, Any]:
    """What the worker's process holds after the first trials and after all of them."""
    (project / "modules" / "short.py").write_text(PROGRAM)
    script = START.format(entity=env["WANDB_ENTITY"], sweep=json.dumps(SWEEP))
    made = [str(python), "-c", script]
    path = subprocess.run(
        made, cwd=project, env=env, check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    words = [str(python), "-m", "hypertrain", "--workers", "2", "worker", path]
    worker = subprocess.Popen(
        words,
        cwd=project,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert worker.stdout is not None
    ended: list[float] = []
    early: dict[str, int] = {}
    late: dict[str, int] = {}
    for line in worker.stdout:
        if re.match(r"\[\d+/", line):
            ended.append(time.perf_counter())
            if len(ended) == EARLY:
                early = held(worker.pid)
            if len(ended) == TRIALS - 1:
                late = held(worker.pid)
    if worker.wait() or len(ended) != TRIALS:
        raise SystemExit(f"short: exit status {worker.returncode} after {len(ended)} trials")
    return {
        "early": early | {"ms": pace(ended[:EARLY])},
        "late": late | {"ms": pace(ended[-EARLY:])},
    }


def held(pid: int) -> dict[str, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+)", status)
    (threads,) = re.findall(r"Threads:\s+(\d+)", status)
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        "kib": int(kilobytes),
        "threads": int(threads),
        "descriptors": descriptors,
        "children": len(children),
    }


def pace(ended: list[float]) -> float:
    """Milliseconds between the ends of two trials, leaving out the first, which warm up."""
    gaps = [later - earlier for earlier, later in pairwise(ended[10:])]
    return 1000 * median(gaps)
