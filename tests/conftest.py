"""Which tests run: `slow` only when asked for, `benchmark` only where SRNB_DATA names the benchmark sets. A browser."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


def pytest_collection_modifyitems(config, items):
    data = Path(os.environ.get("SRNB_DATA", "") or "/nonexistent")
    skips = {
        "benchmark": pytest.mark.skip(reason="SRNB_DATA must name a folder with benchmarks/Set5 and others"),
        "slow": pytest.mark.skip(reason="takes minutes: make test ARGS='-m slow'"),
    }
    if (data / "benchmarks").is_dir():
        del skips["benchmark"]
    if "slow" in config.option.markexpr:
        del skips["slow"]
    items.sort(key=lambda item: item.path.name != "test_smoke.py")  # the longest first: two workers end together
    for item in items:
        for name, skip in skips.items():
            if name in item.keywords:
                item.add_marker(skip)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a tmpfs can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")  # no longer: while it is open, asyncio of other tests finds its loop
def chromium():
    """The system's Chromium without a window, a Browser of Playwright; without one a test is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(chromium):
    """Return a function: path of an HTML file -> a Page of Playwright.

    `size` is (width, height), other options are those of Browser.new_page. The page notes what its scripts throw and
    what its console calls an error in `errors`, which must be empty in the end, and in `asked` the protocols of all
    that it asked for.
    """
    pages = []

    def opened(path, *, size=(1440, 900), **options):
        page = chromium.new_page(viewport={"width": size[0], "height": size[1]}, **options)
        page.errors, page.asked = [], set()
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
        page.on("request", lambda request: page.asked.add(request.url.partition(":")[0]))
        pages.append(page)
        page.goto(path.as_uri())
        return page

    yield opened
    for page in pages:
        page.close()
    assert [page.errors for page in pages] == [[] for _ in pages]
