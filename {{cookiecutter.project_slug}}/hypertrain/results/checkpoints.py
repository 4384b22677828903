"""What programs keep of a trial under the id of its W&B run, and how much of that stays.

    results/checkpoints/ID.state    to go on after a cut: of no use once the trial has ended
    results/checkpoints/ID.*        its model: of the best trials it stays

A file that bears any other name is nobody's to remove.
"""

import re
from bisect import insort
from pathlib import Path

FOLDER = Path("results", "checkpoints")
BEST = 5
"""Of so many trials the models stay, unless something else is asked for."""


class Checkpoints:
    """Those of the trials of one sweep.

    keep: trials whose models stay; None for all. sign: of the metric, so that less is better.
    """

    def __init__(self, root: Path, keep: int | None, sign: float | None) -> None:
        self._folder, self._keep, self._sign = root / FOLDER, keep, sign
        self._best: list[tuple[float, int, str]] = []
        self.removed = 0

    def goes_on(self, run: str) -> bool:
        """Whether the program has left a state from which it can go on."""
        return bool(run) and (self._folder / f"{run}.state").is_file()

    def ended(self, run: str, value: float | None, done: bool) -> None:
        """The trial has ended for good: keep what is among the best, remove the rest."""
        self._remove(run, ".state")
        if not done and self._keep is not None:
            self._remove(run)
        elif done and value is not None and self._sign is not None and self._keep is not None:
            insort(self._best, (self._sign * value, len(self._best), run))
            for _, _, worst in self._best[self._keep :]:
                self._remove(worst)
            del self._best[self._keep :]

    def _remove(self, run: str, ending: str = "") -> None:
        if not re.fullmatch(r"[\w-]+", run):
            return
        for path in self._folder.glob(f"{run}{ending or '.*'}"):
            if path.is_file():
                path.unlink(missing_ok=True)
                self.removed += not ending
