"""What the tuner says before the first trial and after the last."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console

from hypertrain.results.folder import About, about, describe, folders
from hypertrain.results.journal import Journal, damage, holder, is_running, unwritable
from hypertrain.results.outcome import OUTPUT, Outcome, Row, of_records, shown
from hypertrain.show.failures import causes, tail
from hypertrain.show.look import leaderboard
from hypertrain.show.report import write_report
from hypertrain.show.table import ranked
from hypertrain.show.upload import upload
from hypertrain.show.words import counted, listed, plain, sentence
from hypertrain.sweepfile.sweep import Sweep

CHECKPOINTS = ("results/checkpoints/*{}*", "checkpoints/*{}*", "*/checkpoints/*{}*")
"""Where programs keep their models under the id of the W&B run."""


def before(
    console: Console, sweep: Sweep, root: Path, results: Path, total: int | None, done: int
) -> About:
    """Tell what is about to run, and how it relates to what ran before; note it in the folder."""
    say = partial(sentence, console)
    trials = "until its limit" if total is None else counted(total, "trial")
    say(f"{sweep.path}: {sweep.method} search with {sweep.program.as_posix()}, {trials}")
    earlier = about(root / results)
    now = describe(root / results, sweep, root)
    if done:
        say(f"Done already: {counted(done, 'trial')}, in {results}.")
    elif earlier is None and any(
        told.file == now.file for other in folders(root) if (told := about(other)) and told != now
    ):
        say(f"The sweep file has changed: a new sweep, in {results}; earlier results stay.")
    if earlier and (changed := now.changed_since(earlier.all_files)):
        say(f"{listed(changed)} has changed since; to run all trials anew, move {results} away.")
    return now


def neighbours(root: Path, own: Path) -> Callable[[], list[str]]:
    """A function that names the other sweeps that run in this project: each once, while it runs."""
    known: list[Path] = []

    def look() -> list[str]:
        running = {folder for folder in folders(root) if folder != own and is_running(folder)}
        new, known[:] = sorted(running.difference(known)), running
        return [f"{it.relative_to(root)} is running as well ({holder(it)})." for it in new]

    return look


def after(
    console: Console, sweep: Sweep, results: Path, journal: Journal, interruption: str | None
) -> None:
    """Print the leaderboard and what to do next; write the report."""
    say = plain(console)
    root = journal.folder.parents[len(results.parts) - 1]
    records = [record for record in journal.records.values() if record.state]
    found = of_records(journal.folder, root, records, about(journal.folder), sweep, False)
    if damaged := damage(results, journal.damaged):
        sentence(console, damaged)
    if records:
        say("")
        leaderboard(console, found)
    if records or (journal.folder / "report.html").exists():
        try:
            write_report(journal.folder / "report.html", found)
        except OSError as error:
            sentence(console, unwritable(results / "report.html", error))
    if records:
        _files(console, found, root)
    if records and not any(record.done for record in records):
        _nothing_completed(console, found)
    if commands := upload(journal.folder, results, sweep):
        say("\n  ".join(["\nBring the runs to W&B as a sweep, if you like:", *commands]))
    if interruption:
        sentence(console, f"\nStopped: {interruption}. The same command goes on where it stopped.")


def _files(console: Console, found: Outcome, root: Path) -> None:
    """Where the best trial's model and log are, its curves and the report."""
    say = plain(console)
    best = ranked(found.rows, found.metric)[0]
    say("")
    if best.value is not None:
        for path in checkpoints(best, root):
            say(f"Checkpoint: {path}")
        say(f"Log: {shown(found, best, OUTPUT)}")
    if found.folder and list(found.folder.glob("wandb/*run-*")):
        say(f"Curves: wandb leet {found.where}/wandb")
    if found.folder and (found.folder / "report.html").is_file():
        say(f"Report: {found.where}/report.html")


def checkpoints(row: Row, root: Path) -> list[Path]:
    """Files below the project that bear the id of the trial's W&B run."""
    if not row.run or not re.fullmatch(r"[\w-]+", row.run):
        return []
    bearing = re.compile(rf"(?<![\w-]){re.escape(row.run)}(?![\w-])")
    found = (path for pattern in CHECKPOINTS for path in root.glob(pattern.format(row.run)))
    named = sorted({path.relative_to(root) for path in found if bearing.search(path.name)})
    return [path for path in named if path.suffix != ".part"]


def _nothing_completed(console: Console, found: Outcome) -> None:
    say = plain(console)
    cause = causes(found.rows)[0]
    log = shown(found, cause.rows[-1], OUTPUT)
    folder = cause.rows[-1].folder
    lines = tail(folder / OUTPUT, 15, found.secrets) if folder else []
    say(f"\nNo trial has completed. {f'The last lines of {log}:' if lines else f'{log} is empty.'}")
    for line in lines:
        say(f"  {line}")
