"""Our worker on a sweep that is on the server before the clock starts; two trials at a time."""

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
words = [sys.executable, "-m", "hypertrain", "--workers", "2", "--keep", "all", "worker", path]
before = time.perf_counter()
subprocess.run(words, check=True)
print(json.dumps({"seconds": time.perf_counter() - before}))
