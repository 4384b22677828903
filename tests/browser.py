"""A headless Chromium to open pages in, spoken to through its debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-pipe --hide-scrollbars "
    "--enable-unsafe-swiftshader"
).split()


class Browser:
    """One page.

    problems: what its console or its scripts complained of. requests: what it asked for.
    width, height: of the window, in CSS pixels.
    """

    def __init__(self, width: int, height: int = 900, dark: bool = False) -> None:
        assert CHROMIUM
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._home = tempfile.mkdtemp(prefix="chromium-")
        read_end, self._write = os.pipe()
        self._read, write_end = os.pipe()
        pipes = f'exec "$@" 3<&{read_end} 4>&{write_end}'
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                pipes,
                "-",
                CHROMIUM,
                *FLAGS,
                f"--user-data-dir={self._home}",
                "about:blank",
            ],
            pass_fds=(read_end, write_end),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self._home},
        )
        os.close(read_end)
        os.close(write_end)
        self._count, self._rest, self._session = 0, b"", ""
        (target,) = [
            one for one in self._ask("Target.getTargets")["targetInfos"] if one["type"] == "page"
        ]
        attached = self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._home, ignore_errors=True)

    def open(self, path: Path) -> None:
        """Load a file and wait until its script says that all is drawn."""
        self.requests.clear()
        self._ask("Page.navigate", url=path.as_uri())
        self.wait("document.documentElement?.dataset.drawn")

    def run(self, script: str) -> Any:
        """What an expression, or the promise it makes, comes to."""
        found = self._ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < deadline, f"not in {seconds} s: {script}"
            time.sleep(0.05)
        return found

    def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """With the left button, in steps, as a hand does."""
        self._mouse("mouseMoved", x, y)
        self._mouse("mousePressed", x, y, button="left", clickCount=1)
        for step in range(1, 9):
            self._mouse(
                "mouseMoved", x + (to_x - x) * step / 8, y + (to_y - y) * step / 8, button="left"
            )
        self._mouse("mouseReleased", to_x, to_y, button="left", clickCount=1)

    def hover(self, x: float, y: float) -> None:
        self._mouse("mouseMoved", x, y)

    def type(self, text: str) -> None:
        """Into whatever has the focus."""
        self._ask("Input.insertText", text=text)

    def press(self, key: str) -> None:
        code, text = {"Tab": (9, ""), "Enter": (13, "\r")}[key]
        shared = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self._ask("Input.dispatchKeyEvent", **down, **shared)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **shared)

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Of the whole page, or of what the window shows of it."""
        image = self._ask("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(image["data"]))

    def pdf(self) -> bytes:
        return base64.b64decode(self._ask("Page.printToPDF")["data"])

    def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        held = {"buttons": 1} if "button" in more and kind != "mouseReleased" else {}
        self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held, **more)

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        told: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if self._session:
            told["sessionId"] = self._session
        os.write(self._write, json.dumps(told).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == told["id"]:
                assert "error" not in heard, (method, heard["error"])
                result: dict[str, Any] = heard["result"]
                return result

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], 90)
            more = os.read(self._read, 1 << 20) if ready else b""
            assert more, "Chromium says nothing"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(message)
        self._note(heard.get("method", ""), heard.get("params", {}))
        return heard

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"])[:1000])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.problems.append(json.dumps(params["args"])[:1000])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
