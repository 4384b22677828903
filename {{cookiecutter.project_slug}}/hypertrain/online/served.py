"""A sweep as W&B's server holds it: where its page is, and what of it a worker needs."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import wandb

from hypertrain.sweepfile import program
from hypertrain.sweepfile.notes import Notes
from hypertrain.sweepfile.sweep import Sweep, from_mapping


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
