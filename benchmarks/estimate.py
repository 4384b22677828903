"""How near the time that `check` foretells comes to the time that a sweep then takes:

    .cache/tests/bin/python benchmarks/estimate.py

20 sweeps of different shape: programs that train a network, compute or wait; grids, chance and
bayes; trials of one length or of several; measured whole, or cut off by `--trial-time` and told by
their progress; one to three workers. What was found goes to estimate.jsonl and is printed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from environments import bake

RAW = Path(__file__).with_name("estimate.jsonl")
NEAR = 0.25
STOCK, COMPUTES, WAITS = "modules/train.py", "computes.py", "waits.py"
PROGRAMS = {
    COMPUTES: """\
import argparse
import numpy as np
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--width", type=int, default=300)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
run = wandb.init(config=vars(args))
data = np.random.default_rng(args.seed).standard_normal((args.width, args.width))
for epoch in range(1, args.epochs + 1):
    for _ in range(60):
        u, _, _ = np.linalg.svd(data)
    run.log({"loss": float(u[0, 0])})
    print(f"Epoch {epoch}/{args.epochs}", flush=True)
""",
    WAITS: """\
import argparse
import time
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=10)
parser.add_argument("--each", type=float, default=0.4)
parser.add_argument("--first", type=float, default=0)
parser.add_argument("--quiet", type=int, default=0)
parser.add_argument("--x", type=float, default=0)
args = parser.parse_args()
run = wandb.init(config=vars(args))
time.sleep(args.first)
for step in range(1, args.steps + 1):
    time.sleep(args.each)
    run.log({"loss": args.x / step})
    if not args.quiet:
        print(f"step {step} of {args.steps}", flush=True)
""",
}


@dataclass(frozen=True)
class Shape:
    """A sweep. seconds: `--trial-time`; more: further keys of its file, `method` among them."""

    program: str
    parameters: dict[str, Any]
    workers: int = 2
    seconds: float = 60
    more: dict[str, Any] | None = None


def values(*them: Any) -> dict[str, Any]:
    return {"values": list(them)}


RANGE = {"min": 0.0, "max": 1.0}
SHAPES = [
    Shape(STOCK, {"lr": values(0.1, 0.01, 0.001), "optimizer": values("sgd", "adam")}),
    Shape(STOCK, {"lr": values(0.1, 0.01), "epochs": values(2, 5, 20)}),
    Shape(STOCK, {"lr": values(0.1, 0.01, 0.001), "batch_size": values(32, 64, 128)}),
    Shape(STOCK, {"epochs": {"value": 60}, "seed": values(1, 2, 3, 4)}, seconds=12),
    Shape(STOCK, {"lr": {"min": 0.01, "max": 0.2}}, more={"method": "bayes", "run_cap": 10}),
    Shape(STOCK, {"lr": {"min": 0.01, "max": 0.2}}, 1, more={"method": "random", "run_cap": 4}),
    Shape(COMPUTES, {"seed": values(1, 2, 3, 4, 5, 6)}),
    Shape(COMPUTES, {"seed": values(1, 2, 3)}, 1),
    Shape(COMPUTES, {"seed": values(1, 2, 3, 4, 5, 6)}, 3),
    Shape(COMPUTES, {"epochs": values(3, 6, 9), "seed": values(1, 2)}),
    Shape(COMPUTES, {"epochs": {"value": 40}, "seed": values(1, 2, 3)}, seconds=10),
    Shape(COMPUTES, {"width": values(200, 300, 400), "seed": values(1, 2, 3)}),
    Shape(WAITS, {"x": values(*range(24))}),
    Shape(WAITS, {"x": values(*range(7))}, 3),
    Shape(WAITS, {"steps": values(5, 10, 40), "x": values(1, 2)}),
    Shape(WAITS, {"steps": {"value": 60}, "first": {"value": 4}, "x": values(1, 2, 3)}, seconds=14),
    Shape(WAITS, {"steps": values(20, 80), "x": values(1, 2)}, seconds=10),
    Shape(WAITS, {"quiet": {"value": 1}, "x": values(*range(9))}),
    Shape(WAITS, {"x": RANGE}, more={"method": "random", "run_cap": 40}),
    Shape(WAITS, {"each": {"min": 0.1, "max": 0.7}}, 3, more={"method": "random", "run_cap": 24}),
]


def main() -> None:
    project = bake(Path(sys.executable))
    found = []
    for number, shape in enumerate(SHAPES, 1):
        with tempfile.TemporaryDirectory() as temporary:
            one = {"sweep": number, **compare(shape, project, Path(temporary))}
        found.append(one)
        print(json.dumps(one), flush=True)
    RAW.write_text("".join(f"{json.dumps(one)}\n" for one in found))
    off = [one["estimate"] / one["seconds"] - 1 for one in found]
    near = sum(abs(share) <= NEAR for share in off)
    print(f"{near} of {len(off)} within {NEAR:.0%}; {min(off):+.0%} to {max(off):+.0%}")
    print(f"median distance {median(map(abs, off)):.0%}")


def compare(shape: Shape, project: Path, folder: Path) -> dict[str, Any]:
    """Seconds of the sweep as foretold and as it took."""
    places = [folder / "copy", folder / "real"]
    for place in places:
        shutil.copytree(project, place)
        for name, text in PROGRAMS.items():
            (place / name).write_text(text)
        (place / "config" / "wandb-sweep.yaml").write_text(yaml.safe_dump(sweep(shape)))
    env = os.environ | {"WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, __file__, str(shape.workers), str(shape.seconds)]
    told = subprocess.run(words, cwd=places[0], env=env, check=True, stdout=subprocess.PIPE)
    words = [sys.executable, "-m", "hypertrain", f"--workers={shape.workers}"]
    begun = time.perf_counter()
    subprocess.run(words, cwd=places[1], env=env, check=True, stdout=subprocess.DEVNULL)
    return {
        "program": shape.program,
        "workers": shape.workers,
        "trial_time": shape.seconds,
        "estimate": round(json.loads(told.stdout), 2),
        "seconds": round(time.perf_counter() - begun, 2),
    }


def sweep(shape: Shape) -> dict[str, Any]:
    name, goal = (
        ("accuracy01/valid", "maximize") if shape.program == STOCK else ("loss", "minimize")
    )
    return {
        "program": shape.program,
        "project": "estimate",
        "method": "grid",
        "metric": {"name": name, "goal": goal},
        "parameters": shape.parameters,
        **(shape.more or {}),
    }


def foretell(workers: int, seconds: float) -> None:
    """Print what `check` would say, in seconds; the working directory is a copy of the project."""
    sys.path.insert(0, str(Path.cwd()))
    from hypertrain.check.cost import estimate
    from hypertrain.search.search import new_search
    from hypertrain.sweepfile.sweep import load

    here = Path.cwd()
    one = load(Path("config", "wandb-sweep.yaml"), here)
    size = min(n for n in (one.run_cap, new_search(one).size) if n)
    found = estimate(one, here, size, workers, seconds)
    if not found:
        raise SystemExit("the trials did not end")
    print(found.seconds(workers))


if __name__ == "__main__":
    foretell(int(sys.argv[1]), float(sys.argv[2])) if sys.argv[1:] else main()
