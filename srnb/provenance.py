"""What a run's numbers depend on beside its parameters: versions, commit, machine."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from srnb import files

PACKAGES = (
    *("srnb", "keras", "tensorflow", "tensorflow-cpu", "jax", "jaxlib", "numpy", "scipy", "pillow", "pandas"),
    *("papermill", "nbclient", "ipykernel"),
)


def versions():
    """Return {name: version} of Python and of the packages on which a run's numbers depend."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state():
    """Return {commit, dirty: whether tracked files differ from it}; both None where git does not say."""
    try:
        commit = _output("git", "-C", files.ROOT, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_output("git", "-C", files.ROOT, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def cores():
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def machine():
    """Return a dict of system, processor, usable cores, memory in GiB, and NVIDIA GPUs of this machine."""
    try:
        gpus = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    except (OSError, subprocess.SubprocessError):
        gpus = []
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": gpus,
    }


def _output(*command):
    """Return what a command prints. Raises OSError or a SubprocessError, also where a broken driver lets it hang."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
