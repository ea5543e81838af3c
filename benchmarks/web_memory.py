"""Print the memory that a browser takes while its page enlarges pictures of several sizes, and the page's longest task.

    python benchmarks/web_memory.py --megapixels 0.26 1.6 6.3

Each picture has a Chromium of its own. `renderer` is the process of the page and its workers: the kernel's own record
of its peak (VmHWM), less what it had when the page was open. `all` is the proportional memory (PSS) of all processes of
the browser, read every 50 ms, less the same: with the file that waits to be saved.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright import sync_api
from skimage import data

MB = 1e6
WATCH = """window.longest = 0;
new PerformanceObserver((list) => { for (const task of list.getEntries()) longest = Math.max(longest, task.duration) })
  .observe({ type: "longtask" });"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="compact", help="name of one that ships")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.26, 1.6, 6.3])
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        print("skipped: needs Chromium")
        return

    from srnb.reports.web import choices, page

    with tempfile.TemporaryDirectory() as name, sync_api.sync_playwright() as play:
        folder = Path(name)
        site = page.write(folder, choices.of_shipped([options.network]), title="", lead="")
        for megapixels in options.megapixels:
            picture = photograph(folder / f"{megapixels}.jpg", megapixels * 1e6)
            launch = {"executable_path": chromium, "args": ["--no-sandbox", "--disable-gpu"]}
            with play.chromium.launch_persistent_context(folder / f"profile-{megapixels}", **launch) as browser:
                print(f"{megapixels:g} MP: {measured(browser.pages[0], site, picture, folder)}", flush=True)


def photograph(path, pixels):
    """Write a photograph of about as many pixels, 4 by 3, and return its path."""
    height = round((pixels * 3 / 4) ** 0.5)
    shape = (height, round(height * 4 / 3))
    repeats = [-(-side // 512) for side in shape]
    tiles = np.tile(data.astronaut(), (*repeats, 1))[: shape[0], : shape[1]]
    Image.fromarray(tiles).save(path, quality=92)
    return path


def measured(tab, site, picture, folder):
    tab.add_init_script(WATCH)
    tab.goto(site.as_uri())
    tab.wait_for_timeout(1500)
    processes = family(folder)
    renderers = [process for process in processes if "--type=renderer" in line(process)]
    rest, own = sum(map(pss, processes)), {process: peak(process) for process in renderers}
    started, highest = time.monotonic(), 0
    tab.set_input_files(".try .file", picture)
    while not tab.evaluate("document.querySelector('.try .save').href"):
        highest = max(highest, sum(map(pss, family(folder))))
        tab.wait_for_timeout(50)
        if problem := tab.locator(".try .message").text_content():
            return problem
    seconds, longest = time.monotonic() - started, tab.evaluate("longest")
    renderer = max(peak(process) - before for process, before in own.items())  # the page's; spare ones do nothing
    return (
        f"renderer {renderer / MB:.0f} MB, all {(highest - rest) / MB:.0f} MB, {seconds:.0f} s; "
        f"longest task of the page {longest:.0f} ms; {tab.locator('.try .size').inner_text()}"
    )


def family(folder):
    """Return the processes of the browser whose profile is in a folder."""
    root = next(p for p in psutil.process_iter() if f"--user-data-dir={folder}" in " ".join(line(p)))
    return [root, *root.children(recursive=True)]


def line(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def pss(process):
    try:
        return process.memory_full_info().pss
    except psutil.Error:  # one that has ended
        return 0


def peak(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(text.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
