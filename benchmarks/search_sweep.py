"""The sweep that a file's content is to the tuner, for benchmarks of its search."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypertrain.sweepfile.sweep import Sweep, load


def sweep_of(config: Mapping[str, Any], seed: int) -> Sweep:
    """config: as in the sweep file, without its program. seed: decides what the search draws."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "train.py").touch()
        file = root / "sweep.yaml"
        file.write_text(yaml.safe_dump({"program": "train.py", **config}))
        return replace(load(file, root), id=f"seed-{seed}")
