"""The best trials and the program's defaults, trained again on seeds that the search never used.

The best of many trials owes its place to luck, too. What holds is what holds on fresh seeds, the
same for all candidates.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console

from hypertrain import UserError, inside_wandb
from hypertrain.answers.dead import dead_parameters
from hypertrain.answers.paired import Verdict, verdict
from hypertrain.interrupts import INTERRUPTED, Interrupted
from hypertrain.local.mode import refuse_mode, wandb_mode
from hypertrain.local.points import not_again
from hypertrain.results.earlier import key
from hypertrain.results.folder import About, code_for, describe
from hypertrain.results.identity import prefix
from hypertrain.results.journal import COMPLETED, FAILED, Journal, Record, damage, read
from hypertrain.results.outcome import CONFIRM, VERDICT, Outcome, Row, outcome
from hypertrain.show import confirmed
from hypertrain.show.screen import Screen
from hypertrain.show.table import ranked
from hypertrain.show.words import counted, sentence
from hypertrain.sweepfile.command import DEFAULT, secrets
from hypertrain.sweepfile.sweep import Metric, Sweep
from hypertrain.trial.run import Run
from hypertrain.tuner import Limits, Loop

CANDIDATES = 3
DEFAULTS = "defaults"
TEST = "--test"


@dataclass(frozen=True)
class Asked:
    """seeds: how many. option: the program's, that takes a seed. test: measure on the test set.

    retry: try failed trainings again, even though the program is the same.
    """

    seeds: int
    option: str
    test: bool
    retry: bool = False


@dataclass(frozen=True)
class Candidate:
    """label: as it is spoken of. searched: its value in the search; None for the defaults."""

    label: str
    params: dict[str, Any]
    searched: float | None


def confirm(sweep: Sweep, root: Path, limits: Limits, asked: Asked, console: Console) -> int:
    """Train what is left to train, and say what holds; return the exit status.

    Raises: UserError when there is nothing to confirm.
    """
    refuse_mode()
    results = Path("results") / f"sweep-{sweep.id}"
    if not (root / results / "journal.jsonl").is_file():
        raise UserError(f"{sweep.path}: has not been run yet; run `python -m hypertrain` first")
    metric = sweep.metric
    if metric is None:
        raise UserError(f"{sweep.path}: metric: is needed to tell what is better; name one")
    describe(root / results, sweep, root)
    found = outcome(root / results, root, sweep)
    chosen = candidates(sweep, found, metric)
    seeds = fresh_seeds(sweep.id, asked, found.rows)
    plan = [c.params | {asked.option: seed} for seed, c in itertools.product(seeds, chosen)]
    folder = root / results / CONFIRM
    with Journal(folder) as journal:
        now = describe(folder, sweep, root)
        (folder / "plan.json").write_text(json.dumps({"option": asked.option, "seeds": seeds}))
        names = ", ".join(candidate.label for candidate in chosen)
        sentence(
            console,
            f"{results}: {names}, each on {counted(len(seeds), 'seed')} that the search never "
            f"used, {seeds[0]} to {seeds[-1]}",
        )
        if damaged := damage(results / CONFIRM, journal.damaged):
            sentence(console, damaged)
        source = Again(sweep, journal, plan, now, asked.retry, console)
        if told_failed := not_again(source.given_up):
            sentence(console, told_failed)
        interruption = _run(sweep, root, limits, source)
        told = _judge(journal, chosen, seeds, asked, now, metric)
        if told is None:
            failed = [one for one in _known(journal, now).values() if one.state == FAILED]
            where, hidden = f"{results}/{CONFIRM}", secrets(sweep.command)
            confirmed.nothing_told(
                console, journal, failed, hidden, where, interruption, asked.option
            )
            return 130 if interruption == INTERRUPTED else 1
        seconds = _seconds(journal, chosen, seeds, asked, now)
        searched = {candidate.label: candidate.searched for candidate in chosen}
        confirmed.show(console, told, seconds, searched, metric)
        lines = confirmed.lines(told, seconds, metric)
        if asked.test and not interruption:
            best = next(one for one in chosen if one.label == told.chosen)
            params = best.params | {asked.option: seeds[0]}
            tested, interruption = _test(
                sweep, root, limits, folder, params, told.chosen, asked, console
            )
            lines += tested
        (folder / VERDICT).write_text(json.dumps({"lines": lines, "files": now.all_files}))
        for line in lines:
            sentence(console, line)
        if interruption:
            sentence(
                console, f"Stopped: {interruption}. The same command goes on where it stopped."
            )
        return 130 if interruption == INTERRUPTED else 0


def candidates(sweep: Sweep, found: Outcome, metric: Metric) -> list[Candidate]:
    """The best trials of the search that differ in what has an effect, and the defaults.

    Raises: UserError when no trial has a value.
    """
    dead = {one.name for one in dead_parameters(found.rows)}
    best: dict[str, Candidate] = {}
    for row in ranked(found.rows, metric):
        if row.state == COMPLETED and row.value is not None:
            alive = {name: value for name, value in row.flat.items() if name not in dead}
            best.setdefault(key(alive), Candidate(f"trial {row.name}", row.params, row.value))
    if not best:
        raise UserError(f"{found.where}: no trial has completed; there is nothing to confirm")
    constants: dict[str, Any] = {}
    for parameter in sweep.space:
        if parameter.values is not None and len(parameter.values) == 1 and len(parameter.path) == 1:
            constants[parameter.name] = found.rows[0].params.get(parameter.name)
    return [*list(best.values())[:CANDIDATES], Candidate(DEFAULTS, constants, None)]


def fresh_seeds(sweep_id: str, asked: Asked, rows: Sequence[Row]) -> list[int]:
    """Always the same for one sweep, so that more of them are only added."""
    used = {row.flat.get(asked.option) for row in rows}
    first = 1000 + int.from_bytes(hashlib.sha256(sweep_id.encode()).digest()[:2])
    unused = (seed for seed in itertools.count(first) if seed not in used)
    return list(itertools.islice(unused, asked.seeds))


class Again:
    """Trials with given parameters: those of `plan` that have not ended yet with today's code."""

    def __init__(
        self,
        sweep: Sweep,
        journal: Journal,
        plan: Sequence[dict[str, Any]],
        now: About,
        retry: bool,
        console: Console,
    ) -> None:
        self._sweep, self._journal, self._now = sweep, journal, now
        self._retry, self.given_up = retry, 0
        self.folder = journal.folder
        self._prefix = prefix(journal.folder)
        self.screen = Screen(console, sweep.metric, len(plan))
        self.todo = list(self._trials(plan))

    def _trials(self, plan: Sequence[dict[str, Any]]) -> Iterator[Record]:
        numbers = itertools.count(max(self._journal.records, default=0) + 1)
        known = _known(self._journal, self._now)
        for record in known.values():
            if record.done:
                self.screen.earlier(record)
        for params in plan:
            begun = known.get(key(params))
            if begun is None:
                yield Record(next(numbers), [], params)
            elif begun.state == FAILED and self._retry:
                yield Record(begun.number, [], params, begun.attempt + 1)
            elif begun.state == FAILED:
                self.given_up += 1
            elif not begun.done:
                yield begun

    def next(self) -> Record | None:
        return self.todo.pop(0) if self.todo else None

    def finished(self) -> bool:
        return True

    def run(self, record: Record) -> Run:
        name = record.folder.removeprefix("trials/")
        return Run(
            id=f"{self._prefix}-{name}",
            sweep=self._sweep.id,
            project=self._sweep.project,
            entity=self._sweep.entity,
            name=f"confirm-{name}",
            group=f"{self._sweep.name}-{self._sweep.id}-confirm",
            folder=self.folder / record.folder,
            home=self.folder,
        )

    def begun(self, record: Record) -> None:
        record.code = code_for(self.folder, self._now, record.params)
        record.run = self.run(record).id
        self._journal.write(record)
        self.screen.started(record)

    def logged(self, record: Record, value: float) -> None:
        self.screen.logged(record, value)

    def stops(self) -> Iterable[int]:
        return ()

    def ended(self, record: Record) -> None:
        self._journal.write(record)
        self.screen.ended(record)
        failed = [one for one in self._journal.records.values() if one.state == FAILED]
        if len(failed) >= 3 and not any(one.done for one in self._journal.records.values()):
            raise Interrupted(f"every trial fails alike ({record.reason})")

    def interrupted(self) -> None:
        """The next session takes up again what was running."""


