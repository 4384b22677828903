"""What a whole bake takes by our worker, and by the official `wandb agent` in its place:

    .cache/tests/bin/python benchmarks/bake_time.py --rounds 3

The stock grid of twelve, two workers, the real neuro-flow, the stand-in platform and W&B server of
the tests, the image there already. Both bake in turns; what each bake took goes to bake_time.jsonl,
the medians are printed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT / "tests")  # where `environments` is another module than here

RAW = Path(__file__).with_name("bake_time.jsonl")
WAYS = {"ours": "", "agent": '\nASKED["_a_function_that_no_wandb_has"] = set()\n'}
"""What is appended to `hypertrain/inside_wandb.py`: the worker then runs the official agent."""
POINTS = 12


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--rounds", type=int, default=3)
    rounds = words.parse_args().rounds
    found: list[dict[str, Any]] = []
    for number in range(rounds):
        one = {way: bake(way) for way in WAYS}
        print(one, flush=True)
        found += [{"round": number + 1, "way": way, "seconds": one[way]} for way in WAYS]
    RAW.write_text("".join(f"{json.dumps(line)}\n" for line in found))
    for way in WAYS:
        seconds = [line["seconds"] for line in found if line["way"] == way]
        print(f"{way}: {median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})")


def bake(way: str) -> float:
    """Seconds from `neuro-flow bake` until the client has said that it is over."""
    from platform_client import platform_user
    from wandb_api import serve

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        words = [sys.executable, "-m", "cookiecutter", "--no-input", f"--output-dir={folder}"]
        subprocess.run([*words, str(ROOT)], check=True, capture_output=True)
        (project,) = folder.iterdir()
        with (project / "hypertrain" / "inside_wandb.py").open("a") as file:
            file.write(WAYS[way])
        with serve() as server, platform_user("neuro-flow", project, folder) as user:
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
    main()
