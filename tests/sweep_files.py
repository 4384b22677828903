"""Sweep files of the tests, and the command lines that `wandb agent` makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypertrain.sweepfile.sweep import Sweep, load
from wandb import wandb_agent

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


def of_agent(
    command: list[Any] | None,
    params: dict[str, Any],
    args_json_file: Path,
    program: str | None = "train.py",
) -> list[str]:
    """Words that the installed wandb's agent starts, when the server sends these parameters."""
    started: list[list[str]] = []

    def start(command: list[str], **_: Any) -> SimpleNamespace:
        started.append(command)
        return SimpleNamespace()

    agent = wandb_agent.Agent(api=None, queue=None)
    agent._sweep_command = list(command or [])
    sent = json.loads(json.dumps({name: {"value": value} for name, value in params.items()}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wandb_agent, "AgentProcess", start)
        patch.setenv("WANDB_SWEEP_ID", "sweep")
        for name in ("WANDB_DIR", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
            patch.setenv(name, "")  # what the agent sets itself does not stay
        # The agent writes its parameter files there, creating no folder.
        Path("wandb/sweep-sweep").mkdir(parents=True, exist_ok=True)
        run = {"run_id": "run", "program": program, "args": sent}
        agent._command_run(run)  # type: ignore[no-untyped-call]
    written = "wandb/sweep-sweep/config-run.json"
    return [str(args_json_file) if word.endswith(written) else word for word in started[0]]
