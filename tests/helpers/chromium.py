"""A headless Chromium that tests drive by its debugging pipe: pages from disk, keys, pictures."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

NAMES = "chromium", "chromium-browser", "google-chrome", "chrome"
_SECONDS = 60.0


def found() -> str | None:
    """The program, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page of a browser; `complaints` are errors, warnings and exceptions that it said.

    `requests` are the addresses that it asked for, those in the page itself left out.
    """

    def __init__(self, profile: Path) -> None:
        """`profile`: an empty folder."""
        to_it, self._write = os.pipe()
        self._read, from_it = os.pipe()
        program = found()
        assert program is not None

        def as_three_and_four() -> None:
            # first out of the way: one of the two may be 3 or 4 itself
            high = [os.dup(fd) for fd in (to_it, from_it)]
            for fd, wanted in zip(high, (3, 4), strict=True):
                os.dup2(fd, wanted)

        self._process = subprocess.Popen(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-pipe",
                f"--user-data-dir={profile}", "about:blank",
            ],
            close_fds=False,
            preexec_fn=as_three_and_four,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_it)
        os.close(from_it)
        self._rest, self._number, self._session = b"", 0, ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._write)
        os.close(self._read)

    def open(self, file: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Show a file from disk in a window of this size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self._loaded = False
        self.call("Page.navigate", url=file.absolute().as_uri())
        self._until(lambda: self._loaded)

    def run(self, script: str) -> object:
        """The value of a JavaScript expression, once it is there where it is a promise."""
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def key(self, name: str, shift: bool = False) -> None:
        """Press and release a key, named as `KeyboardEvent.key` has it."""
        codes = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35, "Tab": 9, " ": 32}
        code = codes.get(name, ord(name[0].upper()))
        held = {"key": name, "windowsVirtualKeyCode": code, "modifiers": 8 * shift}
        typed = {"text": name} if len(name) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **held, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **held)

    def mouse(self, kind: str, x: float, y: float, pressed: bool = False) -> None:
        """mousePressed, mouseMoved or mouseReleased at a place of the window."""
        held = {"button": "left", "buttons": 1, "clickCount": 1} if pressed else {}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held)

    def click(self, x: float, y: float) -> None:
        """Click the left button there."""
        self.mouse("mousePressed", x, y, True)
        self.mouse("mouseReleased", x, y, True)

    def picture(self) -> bytes:
        """What the window shows, as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def call(self, method: str, **parameters: object) -> dict:
        """A method of the DevTools protocol; returns its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        answers: list[dict] = []
        self._until(lambda: bool(answers), answers)
        assert "error" not in answers[0], (method, answers[0])
        return answers[0]["result"]

    def _until(self, is_so, answers: list[dict] | None = None) -> None:
        """Take in what the browser says until `is_so`."""
        until = time.monotonic() + _SECONDS
        while not is_so():
            left = until - time.monotonic()
            assert left > 0, "Chromium does not answer"
            if not select.select([self._read], [], [], left)[0]:
                continue
            data = os.read(self._read, 1 << 20)
            assert data, "Chromium has gone"
            *whole, self._rest = (self._rest + data).split(b"\0")
            for text in whole:
                message = json.loads(text)
                if message.get("id") == self._number and answers is not None:
                    answers.append(message)
                elif "method" in message:
                    self._take(message["method"], message["params"])

    def _take(self, event: str, said: dict) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(said["exceptionDetails"])[:500])
        elif event == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(said["args"])[:500])
        elif event == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(said["entry"]["text"][:500])
        elif event == "Network.requestWillBeSent":
            url = said["request"]["url"]
            if not url.startswith("data:"):
                self.requests.append(url)
