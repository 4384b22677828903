"""`python -m hypertrain`: what is left of a sweep is run here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from hypertrain import UserError
from hypertrain.interrupts import INTERRUPTED, Interrupted
from hypertrain.local.mode import refuse_mode, wandb_mode
from hypertrain.local.points import SearchPoints
from hypertrain.results.checkpoints import FOLDER
from hypertrain.results.earlier import earlier
from hypertrain.results.journal import Journal, unwritable
from hypertrain.search.axes import axes, size
from hypertrain.show import summary
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial.command import command_line
from hypertrain.tuner import Limits, Loop

ENDLESS = 1000
"""Nobody means more points than these to be tried all, except of a grid."""


@dataclass(frozen=True)
class Asked:
    """count: of trials in all. anew: take over none that another sweep has trained already.

    retry: try failed trials again, even though the program is the same.
    """

    count: int | None = None
    anew: bool = False
    retry: bool = False


def tune(sweep: Sweep, root: Path, limits: Limits, asked: Asked, console: Console) -> int:
    """Run the sweep, or what is left of it; return the exit status.

    Raises: UserError when it cannot start.
    """
    count = min((n for n in (asked.count, sweep.run_cap) if n), default=None)
    if count is None and limits.seconds is None and (why := _endless(sweep)):
        raise UserError(
            f"{sweep.path}: run_cap: method {sweep.method} {why}; add "
            "`run_cap: 30` to the file, or give --count 30 or --time-limit 1h"
        )
    refuse_mode()
    command_line(sweep, {}, Path())  # refuses an unknown macro before anything is written
    results = Path("results") / f"sweep-{sweep.id}"
    with Journal(root / results) as journal:
        source = SearchPoints(sweep, journal, limits.workers, count, asked.retry, console)

        def before() -> None:
            told = summary.before(console, sweep, root, results, source.total, source.done)
            again = {} if asked.anew else earlier(root, journal.folder, sweep, told)
            source.knows(told, again)
            source.tell_failed()
            if journal.elsewhere:
                source.screen.say(
                    f"{results} was not closed by {journal.elsewhere}; if that still runs, stop it: "
                    "both would run the same trials"
                )
            for warning in sweep.warnings:
                source.screen.say(warning)

        try:
            interruption = run(sweep, root, limits, source, before)
        except OSError as error:
            raise UserError(unwritable(results, error)) from None
        if interruption is None:
            source.tell_exhausted()
        summary.after(console, sweep, results, journal, interruption)
        source.leave_page(over=interruption is None)
        if interruption == INTERRUPTED:
            return 130
        return 0 if any(record.done for record in journal.records.values()) else 1


def run(
    sweep: Sweep, root: Path, limits: Limits, source: SearchPoints, before: Callable[[], None]
) -> str | None:
    """Run what is left; return why it ended earlier than that, if it did."""
    if source.is_over:
        before()
        return None
    try:
        loop = Loop(sweep, root, source.folder, limits, source, source.screen.say)
        wandb_mode()  # the trials' parent warms up meanwhile
        source.join_page()
        before()
        source.restore(loop.checkpoints)
        with source.screen:
            loop.run()
        if loop.checkpoints.removed:
            models = f"of the best {limits.keep} trials" if limits.keep else "of no trial"
            source.screen.say(f"Checkpoints stay {models}, in {FOLDER} (--keep all keeps all)")
        return None
    except (KeyboardInterrupt, Interrupted) as error:
        return str(error) or INTERRUPTED
    finally:
        source.close()


def _endless(sweep: Sweep) -> str | None:
    """Why a search must be told when to end; None if it ends by itself, as a grid does."""
    points = None if sweep.method == "grid" else size(axes(sweep.space))
    if sweep.method == "grid" or (points is not None and points <= ENDLESS):
        return None
    return "never ends by itself" if points is None else f"would end after {points:,} trials"
