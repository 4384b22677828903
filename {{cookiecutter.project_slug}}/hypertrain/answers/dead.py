"""Parameters that do nothing: trials that differ in one alone and logged the very same."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from hypertrain.results.journal import COMPLETED
from hypertrain.results.outcome import Row
from hypertrain.results.series import digests


@dataclass(frozen=True)
class Dead:
    """In all so many pairs of trials that differ in this parameter alone, it had no effect."""

    name: str
    pairs: int

    def __str__(self) -> str:
        return f"`{self.name}` had no effect in {self.pairs} of {self.pairs} pairs"


def dead_parameters(rows: Sequence[Row]) -> list[Dead]:
    """The parameters of which every pair of trials logged identical series, two pairs or more.

    Where all trials of a sweep logged the same, that says nothing of any one parameter.
    """
    ended = [
        _Ended(
            {name: hash((name, repr(value))) for name, value in row.flat.items()}, logged, row.value
        )
        for row in rows
        if row.folder and row.state == COMPLETED and not row.older
        for logged in [digests(row.folder)]
    ]
    names = list(dict.fromkeys(name for one in ended for name in one.params))
    if len({one.logged_without(*names) for one in ended}) < 2:
        return []
    found = []
    for name in names:
        pairs = _pairs_alike(name, ended)
        found += [Dead(name, pairs)] if pairs > 1 else []
    return found


@dataclass(frozen=True)
class _Ended:
    """Numbers that stand for what a trial was told and for what it logged, name by name.

    value: of the metric, which counts even where it tells of the time.
    """

    params: dict[str, int]
    logged: dict[str, int]
    value: float | None

    @cached_property
    def whole(self) -> int:
        return sum(self.params.values())

    def logged_without(self, *names: str) -> frozenset[tuple[str, int]]:
        return frozenset((name, value) for name, value in self.logged.items() if name not in names)


def _pairs_alike(name: str, ended: Sequence[_Ended]) -> int:
    """So many pairs differ in this parameter alone, all without effect; 0 if one had an effect."""
    pairs = 0
    for same in _pairs(name, ended):
        pairs += 1
        if not same:
            return 0
    return pairs


def _pairs(name: str, ended: Sequence[_Ended]) -> Iterator[bool]:
    """For trials that differ in this parameter alone, whether they logged the same."""
    groups: defaultdict[int, list[_Ended]] = defaultdict(list)
    for one in ended:
        groups[one.whole - one.params.get(name, 0)].append(one)
    for first, *others in groups.values():
        for one in others:
            if one.params.get(name) != first.params.get(name):
                # What a program logs of the parameter itself is no effect of it.
                logged = one.logged_without(name)
                same = logged == first.logged_without(name) and one.value == first.value
                yield bool(logged) and same
