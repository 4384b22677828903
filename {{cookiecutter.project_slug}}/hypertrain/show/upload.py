"""How runs that stayed offline come to W&B, and become a sweep there."""

import shlex
from pathlib import Path

from hypertrain.sweepfile.sweep import Sweep

OFFLINE = "wandb/offline-run-*"


def upload(folder: Path, where: Path, sweep: Sweep) -> list[str]:
    """The commands, ready to paste; none where no run is offline.

    where: the results folder as a person would write it.
    """
    if not any(folder.glob(OFFLINE)):
        return []
    runs = f"{shlex.quote(str(where))}/{OFFLINE}"
    owner = ["--project", sweep.project, *(["--entity", sweep.entity] if sweep.entity else [])]
    # Each folder's name ends with the run's id, behind the time at which it began.
    ids = f"$(ls -d {runs} | sed 's/.*offline-run-[0-9_]*-/-R /')"
    return [
        f"wandb sync {runs}",
        f"wandb sweep {shlex.join(owner)} {ids} {shlex.quote(str(sweep.path))}",
    ]
