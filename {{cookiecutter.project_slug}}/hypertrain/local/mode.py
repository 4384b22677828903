"""Whether the runs of trials go to W&B or stay on this disk."""

import os

from hypertrain import UserError, inside_wandb
from hypertrain.sweepfile.hints import nearest

MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")


def refuse_mode() -> None:
    """Before anything begins: W&B would refuse it in every trial."""
    mode = os.environ.get("WANDB_MODE")
    if mode and mode not in MODES:
        near = nearest(mode.casefold(), MODES) or "offline"
        raise UserError(
            f"WANDB_MODE: {mode!r} is none of {', '.join(MODES)}; write WANDB_MODE={near}"
        )
    if not mode:
        os.environ.pop("WANDB_MODE", None)  # W&B does not take an empty one for none


def wandb_mode() -> None:
    """Decide whether the trials' runs go online or stay offline, and say so in the environment."""
    if os.environ.get("WANDB_MODE"):
        return
    import wandb

    try:
        account = inside_wandb.has_key()
    except (wandb.Error, OSError) as error:
        raise UserError(f"W&B: {error}") from None
    os.environ["WANDB_MODE"] = "online" if account else "offline"
