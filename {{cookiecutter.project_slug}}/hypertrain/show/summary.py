"""What the tuner says before the first trial and after the last."""

import hashlib
from pathlib import Path

from rich.console import Console

from hypertrain.results.journal import FAILED, Journal
from hypertrain.show.report import write_report
from hypertrain.show.table import Row, ranked, show
from hypertrain.show.upload import upload
from hypertrain.show.words import counted, plain
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial.command import repeat
from hypertrain.trial.process import OUTPUT
from hypertrain.trial.reason import last_lines
from hypertrain.trial.run import ARGS


def before(
    console: Console, sweep: Sweep, root: Path, results: Path, total: int | None, done: int
) -> None:
    """Tell what is about to run, and how it relates to what ran before."""
    say = plain(console)
    trials = "until its limit" if total is None else counted(total, "trial")
    say(f"{sweep.path}: {sweep.method} search with {sweep.program.as_posix()}, {trials}")
    fingerprint = hashlib.sha256((root / sweep.program).read_bytes()).hexdigest()
    mark = root / results / "program.sha256"
    if not mark.exists():
        mark.write_text(fingerprint)
        if len(list(root.glob("results/sweep-*"))) > 1:
            say(f"The sweep file has changed: a new sweep, in {results}; earlier results stay.")
        return
    if done:
        say(f"Done already: {counted(done, 'trial')}, in {results}.")
    if mark.read_text() != fingerprint:
        say(f"{sweep.program} has changed since; to run all trials anew, move {results} away.")


def after(
    console: Console, sweep: Sweep, results: Path, journal: Journal, interruption: str | None
) -> None:
    """Print the leaderboard and what to do next; write the report."""
    say = plain(console)

    def repeat_row(row: Row) -> str:
        return repeat(sweep, row.params, results / "trials" / row.name / ARGS)

    records = list(journal.records.values())
    rows = [
        Row(str(r.number), r.state, r.value, r.params, r.seconds, r.reason or "")
        for r in records
        if r.state
    ]
    if rows:
        say("")
        show(console, rows, sweep.metric, repeat_row)
        title = f"{sweep.name}: {sweep.method} search with {sweep.program.as_posix()}"
        best = ranked(rows, sweep.metric)[0]
        command = repeat_row(best) if best.value is not None else None
        write_report(journal.folder / "report.html", title, rows, sweep.metric, command)
        say(f"\nReport: {results / 'report.html'}")
    failed = [record for record in records if record.state == FAILED]
    if failed and len(failed) == len(rows):
        output = results / failed[-1].folder / OUTPUT
        say(f"\nNo trial has completed. The last lines of {output}:")
        for line in last_lines(journal.folder / failed[-1].folder / OUTPUT, 15):
            say(f"  {line}")
    elif failed:
        say(f"\n{len(failed)} failed; the output of each is in {results}/trials/NUMBER/{OUTPUT}")
    if commands := upload(journal.folder, results, sweep):
        say("\n  ".join(["\nBring the runs to W&B as a sweep, if you like:", *commands]))
    if interruption:
        say(f"\nStopped: {interruption}. The same command goes on where it stopped.")
