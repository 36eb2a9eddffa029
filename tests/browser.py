"""Headless Chromium for tests of pages, driven over its own protocol (Chrome DevTools Protocol).

websocket-client is in the environment for Kubernetes' client already, and tests need few commands; Selenium
would want a driver program of the browser's very version beside it. Use as

    with open_browser() as browser:
        browser.open("http://127.0.0.1:8000/")
        browser.wait("document.body.dataset.ready")
"""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing is fetched but what a page asks for; a container's root has no sandbox, its /dev/shm is small.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)
PATIENCE_SECONDS = 60


class PageError(AssertionError):
    """What a page's script threw."""


def why_not() -> str | None:
    """Why no browser can be started here, None where one can."""
    return None if _program() else f"none of {', '.join(NAMES)} is installed: apt-get install chromium"


def _program() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def open_browser() -> Iterator["Browser"]:
    """A browser with one empty page, its profile thrown away afterwards."""
    import websocket

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [_program(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, **quiet) as process:
            try:
                socket = websocket.create_connection(_page_address(Path(profile)), timeout=PATIENCE_SECONDS)
                with contextlib.closing(socket):
                    yield Browser(socket)
            finally:
                process.terminate()
                process.wait(PATIENCE_SECONDS)


def _page_address(profile: Path) -> str:
    """Where the first page listens; the browser writes its port into its profile."""
    file, until = profile / "DevToolsActivePort", time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError, IndexError, StopIteration, json.JSONDecodeError):
            url = f"http://127.0.0.1:{file.read_text().splitlines()[0]}/json"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            pages = json.load(opener.open(url, timeout=PATIENCE_SECONDS))
            return next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        time.sleep(0.1)
    raise TimeoutError("the browser does not start")


class Browser:
    """One page of a browser."""

    def __init__(self, socket):
        self.socket, self.numbers = socket, itertools.count(1)
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "DOM", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters) -> dict:
        """The answer to one command."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("method") == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]

    def open(self, url: str) -> None:
        """Go to a page; does not wait for it."""
        self.send("Page.navigate", url=url)

    def run(self, expression: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        found = self.send("Runtime.evaluate", expression=expression, **options)
        if details := found.get("exceptionDetails"):
            raise PageError(details.get("exception", details).get("description", str(details)))
        return found["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The first value of an expression that is true."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            # A page that is being left answers with an error.
            with contextlib.suppress(AssertionError):
                if value := self.run(expression):
                    return value
            time.sleep(0.1)
        raise TimeoutError(f"{expression} did not become true; the page reads: {self.text()}")

    def text(self) -> str:
        """What a reader sees."""
        return self.run("document.body.innerText")

    def give_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file field."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def look(self, width: int, height: int, scheme: str = "light") -> None:
        """Take a screen's size and its colour scheme, `light` or `dark`."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path) -> None:
        """Write what is on the screen as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))
