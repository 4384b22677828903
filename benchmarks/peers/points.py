"""The first points of a sweep as command lines of train.py: all peers run the same trials."""

import json
import sys
from pathlib import Path

from hypertrain.search.search import new_search, params_at
from hypertrain.sweepfile.sweep import load

sweep = load(Path(sys.argv[1]), Path.cwd())
search = new_search(sweep)
found = [search.ask(number + 1) for number in range(int(sys.argv[2]))]
points = [params_at(sweep.space, point) for point in found if point is not None]
print(json.dumps([[f"--{name}={value}" for name, value in point.items()] for point in points]))
