"""The command line: `python -m hypertrain` runs the sweep; the subcommands do all the rest."""

import argparse
import gc
import io
import os
import re
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hypertrain import UserError, __version__
from hypertrain.show.lasting import Lasting
from hypertrain.sweepfile.sweep import SWEEP_FILE, load

if TYPE_CHECKING:
    from hypertrain.tuner import Limits


def main() -> int:
    arguments = _parser().parse_args()
    # `echo KEY > file` leaves a newline in the secret made of the file, and wandb refuses the key.
    if key := os.environ.get("WANDB_API_KEY"):
        os.environ["WANDB_API_KEY"] = key.strip()
    try:
        return _run(arguments)
    except UserError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        _complain("interrupted; the same command goes on where it stopped")
        return 130
    except BrokenPipeError:  # nobody reads on, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:  # noqa: BLE001
        _complain(_unforeseen(error))
        return 2


def _complain(text: str) -> None:
    with suppress(OSError):  # nobody may be there any more
        print(f"hypertrain: {text}", file=sys.stderr)


def _unforeseen(error: Exception) -> str:
    """One line for what nobody has thought of, and where all about it is."""
    what = next(iter(str(error).splitlines()), "")
    line = f"{type(error).__name__}: {what}"
    if isinstance(error, OSError):  # it says what and where
        return line
    try:
        file, path = tempfile.mkstemp(prefix="hypertrain-", suffix=".log")
        with open(file, "w", errors="replace") as log:  # noqa: PTH123
            traceback.print_exception(error, file=log)
    except OSError:
        return line
    return f"{line} (the traceback is in {path})"


def _run(arguments: argparse.Namespace) -> int:
    root, file = _here(), arguments.sweep or Path(SWEEP_FILE)
    match arguments.task:
        case "check":
            from hypertrain.check.check import Wanted, check

            workers = _limits(arguments).workers
            wanted = Wanted(dict(arguments.param), workers, arguments.trial_time)
            return check(file, root, wanted, _console())
        case "start-sweep":
            from hypertrain.online.sweep import start_sweep

            file = Path(os.environ.get("WANDB_SWEEPS_FILE") or SWEEP_FILE)
            start_sweep(file, root, arguments.join, arguments.note)
            return 0
        case "worker":
            from hypertrain.online.worker import work

            limits = _limits(arguments, on_cores=1)
            return work(arguments.sweep_path, root, limits, arguments.count, _console(lasting=True))
        case "leaderboard" | "list" | "report" | "export":
            _look(arguments, root)
            return 0
        case "confirm":
            from hypertrain.confirm import Asked, confirm

            seeds, option = arguments.seeds, arguments.seed_option
            asked = Asked(seeds, option, arguments.test, arguments.retry)
            return confirm(
                load(file, root), root, _limits(arguments), asked, _console(lasting=True)
            )
        case _:
            from hypertrain.local import tune

            limits, sweep = _limits(arguments), load(file, root)
            given = tune.Asked(arguments.count, arguments.anew, arguments.retry)
            return tune.tune(sweep, root, limits, given, _console(lasting=True))


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UserError("this folder has been deleted; change to the project's folder") from None


def _limits(arguments: argparse.Namespace, on_cores: int | None = None) -> "Limits":
    """on_cores: trials at once where there is no GPU; None leaves it to the number of cores."""
    from hypertrain import gpus, machine
    from hypertrain.tuner import Limits

    asked = machine.Asked(arguments.workers, arguments.trials_per_gpu, arguments.gpus_per_trial)
    return Limits(
        share=machine.share(asked, gpus.visible(), machine.cores(), on_cores),
        seconds=arguments.time_limit,
        trial_seconds=arguments.trial_time_limit,
        cold=arguments.cold,
        keep=arguments.keep,
    )


def _look(arguments: argparse.Namespace, root: Path) -> None:
    """What only reads: no trial is started."""
    from hypertrain.show import look

    if arguments.task == "list":
        return look.listing(_console(), root, arguments.form)
    where, folder = arguments.where, None
    if where and where.count("/") == 2 and not Path(where).exists():
        from hypertrain.online.sweep import outcome_of

        found = outcome_of(where)
    else:
        from hypertrain.results.folder import find
        from hypertrain.results.outcome import outcome

        folder = find(root, where, arguments.sweep)
        found = outcome(folder, root)
    if arguments.task == "leaderboard":
        return look.leaderboard(_console(), found, arguments.form)
    if arguments.task == "report":
        return look.report(_console(), found, root)
    return look.export(_console(), found, arguments.optuna)


