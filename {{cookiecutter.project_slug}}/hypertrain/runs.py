"""W&B runs of the trials: online with an account, offline without, one wandb-core for all."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hypertrain import UserError
from hypertrain.results.journal import Record
from hypertrain.sweepfile.sweep import Sweep

ARGS, CONFIG = "args.json", "config.yaml"
YAML_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # five times as fast where it exists


def open_wandb(log: Path) -> str:
    """Start the wandb-core that all trials share; return the mode of their runs.

    What wandb-core says of trials that were killed goes to `log`, not to the terminal.
    """
    mode = os.environ.get("WANDB_MODE")
    if mode in ("disabled", "dryrun"):
        return mode
    import wandb

    try:
        if not mode:
            account = wandb.login(prompt=False, verify=False)
            mode = os.environ["WANDB_MODE"] = "online" if account else "offline"
        with _output_to(log):
            wandb.setup()
    except (wandb.Error, OSError) as error:
        raise UserError(f"W&B: {error}") from None
    return mode


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Processes started meanwhile write to `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = [os.dup(1), os.dup(2)]
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        for number, kept in enumerate(terminal, start=1):
            os.dup2(kept, number)
            os.close(kept)


def write_params(folder: Path, params: Mapping[str, Any]) -> None:
    """Leave a trial's parameters where its program and its run look for them."""
    (folder / ARGS).write_text(json.dumps(params))
    config = {name: {"value": value} for name, value in params.items()}
    (folder / CONFIG).write_text(yaml.dump({"wandb_version": 1, **config}, Dumper=YAML_DUMPER))


def environment(sweep: Sweep, record: Record, results: Path) -> dict[str, str]:
    """What tells the trial's run its name and place, and wandb.config the parameters."""
    found = {
        "WANDB_DIR": str(results),
        "WANDB_PROJECT": sweep.project,
        "WANDB_RUN_GROUP": f"{sweep.name}-{sweep.id}",
        "WANDB_NAME": f"trial-{record.number}",
        "WANDB_RUN_ID": f"{sweep.id}-{record.folder.removeprefix('trials/')}",
        "WANDB_SWEEP_PARAM_PATH": str(results / record.folder / CONFIG),
    }
    return found | ({"WANDB_ENTITY": sweep.entity} if sweep.entity else {})