def _run(sweep: Sweep, root: Path, limits: Limits, source: Again) -> str | None:
    """Run what is left; return why it ended earlier than that, if it did."""
    if not source.todo:
        return None
    try:
        loop = Loop(sweep, root, source.folder, limits, source, source.screen.say)
        wandb_mode()
        with source.screen:
            loop.run()
        return None
    except (KeyboardInterrupt, Interrupted) as error:
        return str(error) or INTERRUPTED


def _known(journal: Journal, now: About) -> dict[str, Record]:
    """Trainings with the code of today, by `key(params)`."""
    return {
        key(record.params): record
        for record in journal.records.values()
        if record.code == now.code_of(record.params)
    }


def _ended(journal: Journal, now: About) -> dict[str, Record]:
    """Those of them that completed."""
    return {
        params: record
        for params, record in _known(journal, now).items()
        if record.state == COMPLETED and record.value is not None
    }


def _judge(
    journal: Journal,
    chosen: Sequence[Candidate],
    seeds: Sequence[int],
    asked: Asked,
    now: About,
    metric: Metric,
) -> Verdict | None:
    """None while no candidate has two seeds in common with another."""
    ended = _ended(journal, now)
    values: dict[str, list[float]] = {}
    whole = [
        seed
        for seed in seeds
        if all(
            key(c.params | {asked.option: seed}) in ended
            for c in _trained(ended, chosen, seeds, asked)
        )
    ]
    for candidate in _trained(ended, chosen, seeds, asked):
        found = [ended[key(candidate.params | {asked.option: seed})].value for seed in whole]
        values[candidate.label] = [value for value in found if value is not None]
    if len(whole) < 2 or not values:
        return None
    return verdict(values, DEFAULTS if DEFAULTS in values else None, metric.sign)