def _console(lasting: bool = False) -> Console:
    """Without a terminal, wide enough for a line not to be cut, unless COLUMNS says how wide.

    lasting: when nobody reads it any more, what is said goes to the terminal, if there is one.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every encoding has all that is shown
    stream: Any = sys.stdout and Lasting(sys.stdout, sys.stderr if lasting else None)
    console = Console(file=stream)
    known = console.is_terminal or "COLUMNS" in os.environ
    return console if known else Console(file=stream, width=160)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hypertrain",
        description="Run the sweep on this machine; after any interruption the same command goes on.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"hypertrain {__version__}, of cookiecutter-neuro-project",
        help="say which version of the template hypertrain/ is of",
    )
    parser.add_argument(
        "--sweep",
        type=Path,
        metavar="FILE",
        help=f"the sweep file [{SWEEP_FILE}]",
    )
    _add_limits(parser)
    parser.add_argument(
        "--anew",
        action="store_true",
        help="train again what another sweep has trained already, with the same code and settings",
    )
    parser.add_argument(
        "--retry",
        action="store_true",
        help="try failed trials again, even though the program has not changed",
    )
    tasks = parser.add_subparsers(
        dest="task",
        title="instead of running the sweep",
        metavar="{check,leaderboard,list,report,confirm,export,start-sweep,worker}",
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
    check.add_argument(
        "--trial-time",
        type=_seconds,
        default=600.0,
        metavar="T",
        help="judge time and cost of the sweep by trials of at most this length [10m]",
    )
    _add_looks(tasks)
    _add_confirm(tasks)
    worker = tasks.add_parser("worker", help="run trials of a sweep on W&B until none is left")
    _add_limits(worker, default=argparse.SUPPRESS)  # may stand before the task, too
    worker.add_argument("sweep_path", metavar="ENTITY/PROJECT/SWEEP")
    start = tasks.add_parser("start-sweep", help="start the sweep on W&B, for workers to join")
    start.add_argument("--join", default="", metavar="ENTITY/PROJECT/SWEEP")
    start.add_argument("--note", type=Path, metavar="FILE")
    return parser


def _add_confirm(tasks: Any) -> None:
    task = tasks.add_parser(
        "confirm",
        help="train the best trials and the defaults again, on fresh seeds",
        description="Train the 3 best trials of a sweep and the program's defaults on the same "
        "seeds, which the search never used, and say what can be told apart.",
    )
    task.add_argument(
        "--sweep",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="the sweep of this file",
    )
    task.add_argument("--seeds", type=_seeds, default=5, metavar="N", help="how many [5]")
    task.add_argument(
        "--seed-option", default="seed", metavar="NAME", help="the program's option [seed]"
    )
    task.add_argument(
        "--test",
        action="store_true",
        help="then run the chosen one with the program's --test, once",
    )
    task.add_argument(
        "--retry",
        action="store_true",
        default=argparse.SUPPRESS,
        help="try failed trainings again, even though the program has not changed",
    )
    _add_limits(task, default=argparse.SUPPRESS)  # may stand before the task, too


def _add_looks(tasks: Any) -> None:
    """The tasks that show results, of the newest sweep unless another is named."""
    tellings = {
        "leaderboard": "show the results of a sweep, also while it runs",
        "list": "name the sweeps in results/",
        "report": "write the report of a sweep anew",
        "export": "write a sweep's trials for another tool",
    }
    for name, told in tellings.items():
        task = tasks.add_parser(name, help=told)
        if name in ("leaderboard", "list"):
            forms = task.add_mutually_exclusive_group()
            for form in ("json", "csv"):
                forms.add_argument(
                    f"--{form}",
                    dest="form",
                    action="store_const",
                    const=form,
                    default="text",
                    help=f"as data, in {form.upper()}",
                )
        if name != "list":
            task.add_argument(
                "where",
                nargs="?",
                metavar="SWEEP",
                help="a folder in results/, or ENTITY/PROJECT/SWEEP on W&B [the newest here]",
            )
            task.add_argument(
                "--sweep",
                type=Path,
                metavar="FILE",
                default=argparse.SUPPRESS,
                help="the sweep of this file",
            )
        if name == "export":
            task.add_argument(
                "--optuna",
                type=Path,
                required=True,
                metavar="FILE",
                help="the study, as optuna-dashboard opens it",
            )


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
    add(
        "--trials-per-gpu",
        type=_positive_or_auto,
        metavar="N",
        help="trials at once on each GPU; `auto` finds out how many pay [1]",
    )
    add(
        "--gpus-per-trial",
        type=_positive_or_none,
        metavar="N",
        help="GPUs that each trial sees [1]",
    )
    add(
        "--keep",
        type=_number_or_all,
        default=5,
        metavar="N",
        help="trials whose checkpoints stay, the best ones; `all` keeps all [5]",
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


def _seeds(text: str) -> int:
    if _positive(text) < 2:
        raise argparse.ArgumentTypeError("1 seed shows no spread; give 2 or more")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)


def _positive_or_none(text: str) -> int | None:
    """A flow gives an option even when its param is empty."""
    return _positive(text) if text else None


def _positive_or_auto(text: str) -> int | str | None:
    return text if text == "auto" else _positive_or_none(text)


def _number_or_all(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is neither a whole number nor `all`")
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
