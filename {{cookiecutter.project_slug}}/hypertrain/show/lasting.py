"""An output that outlives whoever reads it: a closed pipe, a terminal that hung up, a full disk."""

import os
from typing import IO, Any


class Lasting:
    """A text stream; once it cannot be written any more, all goes to a terminal, or nowhere.

    other: a stream that takes its place if it is a terminal.
    """

    def __init__(self, stream: IO[str], other: IO[str] | None = None) -> None:
        self._stream, self._other, self._unsaid = stream, other, ""

    def write(self, text: str) -> int:
        self._unsaid += text
        try:
            self._stream.write(text)
        except OSError:
            self._turn()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._turn()
        self._unsaid = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _turn(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        self._stream.flush()  # what Python may still hold of it
        other, self._other = self._other, None
        if other and other.isatty():
            os.dup2(other.fileno(), self._stream.fileno())
            self._stream.write(self._unsaid)
            self.flush()
