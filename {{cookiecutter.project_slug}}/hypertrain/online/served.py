"""A sweep as W&B's server holds it: how it comes there, its name and page, what a worker needs."""

import os
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import wandb

from hypertrain import UserError
from hypertrain.sweepfile import program
from hypertrain.sweepfile.notes import Notes
from hypertrain.sweepfile.sweep import Sweep, from_mapping


def create(sweep: Sweep) -> str:
    """Create the sweep on W&B; return entity/project/id.

    Raises: what wandb raises.
    """
    entity = os.environ.get("WANDB_ENTITY") or sweep.entity
    with redirect_stdout(StringIO()):
        sweep_id = wandb.sweep(sweep.sent, entity=entity, project=sweep.project)
    return "/".join([os.environ["WANDB_ENTITY"], os.environ["WANDB_PROJECT"], sweep_id])


def check_name(path: str) -> None:
    """Raises: UserError where that is not entity/project/id."""
    if len([part for part in path.split("/") if part]) != 3:
        raise UserError(f"{path}: give the sweep as ENTITY/PROJECT/SWEEP, as its W&B page names it")


def address(path: str) -> str:
    """The page of the sweep entity/project/id."""
    entity, project, sweep = map(quote, path.split("/"))
    site = wandb.setup().settings.app_url.rstrip("/")
    return f"{site}/{entity}/{project}/sweeps/{sweep}"


def as_served(path: str, config: dict[str, Any], root: Path) -> Sweep:
    """The sweep entity/project/id, to be run here.

    Its points and its search are the server's, which knows more kinds than this machine can run.
    Raises: UserError when the program is not here.
    """
    entity, project, sweep_id = path.split("/")
    sweep = from_mapping(Path(path), config)
    notes = Notes(Path(path))
    named, file = program.find(sweep.named, sweep.command, root, notes)
    notes.refuse()
    return replace(
        sweep,
        id=sweep_id,
        program=file or sweep.program,
        named=named,
        project=project,
        entity=entity,
    )
