"""Which tests run: `slow` only when asked for, `benchmark` only where SRNB_DATA names the benchmark sets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


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
