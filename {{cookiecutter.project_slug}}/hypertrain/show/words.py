"""How numbers, times and lines are written, wherever a person reads them."""

from collections.abc import Callable
from typing import Any

from rich.console import Console


def plain(console: Console) -> Callable[[str], None]:
    """Prints a line as it is: no markup, no colours, no wrapping that would cut a command."""
    return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)


def number(value: Any) -> str:
    """A value as a table shows it: floats at 4 significant digits."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {seconds:02}s"
