"""A new process for each trial, two at a time: the best case of every agent."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def run(arguments: list[str]) -> None:
    words = [sys.executable, "modules/train.py", *arguments]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


points = json.loads(Path(sys.argv[1]).read_text())
with ThreadPoolExecutor(2) as pool:
    list(pool.map(run, points))
