"""How many trials share a GPU with `--trials-per-gpu auto`: as many as pay, found while they run.

It begins with one on each GPU and doubles. Before a number is judged, as many trials as run at once
on one GPU have to end; what counts is how much is done in a minute, in values that the trials log:
so long and short ones can be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

PAYS = 1.1
"""More at once must get this much more done to stay."""
ROOM = 0.9
"""Share of a GPU's memory that is planned with: trials are not all of one size."""

Memory = Sequence[tuple[int, int]]
"""Of each GPU: bytes in use, by whomever, and bytes in all."""


@dataclass
class Growth:
    """The number of trials on each GPU, now, and why.

    most: trials on one that the cores can feed. before: the memory before the first trial.
    """

    most: int
    before: Memory
    at_once: int = 1
    why: str = "how many more pay is to be seen"
    _since: float = 0.0
    _done: list[tuple[int, float]] = field(default_factory=list)
    _best: tuple[int, float] | None = None
    _settled: bool = False
    _fits: int = 2**31

    def look(self, memory: Memory) -> None:
        """Take in how much of each GPU is in use."""
        for (before, _), (used, size) in zip(self.before, memory, strict=True):
            one = max(1, used - before) / self.at_once
            self._fits = min(self._fits, max(1, int((ROOM * size - before) / one)))

    def ended(self, begun: float, ended: float, values: int) -> bool:
        """Take in a trial that is complete; return whether the number has changed.

        begun, ended: seconds of one clock. values: how many it logged.
        """
        if self._settled or begun < self._since:
            return False
        self._done.append((max(1, values), ended - begun))
        if len(self._done) < self.at_once:
            return False
        values, seconds = (sum(column) for column in zip(*self._done, strict=True))
        rate = self.at_once * values / seconds
        if self._best and rate < PAYS * self._best[1]:
            why = f"{self.at_once} get {rate / self._best[1]:.2f} times as much done"
            return self._settle(self._best[0], why)
        gain = f", {rate / self._best[1]:.2f} times as much done" if self._best else ""
        self._best = self.at_once, rate
        more = min(2 * self.at_once, self.most, self._fits)
        if more <= self.at_once:
            limit = "no more are tried" if self.most <= self._fits else "memory holds no more"
            return self._settle(self.at_once, limit + gain)
        self._change(more, f"room for {min(self.most, self._fits)}{gain}", ended)
        return True

    def out_of_memory(self) -> bool:
        """Take in that a trial was out of memory; return whether the number has changed."""
        return self._settle(max(1, self.at_once // 2), f"{self.at_once} ran out of memory")

    def _settle(self, at_once: int, why: str) -> bool:
        changed = not self._settled or at_once != self.at_once
        self._settled = True
        self._change(at_once, why, self._since)
        return changed

    def _change(self, at_once: int, why: str, since: float) -> None:
        self.at_once, self.why, self._since, self._done = at_once, why, since, []
