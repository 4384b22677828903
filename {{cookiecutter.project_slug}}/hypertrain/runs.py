"""W&B runs of the trials: online with an account, offline without, one wandb-core for all."""

import os
from pathlib import Path

from hypertrain import UserError
from hypertrain.journal import Record
from hypertrain.sweep import Sweep


def open_wandb() -> str:
    """Start the wandb-core that all trials share; return the mode of their runs."""
    mode = os.environ.get("WANDB_MODE")
    if mode in ("disabled", "dryrun"):
        return mode
    import wandb

    try:
        if not mode:
            account = wandb.login(prompt=False, verify=False)
            mode = os.environ["WANDB_MODE"] = "online" if account else "offline"
        wandb.setup()
    except (wandb.Error, OSError) as error:
        raise UserError(f"W&B: {error}") from None
    return mode


def environment(sweep: Sweep, record: Record, results: Path) -> dict[str, str]:
    """What tells the trial's run its name and place, and wandb.config the parameters."""
    found = {
        "WANDB_DIR": str(results),
        "WANDB_PROJECT": sweep.project,
        "WANDB_RUN_GROUP": f"{sweep.name}-{sweep.id}",
        "WANDB_NAME": f"trial-{record.number}",
        "WANDB_RUN_ID": f"{sweep.id}-{record.folder.removeprefix('trials/')}",
        "WANDB_SWEEP_PARAM_PATH": str(results / record.folder / "config.yaml"),
    }
    return found | ({"WANDB_ENTITY": sweep.entity} if sweep.entity else {})
