"""Hands runs back to W&B, should the worker end before they do, however it ends.

W&B gives a run to the next worker if it was marked as preempting before it ended; only the run
itself or, as here, its key's owner can say so. This is a process of its own, which even a worker
killed with SIGKILL leaves behind: `python handback.py` reads lines of JSON,

    {"stream": URL with {run} in it, "login": BASIC}  {"begun": RUN}  {"ended": RUN}

and at their end marks every run that has begun and not ended. Standard library only.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

GOOD_BYE = 5.0
"""Seconds for W&B to hear of it: a platform kills soon after SIGTERM."""


class HandBack:
    """The process, seen from the worker. stream: address of a run's messages, with {run} in it."""

    def __init__(self, stream: str, login: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for the worker
        )
        self._send(stream=stream, login=login)

    def begun(self, run: str) -> None:
        self._send(begun=run)

    def ended(self, run: str) -> None:
        self._send(ended=run)

    def close(self) -> None:
        """Hand back all runs that have not ended, for as long as that may take."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GOOD_BYE)

    def _send(self, **line: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # without it the worker works all the same
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()


def main() -> None:
    runs: dict[str, bool] = {}
    where: dict[str, str] = {}
    for line in sys.stdin:
        with suppress(ValueError):  # cut short by a kill
            said: dict[str, Any] = json.loads(line)
            if "begun" in said:
                runs[said["begun"]] = True
            elif "ended" in said:
                runs.pop(said["ended"], None)
            else:
                where = said
    with ThreadPoolExecutor(len(runs) or 1) as pool:
        errors = [error for error in pool.map(lambda run: _mark(where, run), runs) if error]
    if errors:
        print(f"hypertrain: W&B was not told of the interruption: {errors[0]}", file=sys.stderr)


def _mark(where: dict[str, str], run: str) -> str | None:
    """Say what `run.mark_preempting()` would say; return what went wrong."""
    headers = {"Authorization": f"Basic {where['login']}", "Content-Type": "application/json"}
    request = Request(where["stream"].format(run=run), b'{"preempting": true}', headers)
    try:
        urlopen(request, timeout=GOOD_BYE).close()
    except (OSError, ValueError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    main()
