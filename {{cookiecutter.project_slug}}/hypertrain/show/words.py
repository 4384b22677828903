"""How numbers, times and lines are written, wherever a person reads them."""

import math
import time
from collections.abc import Callable
from textwrap import TextWrapper
from typing import Any

from rich.console import Console


def plain(console: Console) -> Callable[[str], None]:
    """Prints a line as it is: no markup, no colours, no wrapping that would cut a command."""
    return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)


def sentence(console: Console, text: str, style: str | None = None) -> None:
    """Prints words; on a terminal, a line that is too long is broken between two of them."""
    if console.is_terminal:
        wide = TextWrapper(
            console.width, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
        )
        text = "\n".join(wide.fill(line) for line in text.split("\n"))
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def number(value: Any) -> str:
    """A value as a table shows it: floats at 4 significant digits."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def listed(names: list[str], most: int = 6) -> str:
    """`1, 2 and 3`; of many, the first."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {seconds:02}s"


def moment(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix))


def plainly(value: Any) -> Any:
    """The value as JSON has it: what is not finite becomes text."""
    if isinstance(value, dict):
        return {key: plainly(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plainly(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
