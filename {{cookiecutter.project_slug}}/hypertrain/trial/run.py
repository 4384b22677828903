"""What tells a trial's program and its W&B run who they are: environment and parameter files."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypertrain import inside_wandb
from hypertrain.trial import record

ARGS, CONFIG = "args.json", "config.yaml"
INJECT = Path(__file__).parent / "inject"


@dataclass(frozen=True)
class Run:
    """A trial's run on W&B.

    folder: the trial's own, for its files. home: where W&B keeps runs. sweep: what W&B calls it.
    """

    id: str
    sweep: str
    project: str
    folder: Path
    home: Path
    entity: str | None = None
    name: str | None = None
    group: str | None = None
    on_server: bool = False
    """Whether a W&B server knows the sweep."""
    goes_on: bool = False
    """Whether it was begun before and cut off."""


def write_params(folder: Path, params: Mapping[str, Any]) -> None:
    """Leave a trial's parameters where its program and its run look for them."""
    (folder / ARGS).write_text(json.dumps(params))
    inside_wandb.write_params(folder / CONFIG, params)


def agents_environment(run: Run) -> dict[str, str]:
    """What `wandb agent` sets in its own environment, which its command may name."""
    folder = os.environ.get("WANDB_DIR") or str(Path.cwd())
    told = {"WANDB_PROJECT": run.project, "WANDB_ENTITY": run.entity, "WANDB_SWEEP_ID": run.sweep}
    return {"WANDB_DIR": folder, **{name: value for name, value in told.items() if value}}


def environment(run: Run, metrics: Path) -> dict[str, str]:
    """The environment of `wandb agent` for a trial, and where it is to note what it logs.

    This interpreter comes first on PATH, as in an activated environment.
    """
    inherited = {k: v for k, v in os.environ.items() if k not in inside_wandb.NOT_FOR_TRIALS}
    path = [str(Path(sys.executable).parent), os.environ.get("PATH")]
    modules = [str(INJECT), os.environ.get("PYTHONPATH")]
    given = {
        "WANDB_DIR": str(run.home),
        "WANDB_PROJECT": run.project,
        "WANDB_ENTITY": run.entity,
        "WANDB_NAME": os.environ.get("WANDB_NAME") or run.name,
        "WANDB_RUN_GROUP": os.environ.get("WANDB_RUN_GROUP") or run.group,
        "WANDB_RUN_ID": run.id,
        "WANDB_SWEEP_ID": run.sweep,
        "WANDB_SWEEP_PARAM_PATH": str(run.folder / CONFIG),
        "PATH": os.pathsep.join(filter(None, path)),
        "PYTHONPATH": os.pathsep.join(filter(None, modules)),
        record.FILE: str(metrics),
        inside_wandb.LOCAL_SWEEP: None if run.on_server else "1",
        "WANDB_RESUME": "allow" if run.goes_on else None,
    }
    return inherited | {name: value for name, value in given.items() if value}
