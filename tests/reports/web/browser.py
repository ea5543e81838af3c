"""Chromium without a window, by its own protocol over two pipes: no driver, no port."""

import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--remote-debugging-pipe", "--disable-background-networking", "--disable-extensions"),
)


class Page:
    """A tab: call methods of the protocol, evaluate JavaScript, wait for conditions; its events are kept."""

    def __init__(self, read, write):
        self.read, self.write, self.buffer = read, write, b""
        self.number, self.session, self.events = 0, None, []

    def call(self, method, **parameters):
        """Call a method and return its result. Raises RuntimeError with the browser's message."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next_message(60)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def next_message(self, seconds):
        """Return the next answer; what is no answer goes to `events`."""
        while b"\0" not in self.buffer:
            if not select.select([self.read], [], [], seconds)[0]:
                raise TimeoutError("Chromium does not answer")
            self.buffer += os.read(self.read, 1 << 20)
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def evaluate(self, expression):
        """Return the value of a JavaScript expression, awaited. Raises RuntimeError if it throws."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self.call("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, expression, *, seconds=120):
        """Wait until an expression is true and return its value."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {expression}; {self.problems()}")
            time.sleep(0.05)
        return value

    def choose(self, selector, *paths):
        """Put files into an <input type=file>."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def drop(self, path, x=300, y=300):
        """Drop a file from outside, as a mouse would."""
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def requests(self):
        """Return the addresses that the page has asked for."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def problems(self):
        """Return exceptions and errors of the console."""
        told = [event for event in self.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
        return [event["params"] for event in told]


@contextmanager
def opened(address, folder, *, size=(1440, 900), dark=False):
    """Yield a Page at an address; `folder` holds the profile and what is downloaded."""
    to_browser, from_browser = os.pipe(), os.pipe()
    # numbers behind 3 and 4, which the browser reads and writes
    inner = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser[0], from_browser[1])]
    command = f'exec "$@" 3<&{inner[0]} 4>&{inner[1]}'
    flags = [*FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={folder / 'profile'}"]
    with open(folder / "chromium.log", "wb") as log:
        browser = subprocess.Popen(
            ["bash", "-c", command, "bash", CHROMIUM, *flags, "about:blank"], pass_fds=inner, stdout=log, stderr=log
        )
    for end in (*inner, to_browser[0], from_browser[1]):
        os.close(end)
    page = Page(from_browser[0], to_browser[1])
    try:
        targets = page.call("Target.getTargets")["targetInfos"]
        tab = next(target["targetId"] for target in targets if target["type"] == "page")
        page.session = page.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            page.call(f"{domain}.enable")
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.call("Emulation.setEmulatedMedia", features=features)
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        page.call("Emulation.setDeviceMetricsOverride", **metrics)
        page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        page.call("Page.navigate", url=address)
        page.wait("document.readyState === 'complete'")
        page.folder = folder
        yield page
    finally:
        browser.terminate()
        browser.wait(20)
        for end in (to_browser[1], from_browser[0]):
            os.close(end)
