"""The command line: `python -m hypertrain` runs the sweep; the subcommands do all the rest."""

import argparse
import gc
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hypertrain import UserError
from hypertrain.sweepfile.sweep import load

if TYPE_CHECKING:
    from hypertrain.tuner import Limits

SWEEP_FILE = Path("config", "wandb-sweep.yaml")


def main() -> int:
    arguments = _parser().parse_args()
    # `echo KEY > file` leaves a newline in the secret made of the file, and wandb refuses the key.
    if key := os.environ.get("WANDB_API_KEY"):
        os.environ["WANDB_API_KEY"] = key.strip()
    try:
        return _run(arguments)
    except UserError as error:
        print(f"hypertrain: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hypertrain: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    root = Path.cwd()
    match arguments.task:
        case "check":
            from hypertrain.check.check import check

            return check(arguments.sweep, root, dict(arguments.param), _console())
        case "start-sweep":
            from hypertrain.online.sweep import start_sweep

            file = Path(os.environ.get("WANDB_SWEEPS_FILE") or SWEEP_FILE)
            start_sweep(file, root, arguments.join, arguments.note)
            return 0
        case "worker":
            from hypertrain.machine import gpus
            from hypertrain.online.worker import work

            limits = _limits(arguments, len(gpus()) or 1)
            return work(arguments.sweep_path, root, limits, arguments.count, _console())
        case "leaderboard":
            from hypertrain.online.sweep import leaderboard

            leaderboard(arguments.sweep_path, _console())
            return 0
        case _:
            from hypertrain.local import tune
            from hypertrain.machine import default_workers

            limits = _limits(arguments, default_workers())
            return tune(load(arguments.sweep, root), root, limits, arguments.count, _console())


def _limits(arguments: argparse.Namespace, workers: int) -> "Limits":
    from hypertrain.tuner import Limits

    return Limits(
        workers=arguments.workers or workers,
        seconds=arguments.time_limit,
        trial_seconds=arguments.trial_time_limit,
        cold=arguments.cold,
    )


def _console() -> Console:
    """Without a terminal, wide enough for a line not to be cut."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hypertrain",
        description="Run the sweep on this machine; after any interruption the same command goes on.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--sweep",
        type=Path,
        default=SWEEP_FILE,
        metavar="FILE",
        help=f"the sweep file [{SWEEP_FILE}]",
    )
    _add_limits(parser)
    tasks = parser.add_subparsers(
        dest="task", title="instead of running the sweep", metavar="{check,leaderboard,worker}"
    )
    check = tasks.add_parser("check", help="look at everything before the platform is paid for")
    check.add_argument(
        "--param",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="as of the bake that is meant, such as `--param preset gpu-small`",
    )
    results = tasks.add_parser("leaderboard", help="show the results of a sweep on W&B")
    worker = tasks.add_parser("worker", help="run trials of a sweep on W&B until none is left")
    _add_limits(worker, default=argparse.SUPPRESS)  # may stand before the task, too
    for task in (results, worker):
        task.add_argument("sweep_path", metavar="ENTITY/PROJECT/SWEEP")
    start = tasks.add_parser("start-sweep")
    start.add_argument("--join", default="", metavar="ENTITY/PROJECT/SWEEP")
    start.add_argument("--note", type=Path, metavar="FILE")
    return parser


def _add_limits(parser: argparse.ArgumentParser, **options: Any) -> None:
    """What a local sweep and a worker have in common. options: of every one of them."""

    def add(name: str, **own: Any) -> None:
        parser.add_argument(name, **own | options)

    add(
        "--workers",
        type=_positive,
        metavar="N",
        help="trials at once [one for each GPU, else for each core up to 8; of a worker, else one]",
    )
    add("--count", type=_positive, metavar="N", help="trials in all [what the sweep file says]")
    add(
        "--time-limit",
        type=_seconds,
        metavar="T",
        help="stop after 90s, 30m or 2h; the rest can be run later",
    )
    add(
        "--trial-time-limit",
        type=_seconds,
        metavar="T",
        help="end a trial that runs longer than this; it counts as failed",
    )
    add("--cold", action="store_true", help="start every trial as a new process (slower)")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text} is no time; write 90s, 30m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


if __name__ == "__main__":
    status = main()
    gc.freeze()  # to take apart all that W&B imported would cost 0.1 s at the end
    sys.exit(status)
