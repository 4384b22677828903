"""What ends the trials before their source does: a signal, a limit, or failures that are all alike."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = "interrupted"
"""Why the trials ended where nothing else is known."""
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(Exception):
    """The trials end before their source does; the message says why."""


class Signal(KeyboardInterrupt):
    """A signal that interrupts as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and a hang-up interrupt as Ctrl-C does, unless they are ignored, as under `nohup`.

    Once is enough: a terminal that is closed sends several, and what is to be ended takes its time.
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    heard = [number for number in ENDING if before[number] != signal.SIG_IGN]
    for number in heard:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in heard:
            if signal.getsignal(number) == _interrupt:
                signal.signal(number, before[number])


def _interrupt(number: int, _: object) -> None:
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise Signal(number)
