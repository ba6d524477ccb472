"""A headless Chromium, spoken to by the DevTools protocol: JSON over two pipes, each message ended by a zero byte. So no port is open,
and the browser may be in any network namespace."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from harness.topology import die_with_us
from harness.waiting import TIMEOUT, wait_until

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser")) if path), None)

# Nothing of its own may go out, and nothing slows down a page that is not seen.
FLAGS = [
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-sync",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
    "--hide-scrollbars", "--mute-audio", "--use-mock-keychain", "--password-store=basic", "about:blank"]


class PageError(Exception):
    """What a script in the page threw."""


class Browser:
    def __init__(self, host=None):
        self.directory = tempfile.mkdtemp(prefix="mcastd-browser-")
        self.next_id = 0
        self.pending = b""
        self.events = []
        theirs_in, self.to = os.pipe()
        self.come_from, theirs_out = os.pipe()

        def hand_over():
            """The browser reads 3 and writes 4."""
            high_in, high_out = os.dup2(theirs_in, 103), os.dup2(theirs_out, 104)
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)
            die_with_us()

        environment = {**os.environ, "HOME": self.directory, "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        environment.pop("LD_PRELOAD", None)
        with host or contextlib.nullcontext():
            self.process = subprocess.Popen(
                [CHROMIUM, f"--user-data-dir={self.directory}", *FLAGS], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=hand_over, env=environment, start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        self.session = None
        target = self.call("Target.getTargets")["targetInfos"][0]["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError, AssertionError):
            self.session = None
            self.call("Browser.close")
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.come_from)
        shutil.rmtree(self.directory, ignore_errors=True)

    # The protocol

    def read(self, deadline):
        """The next message, or None when there is none by then."""
        while b"\0" not in self.pending:
            if not select.select([self.come_from], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            piece = os.read(self.come_from, 1 << 20)
            assert piece, "the browser has ended"
            self.pending += piece
        message, _, self.pending = self.pending.partition(b"\0")
        return json.loads(message)

    def call(self, method, timeout=4 * TIMEOUT, **parameters):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        deadline = time.monotonic() + timeout
        while answer := self.read(deadline):
            if answer.get("id") == self.next_id:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)
        raise AssertionError(f"the browser did not answer {method} in {timeout} s")

    def seen(self, method):
        """The parameters of all events of a kind until now."""
        self.call("Runtime.evaluate", expression="0")
        return [event["params"] for event in self.events if event.get("method") == method]

    # The page

    def open(self, url):
        self.events.clear()
        self.call("Page.navigate", url=url)
        wait_until(lambda: self.seen("Page.loadEventFired"), f"{url} to be loaded")

    def run(self, script):
        """The value of an expression, which may be a promise."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def wait_for(self, script, what, timeout=TIMEOUT):
        return wait_until(lambda: self.run(script), what, timeout)

    def resize(self, width, height, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 500)

    def be_dark(self, is_dark):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}])

    def press(self, key, text=None):
        codes = {"Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "PageDown": 34, "Home": 36, "End": 35, "Tab": 9}
        code = codes.get(key, ord(key[0].upper()))
        text = text or {"Enter": "\r"}.get(key) or (key if len(key) == 1 else None)
        extra = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **extra)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def problems(self):
        """What the page complained of: errors in the console, and exceptions."""
        entries = [params["entry"] for params in self.seen("Log.entryAdded")]
        found = [f"{entry.get('text')} {entry.get('url', '')}" for entry in entries if entry["level"] == "error"]
        found += [str(params["args"]) for params in self.seen("Runtime.consoleAPICalled") if params["type"] in ("error", "assert")]
        return found + [str(params["exceptionDetails"]) for params in self.seen("Runtime.exceptionThrown")]

    def requested(self):
        return [params["request"]["url"] for params in self.seen("Network.requestWillBeSent")]
