"""Sweep files of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypertrain.sweepfile.sweep import Sweep, load

LOSS = {"name": "loss", "goal": "minimize"}


def load_text(root: Path, text: str | bytes) -> Sweep:
    """Load `text` as the sweep file of a project with the program `train.py`."""
    (root / "train.py").touch()
    path = root / "sweep.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, root)


def sweep(root: Path, **keys: Any) -> Sweep:
    """The sweep of a file with these keys; those that every file needs have defaults."""
    whole = {"program": "train.py", "method": "grid", "parameters": {"x": {"value": 1}}, **keys}
    return load_text(root, yaml.safe_dump(whole, sort_keys=False))
