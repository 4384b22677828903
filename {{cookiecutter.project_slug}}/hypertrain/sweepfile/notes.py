"""What is to be said of a sweep file: all its problems at once, and what is taken with a warning."""

from dataclasses import dataclass, field
from pathlib import Path

from hypertrain import UserError

Key = tuple[str | int, ...]
"""Where something stands: the keys, and indices in lists, that lead there from the top."""


@dataclass
class Notes:
    """Collects one line for each problem and each warning; a line names file, line and key.

    lines: of the keys, counted from 1. spelled: scalars as they are typed.
    """

    path: Path
    lines: dict[Key, int] = field(default_factory=dict)
    spelled: dict[Key, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _problems: list[tuple[float, str]] = field(default_factory=list)

    def problem(self, key: Key, text: str, line: int | None = None) -> None:
        """What the user has to change, and how."""
        line = line or self._line(key)
        self._problems.append((line or float("inf"), self._said(key, text, line)))

    def warning(self, key: Key, text: str) -> None:
        """What is taken, but may be meant otherwise."""
        self.warnings.append(self._said(key, text, self._line(key)))

    def read_as(self, key: str, meant: str) -> None:
        """What stands below `key` is read as if it stood below `meant`."""
        below = {(meant, *k[1:]): line for k, line in self.lines.items() if k[:1] == (key,)}
        self.lines.update(below)

    def refuse(self) -> None:
        """Raises: UserError with all problems, in the order of the file; none is no error."""
        if self._problems:
            ordered = sorted(self._problems, key=lambda problem: problem[0])
            raise UserError("\n".join(dict.fromkeys(text for _, text in ordered)))

    def _line(self, key: Key) -> int | None:
        """Line of the key; of what it stands below, where the file does not have it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)

    def _said(self, key: Key, text: str, line: int | None) -> str:
        where = [str(self.path), f"line {line}" if line else "", _name(key) if key else "", text]
        return " ".join(": ".join(filter(None, where)).split())


def _name(key: Key) -> str:
    """`parameters.model.depth`: the level `parameters` of a nested parameter goes without saying."""
    names = [part for part in key if isinstance(part, str)]
    if names[0] != "parameters":
        return ".".join(names)
    levels = enumerate(names)
    return ".".join(n for i, n in levels if n != "parameters" or i % 2 or i == 0)
