"""What a whole bake takes by our worker, and by the official `wandb agent` in its place:

    .cache/tests/bin/python benchmarks/bake_time.py --rounds 3

The stock grid of twelve, two workers, the real neuro-flow, the stand-in platform and W&B server of
the tests, the image there already. Both bake in turns; what each bake took goes to bake_time.jsonl,
the medians are printed.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from environments import ROOT, bake, python

sys.path.insert(0, str(ROOT / "tests"))

from platform_client import platform_user
from wandb_api import serve

RAW = Path(__file__).with_name("bake_time.jsonl")
WAYS = {"ours": "", "agent": '\nUSED["_a_function_that_no_wandb_has"] = set()\n'}
"""What is appended to `hypertrain/online/agent.py`: the worker then runs the official agent."""
POINTS = 12


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--rounds", type=int, default=3)
    rounds = words.parse_args().rounds
    project = bake(python("tools"))
    found: list[dict[str, Any]] = []
    for number in range(rounds):
        one = {way: baked(project, way) for way in WAYS}
        print(one, flush=True)
        found += [{"round": number + 1, "way": way, "seconds": one[way]} for way in WAYS]
    RAW.write_text("".join(f"{json.dumps(line)}\n" for line in found))
    for way in WAYS:
        seconds = [line["seconds"] for line in found if line["way"] == way]
        print(f"{way}: {median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})")


def baked(template: Path, way: str) -> float:
    """Seconds from `neuro-flow bake` until the client has said that it is over."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        project = folder / "neuro-flow" / "project"
        shutil.copytree(template, project)
        with (project / "hypertrain" / "online" / "agent.py").open("a") as file:
            file.write(WAYS[way])
        with serve() as server, platform_user("neuro-flow", project, project.parent) as user:
            user.image()
            user.add_secret(value=server.key)
            since = time.monotonic()
            process = user.start(
                *("neuro-flow", "bake", "hypertrain", "--name", "timed"),
                *("--param", "token_secret_name", "wandb-token"),
                *("--param", "wandb_base_url", server.url),
            )
            user.finish(process, timeout=900)
            spent = time.monotonic() - since
            states = [run.state for run in server.runs.values()]
            assert states == ["finished"] * POINTS, states
    return round(spent, 1)


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    main()
