"""What fresh seeds showed, in a table and in sentences that say no more than they know."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hypertrain.answers.paired import LEVEL, Comparison, Verdict, least, seeds_needed
from hypertrain.results.journal import Journal, Record
from hypertrain.results.outcome import OUTPUT
from hypertrain.show.failures import tail
from hypertrain.show.words import counted, duration, number, plain, sentence
from hypertrain.sweepfile.sweep import Metric

FASTER = 1.5
"""It is said where another trains so many times as fast."""


def show(
    console: Console,
    told: Verdict,
    seconds: Mapping[str, float],
    searched: Mapping[str, float | None],
    metric: Metric,
) -> None:
    """Print each candidate's mean and spread, and what is left of the search's value."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for heading in ("", f"mean {metric.name}", "± sd", "in the search", "drop", "time"):
        table.add_column(Text(heading), justify="left" if not heading else "right")
    for name, spread in told.spreads.items():
        before = searched.get(name)
        drop = None if before is None else metric.sign * (spread.mean - before)
        table.add_row(
            *map(Text, (name, number(spread.mean), number(spread.sd))),
            *map(
                Text,
                ("" if before is None else number(before), "" if drop is None else number(drop)),
            ),
            Text(duration(seconds[name])),
            style="bold green" if name == told.chosen else None,
        )
    console.print(table)


def lines(told: Verdict, seconds: Mapping[str, float], metric: Metric) -> list[str]:
    """The verdict in sentences."""
    count = told.spreads[told.chosen].count
    spread = told.spreads[told.chosen]
    found = [
        (
            f"Confirmed on {counted(count, 'fresh seed')}: {told.chosen}, "
            f"{metric.name} {number(spread.mean)} ± {number(spread.sd)}."
        )
    ]
    scale = _scale(told, metric)
    for one in told.comparisons:
        found.append(_against(told.chosen, one, seconds, scale))
    if all(each.sd == 0 for each in told.spreads.values()):
        found.append("The seed changed nothing: is it the option of the program's seed?")
    elif not all(one.better for one in told.comparisons) and least(count) > LEVEL:
        reach = seeds_needed()
        found.append(
            f"{counted(count, 'seed')} cannot go below p = {least(count):.2f} (two-sided), however "
            f"large the difference; {reach} reach {least(reach):.2f}: --seeds {reach} trains only "
            "what is missing."
        )
    return found


def nothing_told(
    console: Console,
    journal: Journal,
    failed: Sequence[Record],
    secrets: Sequence[str],
    where: str,
    interruption: str | None,
    option: str,
) -> None:
    """Too little has completed for any statement."""
    if failed:
        last = failed[-1]
        sentence(console, f"{counted(len(failed), 'trial')} failed: {last.reason}")
        for line in tail(journal.folder / last.folder / OUTPUT, 15, secrets):
            plain(console)(f"  {line}")
        sentence(console, f"The log: {where}/{last.folder}/{OUTPUT}")
        sentence(
            console,
            f"Does the program take --{option}? Another name is given as --seed-option NAME.",
        )
    if interruption:
        sentence(console, f"Stopped: {interruption}. The same command goes on where it stopped.")


def _against(
    chosen: str, one: Comparison, seconds: Mapping[str, float], scale: tuple[float, str]
) -> str:
    factor, unit = scale
    amounts = [f"{value * factor:+.2g}" for value in (one.difference, one.low, one.high)]
    alone = ", not enough among several comparisons" if _alone(one) else ""
    told = (
        f"in {one.wins} of {one.count} seeds, {amounts[0]}{unit} "
        f"(95 % interval {amounts[1]} to {amounts[2]}, p = {one.p:.2g}{alone})"
    )
    other = f"the {one.other}" if one.other == "defaults" else one.other
    if one.better:
        return f"{chosen} is better than {other} {told}."
    faster = seconds[chosen] / seconds[one.other] if seconds[one.other] else 0.0
    speed = f", which trains {faster:.1f} times as fast" if faster >= FASTER else ""
    return f"{chosen} is not to be told from {other}{speed}: ahead {told}."


def _alone(one: Comparison) -> bool:
    """Whether chance would seem unlikely, were this the only comparison."""
    return one.p <= LEVEL and one.difference > 0 and not one.better


def _scale(told: Verdict, metric: Metric) -> tuple[float, str]:
    """Differences of fractions are spoken of in points, hundredths."""
    means = [spread.mean for spread in told.spreads.values()]
    if metric.goal == "maximize" and all(0 <= mean <= 1 for mean in means):
        return 100.0, " points"
    return 1.0, ""
