"""Processes that make batches: the same batches as here, errors that arrive, and nothing left behind."""

import signal
import subprocess
import sys
import textwrap

import noise
import numpy as np
import psutil
import pytest

from srnb import provenance
from srnb.data import patches, processes, shards


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    return shards.prepare(noise.photographs(folder, [(60, 70), (80, 64)]), folder / "shards")


def make(index, **options):
    options = {"patch_size": 32, "scale": 4, "batch_size": 4, "seed": 3, "degradation": "realesrgan"} | options
    return patches.Patches(index, **options)


def children():
    return [each for each in psutil.Process().children() if processes.COMMAND in each.cmdline()]


@pytest.mark.parametrize("degradation", ["realesrgan", "blur1 bicubic noise5 jpeg60"])
def test_random_degradations_are_made_in_processes_and_are_the_same_batches(index, degradation):
    source = make(index, degradation=degradation, augment=("flip", "zoom", "cutblur"))
    stream = source.stream(2, workers=3)
    first = next(stream)
    assert len(children()) == 3
    for found, expected in zip(first, source.batch(2), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(next(stream)[0], source.batch(3)[0])
    stream.close()
    assert not children()


@pytest.mark.parametrize(("cores", "expected"), [(1, 0), (2, 0), (5, 5)])
def test_bicubic_is_left_to_threads_as_long_as_they_are_two(index, monkeypatch, cores, expected):
    monkeypatch.setattr(provenance, "cores", lambda: cores)
    source = make(index, degradation="bicubic", augment=("flip", "zoom"))
    stream = source.stream()
    for step in range(2 * cores):
        for found, own in zip(next(stream), source.batch(step), strict=True):
            np.testing.assert_array_equal(found, own)
    assert len(children()) == expected
    stream.close()
    assert not children()


def test_there_are_no_more_than_a_limit(index, monkeypatch):
    monkeypatch.setattr(provenance, "cores", lambda: 64)
    monkeypatch.setattr(patches, "WORKERS", 3)
    stream = make(index).stream()
    next(stream)
    assert len(children()) == 3
    stream.close()


def test_files_in_the_working_directory_are_no_modules(index, tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise SystemExit('a script of the user')")
    monkeypatch.chdir(tmp_path)
    source = make(index)
    stream = source.stream(workers=1)
    np.testing.assert_array_equal(next(stream)[0], source.batch(0)[0])
    stream.close()


def test_an_error_arrives_as_it_was_raised(index):
    source = make(index)
    source.entries = [entry | {"file": "absent.npy"} for entry in source.entries]
    stream = source.stream()
    with pytest.raises(FileNotFoundError, match="a shard must be there; prepare the set again"):
        next(stream)
    assert not children()


def test_a_process_that_dies_is_no_endless_wait(index):
    stream = make(index).stream(workers=1)
    next(stream)
    (process,) = children()
    process.kill()
    with pytest.raises(RuntimeError, match=r"must not end. Received: exit status -9"):
        for _ in range(4):
            next(stream)
    assert not children()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_none_is_left_behind_however_the_parent_ends(index, ending):
    program = f"""
        from srnb.data import patches
        options = {{"patch_size": 32, "scale": 4, "batch_size": 4, "seed": 3, "degradation": "realesrgan"}}
        for batch in patches.Patches({str(index)!r}, **options).stream(workers=2):
            print(flush=True)
    """
    # a script as users write them, without `if __name__ == "__main__"`
    command = [sys.executable, "-c", textwrap.dedent(program)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    parent.stdout.readline()
    made = psutil.Process(parent.pid).children()
    assert len(made) == 2
    parent.send_signal(ending)
    parent.stdout.close()
    parent.wait(60)
    _, left = psutil.wait_procs(made, timeout=60)
    assert not left
