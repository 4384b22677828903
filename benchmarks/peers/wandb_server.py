"""The loopback W&B server of the tests, until stdin ends; prints the variables of its clients."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from wandb_api import serve

with serve() as server:
    print(json.dumps(server.env), flush=True)
    sys.stdin.read()