def _trained(
    ended: Mapping[str, Record], chosen: Sequence[Candidate], seeds: Sequence[int], asked: Asked
) -> list[Candidate]:
    """Candidates with any training that completed; the defaults of a program may be none."""
    return [
        candidate
        for candidate in chosen
        if any(key(candidate.params | {asked.option: seed}) in ended for seed in seeds)
    ]


def _seconds(
    journal: Journal, chosen: Sequence[Candidate], seeds: Sequence[int], asked: Asked, now: About
) -> dict[str, float]:
    """Mean wall time of each candidate's trainings."""
    ended = _ended(journal, now)
    return {
        candidate.label: mean(
            ended[told].seconds or 0.0
            for seed in seeds
            if (told := key(candidate.params | {asked.option: seed})) in ended
        )
        for candidate in _trained(ended, chosen, seeds, asked)
    }


def _test(
    sweep: Sweep,
    root: Path,
    limits: Limits,
    folder: Path,
    params: dict[str, Any],
    label: str,
    asked: Asked,
    console: Console,
) -> tuple[list[str], str | None]:
    """Train the chosen one once more with `--test`, unless that was done already.

    Returns: what to say of it, and why it ended early, if it did.
    """
    there = folder / "test"
    tested = replace(sweep, command=(*(sweep.command or DEFAULT), TEST))
    with Journal(there) as journal:
        now = describe(there, sweep, root)
        source = Again(tested, journal, [params], now, asked.retry, console)
        if source.todo and (interruption := _run(tested, root, limits, source)):
            return ["The test set was not measured; the same command does it."], interruption
        record = _known(journal, now)[key(params)]
        if not record.done:
            return [f"With {TEST} the program failed: {record.reason}"], None
        looks = sum(one.done for one in journal.records.values())
    summary: dict[str, Any] = {}
    for kind, values in inside_wandb.read_run(there, record.run or ""):
        if kind in ("summary", "history"):
            summary |= values
    usual = {name for one in read(folder)[0].values() for name in _names(folder, one)}
    measured = {
        name: value
        for name, value in summary.items()
        if isinstance(value, int | float) and not name.startswith("_") and name not in usual
    }
    told = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
    told = told or "the program logged nothing of its own"
    if looks == 1:
        return [f"On the test set, once, {label}: {told}."], None
    again = f"It has been looked at {looks} times: what a look has changed, it cannot test."
    return [f"On the test set, {label}: {told}. {again}"], None


def _names(folder: Path, record: Record) -> set[str]:
    """What a training without `--test` leaves in its run's summary."""
    names: set[str] = set()
    for kind, values in inside_wandb.read_run(folder, record.run or ""):
        if kind in ("summary", "history"):
            names |= values.keys()
    return names
