"""Two real `wandb agent` processes; the sweep is on the server before the clock starts."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import wandb
import yaml

sweep_file, count = Path(sys.argv[1]), int(sys.argv[2])
config = {**yaml.safe_load(sweep_file.read_text()), "run_cap": count}
sweep = wandb.sweep(config)
path = "/".join([os.environ["WANDB_ENTITY"], os.environ["WANDB_PROJECT"], sweep])
before = time.perf_counter()
words = [sys.executable, "-m", "wandb", "agent", path]
agents = [subprocess.Popen(words, stdout=subprocess.DEVNULL) for _ in range(2)]
for agent in agents:
    agent.wait()
print(json.dumps({"seconds": time.perf_counter() - before}))
