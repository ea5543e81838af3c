"""A real JupyterLab on copies of the notebooks, in headless Chromium, for tests that need both."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import nbformat

from srnb.runner import copies, presets

ERROR = ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']"  # whatever is red
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page, also where it is not seen
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
QUIET = [  # of the server
    *("--no-browser", "--ip=127.0.0.1", "--allow-root", "--IdentityProvider.token=", "--ServerApp.password="),
    *("--LabApp.news_url=", "--LabApp.extension_manager=readonly"),
]


def prepare(folder, **values):
    """Copy the notebooks as `srnb lab` does, to folder/lab, with some parameters edited in their cells."""
    copies.refresh(folder / "lab")
    for path in presets.notebooks(folder=folder / "lab"):
        notebook, known = nbformat.read(path, 4), presets.parameters(path)
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items() if name in known)
        nbformat.write(notebook, path)


@contextmanager
def serve(folder, *, theme="JupyterLab Light"):
    """Yield the address of a JupyterLab with the root `folder`."""
    home = folder / "home"  # of one user: what an earlier server saved is trusted
    for name, values in (SETTINGS | {"apputils-extension/themes": {"theme": theme}}).items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    places |= {"JUPYTERLAB_WORKSPACES_DIR": "workspaces", "JUPYTERLAB_SETTINGS_DIR": "settings"}
    environment = os.environ | {name: str(home / place) for name, place in places.items()}
    environment.pop("SRNB_HEADLESS", None)
    command = [sys.executable, "-m", "jupyterlab", *QUIET, f"--port={port}", f"--ServerApp.root_dir={folder}"]
    with open(home / "log", "a") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _answering(address, server, home / "log")
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def _answering(address, server, log):
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=5)
            return
        except OSError:
            assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


class Notebook:
    """A notebook of lab/ in a page of the browser."""

    def __init__(self, page, address, stem, folder):
        self.page, self.address, self.path = page, address, folder / "lab" / f"{stem}.ipynb"
        self.cells = nbformat.read(self.path, 4).cells
        self.ids = [cell.id for cell in self.cells]
        self.open()

    def open(self):
        """Open the notebook as it was when it was saved, with a kernel that knows nothing of it."""
        self.page.goto(f"{self.address}/lab/tree/lab/{self.path.name}?reset", wait_until="domcontentloaded")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        self.idle()

    def code(self):
        """Return the ids of the code cells."""
        return [cell.id for cell in self.cells if cell.cell_type == "code"]

    def idle(self, timeout=300):
        """Wait until the kernel has nothing to do."""
        idle = self.page.locator(".jp-StatusBar-TextItem", has_text=re.compile(r"\| Idle"))
        idle.wait_for(timeout=1000 * timeout)

    def cell(self, name):
        """Return the locator of a cell by its id in the file."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self.ids.index(name))

    def menu(self, *path):
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{path[0]}$")).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{path[1]}$")).click()

    def run_all(self, timeout=600):
        self.menu("Run", "Run All Cells")
        self.ran(timeout=timeout)

    def run(self, name, timeout=300):
        """Run one cell to its end."""
        self.select(name)
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_timeout(300)
        self.ran(name, timeout=timeout)

    def append(self, name, text):
        """Type at the end of a cell."""
        self.cell(name).locator(".cm-content").click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(text)
        self.page.keyboard.press("Escape")

    def select(self, name):
        self.cell(name).locator(".jp-InputPrompt").first.click()

    def prompts(self):
        return self.page.locator(".jp-CodeCell .jp-InputArea-prompt").all_inner_texts()

    def ran(self, name=None, timeout=600):
        """Wait until all code cells, or one, have a number. Raises AssertionError with the error that a cell shows."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            prompts = [self.cell(name).locator(".jp-InputArea-prompt").inner_text()] if name else self.prompts()
            errors = self.page.locator(ERROR)
            assert not errors.count(), errors.first.inner_text()[-2000:]
            if all(re.search(r"\[\d+\]", prompt) for prompt in prompts):
                self.idle()
                return
            time.sleep(0.3)
        raise AssertionError(f"not within {timeout} s: {prompts}")

    def shoot(self, names, theme):
        """Leave pictures of cells beside the notebooks' folder, for people to look at."""
        for name in names:
            self.cell(name).screenshot(path=self.path.parent.parent / "shots" / f"{self.path.stem}-{name}-{theme}.png")

    def save(self):
        before = self.path.stat().st_mtime_ns
        self.page.keyboard.press("Escape")
        self.menu("File", "Save Notebook")
        deadline = time.monotonic() + 60
        while self.path.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline, "the notebook must be saved"
            time.sleep(0.2)

    def shut_down(self):
        """End the kernel, as closing Lab does."""
        self.menu("Kernel", "Shut Down Kernel")
        self.page.locator(".jp-StatusBar-TextItem", has_text="No Kernel").wait_for()
