"""Headless Chromium, for pages that run scripts."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from websocket import create_connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websocket import WebSocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 60  # for anything
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # the user in a container may be root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


def find_browser() -> str | None:
    """Return the program: the one that CHROME names, or one on the path."""
    return os.environ.get("CHROME") or next(
        filter(None, map(shutil.which, NAMES)), None
    )


@dataclass
class Page:
    """A page in a browser.

    Attributes
    ----------
    socket
        Connection to the browser.
    events
        What has happened, such as requests.
    """

    socket: WebSocket
    events: list[dict[str, Any]] = field(default_factory=list)
    _calls: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        self._calls += 1
        self.socket.send(
            json.dumps(
                {"id": self._calls, "method": method, "params": parameters}
            )
        )
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") != self._calls:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return dict(answer["result"])

    def open(self, path: Path) -> float:
        """Open a file; return the seconds until it has been drawn."""
        started = time.perf_counter()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.run("new Promise(done => onload = done)", ready=True)
        self.run(FRAME)
        return time.perf_counter() - started

    def run(self, script: str, *, ready: bool = False) -> Any:
        """Return the value of an expression; promises are awaited."""
        if ready:
            script = f"document.readyState === 'complete' || {script}"
        done = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in done:
            raise RuntimeError(json.dumps(done["exceptionDetails"]))
        return done["result"].get("value")

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.run(FRAME)

    def prefer(self, scheme: str) -> None:
        """Prefer a light or a dark scheme."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.run(FRAME)

    def move(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.run(FRAME)

    def tap(self, x: float, y: float) -> None:
        """Touch a place in the window, and let go."""
        point = {"x": x, "y": y}
        for kind, points in (("touchStart", [point]), ("touchEnd", [])):
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.run(FRAME)

    def press(self, key: str, text: str = "") -> None:
        """Press a key of the keyboard."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                text=text if kind == "keyDown" else "",
            )

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of the window, or of the whole page."""
        done = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(done["data"]))


# A promise that resolves once changes have been drawn.
FRAME = (
    "new Promise(done => requestAnimationFrame("
    "() => requestAnimationFrame(done)))"
)


@contextlib.contextmanager
def browsing(program: str, folder: Path) -> Iterator[Page]:
    """Start a browser and yield its page.

    Parameters
    ----------
    program
        The browser.
    folder
        Where the browser keeps its data.
    """
    process = subprocess.Popen(
        [program, *OPTIONS, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = _port(folder / "DevToolsActivePort", process)
        page = Page(create_connection(_address(port), timeout=SECONDS))
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        yield page
        page.call("Browser.close")
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def _port(path: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(path.read_text().splitlines()[0])
        time.sleep(0.05)
    raise RuntimeError("the browser does not start")


def _address(port: int) -> str:
    from urllib.request import urlopen

    with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS) as done:
        pages = json.load(done)
    return str(
        next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
    )
