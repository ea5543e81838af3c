"""A disk that is full at some moment of each notebook, and of `srnb upscale`, `report` and `runs`."""

import os
import re
import shutil
import subprocess
from contextlib import contextmanager

import pytest
import tiny

pytestmark = pytest.mark.slow

SIZE = 16  # MiB
NOTEBOOKS = {1: "data", 2: "pretrain", 3: "gan", 4: "evaluate", 5: "ablations"}


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def full(disk, *, but):
    """Fill a disk up to `but` KiB."""
    space = os.statvfs(disk)
    with open(disk / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, space.f_bavail * space.f_frsize - but * 1024))
    yield
    (disk / "filler").unlink()


def halves(folder):
    """Return what unfinished writes have left."""
    return [path for path in folder.rglob(".*") if path.is_file()]


@pytest.mark.parametrize("number", NOTEBOOKS, ids=NOTEBOOKS.values())
def test_a_notebook(results, disk, number):
    """It ends three times for want of room, each time a little later, and then goes on to the same numbers."""
    run = tiny.before(results / "tiny", number, disk)
    environment = tiny.ENVIRONMENT | ({"SRNB_CACHE": str(disk / "cache")} if number == 1 else {})
    resume = ["run", "--resume", "tiny", "--results", disk]
    for room in (0, 24, 300):
        with full(disk, but=room):
            status, output = tiny.srnb(*resume, folder=disk, environment=environment)
            tiny.require_plain(status, output, fails=True)
            assert re.search("\nError: .*No space left on device: '?/", output), f"{room} KiB\n{output}"
            assert halves(disk) == [], room
    status, output = tiny.srnb(*resume, folder=disk, environment=environment)
    tiny.require_plain(status, output, fails=False)
    assert (run / "DONE").is_file() and halves(disk) == []
    count = {1: 0, 2: 3, 3: 6}.get(number)  # lines of the log; after that, the metrics too
    assert tiny.numbers(run).splitlines() == tiny.numbers(results / "tiny").splitlines()[:count]


def test_the_other_commands(results, disk, tmp_path):
    shutil.copytree(results / "tiny", disk / "tiny")
    page = (disk / "tiny" / "report" / "index.html").read_bytes()
    photographs = tiny.photographs(tmp_path / "photographs", count=2)
    upscale = ["upscale", *photographs, "--out", disk / "out"]
    with full(disk, but=8):
        for command in (["report", "tiny"], ["runs"], upscale):
            status, output = tiny.srnb(*command, "--results", disk, folder=tmp_path)
            tiny.require_plain(status, output, fails=True)
            assert "No space left on device: /" in output
    assert halves(disk) == [] and not list((disk / "out").glob("*"))
    assert (disk / "tiny" / "report" / "index.html").read_bytes() == page
    for command in (["report", "tiny"], ["runs"], upscale):
        tiny.require_plain(*tiny.srnb(*command, "--results", disk, folder=tmp_path), fails=False)
