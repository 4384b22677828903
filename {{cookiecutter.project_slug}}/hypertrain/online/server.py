"""The W&B server: whatever goes wrong on the way to it, in one line that says what to do."""

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import wandb

from hypertrain import UserError, inside_wandb

T = TypeVar("T")
STORE = "`neuro secret add wandb-token @~/wandb-token.txt`"


def bounded(call: Callable[[], T], seconds: float | None = None) -> T:
    """What the call returns; wandb repeats a request for minutes, several times over.

    Raises: TimeoutError after so many seconds, or six times wandb's own time limit.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds or 6 * float(os.environ.get("WANDB_HTTP_TIMEOUT", "10")))
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]


@contextmanager
def talk() -> Iterator[None]:
    """Talk to W&B in here.

    Raises: UserError for a missing or refused key, a silent server, or what the server says.
    """
    try:
        _forget_empty()
        _check_key()
        yield
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001
        # Wandb raises errors of its own, of pydantic and bare ones. Once it has given up a request,
        # its own exit hook may wait for its service for good: end before that.
        atexit.register(os._exit, 2)
        raise UserError(remedy(error)) from None


def _forget_empty() -> None:
    """A flow sets a variable even when its parameter is empty; to wandb that would be a value."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        if not os.environ[name].strip():
            del os.environ[name]


def _check_key() -> None:
    if not inside_wandb.has_key():
        raise UserError(
            f"there is no W&B key; set WANDB_API_KEY or run `wandb login`, on the platform {STORE}"
        )


def remedy(error: Exception) -> str:
    """What went wrong on the way to the server and what to do, in one line without the key."""
    if hasattr(error, "errors"):  # pydantic's: its text would show the value, a key perhaps
        wrong = error.errors()[0]
        return f"WANDB_{str(wrong['loc'][0]).upper()}: {wrong['msg']}"
    server = os.environ.get("WANDB_BASE_URL", "W&B")
    cause = error.__cause__ or error
    answer = getattr(cause, "response", None)
    said = _line(getattr(answer, "message", None) or cause)
    if getattr(answer, "http_status", 0) == 401:
        return f"{server} refuses the key ({said}); copy it anew from the W&B settings, {STORE}"
    if isinstance(error, TimeoutError) or (hasattr(cause, "response") and answer is None):
        return f"{server} does not answer; check the network and WANDB_BASE_URL, then try again"
    if isinstance(error, wandb.errors.AuthenticationError):
        return f"{server}: {said}; copy the key anew from the W&B settings, {STORE}"
    return f"{server}: {said}"


def _line(message: object) -> str:
    text = " ".join(str(message).split())
    key = os.environ.get("WANDB_API_KEY")
    return text.replace(key, "***") if key else text
