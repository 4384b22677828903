"""Whether trials slow each other down: the pace of one trial while it is alone and beside others."""

ENOUGH = 5
"""So many logged values make a pace."""


class Pace:
    """Of one trial: the time for a logged value, when it is alone and when it is not."""

    def __init__(self) -> None:
        self._alone: bool | None = None
        self._since: float | None = None
        self._spent = {True: 0.0, False: 0.0}
        self._logged = {True: 0, False: 0}

    def look(self, now: float, values: int, alone: bool) -> None:
        """Take in how many values came since the last look, in seconds of one clock."""
        if alone != self._alone:
            self._alone, self._since = alone, None
        if values:
            if self._since is not None:
                self._spent[alone] += now - self._since
                self._logged[alone] += values
            self._since = now

    def slowdown(self) -> float | None:
        """How many times as long a value takes beside others; None while that is not known."""
        if min(self._logged.values()) < ENOUGH or not self._spent[True]:
            return None
        beside, alone = (self._spent[key] / self._logged[key] for key in (False, True))
        return beside / alone
