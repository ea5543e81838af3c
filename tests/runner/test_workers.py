"""Grids on Dask workers that are killed in the middle: no row is lost or doubled, every run comes to its end."""

import os
import signal
import subprocess

import psutil
import pytest
import toy

from srnb.runner import lock

SWEEP = ["grid", "rates", "--workers", "2"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    return toy.place(tmp_path)


@pytest.fixture
def sweep(place):
    """A command that runs the grid on two workers, and its runs, when both stand at the gate in step 12."""
    command = toy.command(place, *SWEEP, "-p", "gate", str(place / "go"))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    both = [toy.run_of(place, "rates-slow"), toy.run_of(place, "rates-fast")]
    toy.until(lambda: all(toy.steps(run) == 12 for run in both))
    yield process, both
    process.kill()
    process.wait()


def worker(run):
    return psutil.Process(lock.holder(run)["pid"])


def ended(process):
    """Where pid 1 reaps nobody, what has ended stays as a zombie."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def requires_whole(slow, fast):
    toy.requires_unbroken(slow)
    toy.requires_unbroken(fast, rate=0.2)
    assert slow.is_done and fast.is_done


def test_a_grid_runs_the_notebooks_it_is_told_on_the_data_of_its_base(place):
    data = {"train": ["a.png"]}
    toy.run_of(place, "base").update(data=data, seed=4, values={"rate": 0.3})
    toy.write(place / "notebooks", "03_after", "run_folder = ''\nseed = 0", "print('after')")
    toy.srnb(place, "grid", "rates", "03", "--base", "base", "-p", "seed", "4", "--seeds", "2")
    assert toy.run_of(place, "base-seed5").read()["values"] == {"rate": 0.3, "seed": 5}
    names = ("rates-slow", "rates-fast", "rates-slow-seed5", "rates-fast-seed5", "base-seed5")
    runs = [toy.run_of(place, name) for name in names]
    assert all(run.is_done and list(run.read()["notebooks"]) == ["03_after"] for run in runs)
    assert all(run.read()["data"] == {"train": ["a.png"]} for run in runs)


@pytest.mark.slow
def test_a_killed_worker_loses_and_doubles_nothing(place, sweep):
    process, (slow, fast) = sweep
    (kernel,) = (each for each in worker(slow).children() if "ipykernel_launcher" in each.cmdline())
    kernel.suspend()  # as in the middle of a long computation, it does not notice that it is an orphan
    worker(slow).kill()
    toy.until(lambda: len(lock.owners(slow)) == 2 and toy.steps(slow) == 12)
    (place / "go").touch()
    assert ended(kernel)
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    requires_whole(slow, fast)
    assert [len(lock.owners(run)) for run in (slow, fast)] == [2, 1]


@pytest.mark.slow
def test_the_same_command_completes_what_was_killed(place, sweep):
    process, both = sweep
    workers = [worker(run) for run in both]
    workers[0].kill()
    process.kill()
    toy.until(lambda: all(map(ended, workers)))
    assert "interrupted" in toy.srnb(place, "runs") and not any(run.is_done for run in both)
    (place / "go").touch()
    said = toy.srnb(place, *SWEEP, "-p", "gate", str(place / "go"))
    assert "failed" not in said, said
    requires_whole(*both)


@pytest.mark.slow
def test_what_kills_its_workers_fails_alone(place, monkeypatch):
    """Dask gives a run to another worker three times; one is enough here."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    (place / "notebooks" / "presets" / "grids" / "rates.yaml").write_text("bad: {rate: 9.0}\ngood: {rate: 0.1}\n")
    deadly = f"if rate == 9: os.kill(os.getppid(), {int(signal.SIGKILL)})"
    toy.write(place / "notebooks", "01_train", toy.PARAMETERS, deadly, toy.TRAINING)
    said = toy.srnb(place, *SWEEP)
    bad, good = toy.run_of(place, "rates-bad"), toy.run_of(place, "rates-good")
    assert "1 of 2 runs failed: rates-bad: KilledWorker" in said, said
    toy.requires_unbroken(good)
    assert good.is_done and bad.read()["status"] == "failed" and bad.read()["error"]["kind"] == "KilledWorker"
    assert os.path.isfile(bad.folder / "owners" / "1.json")
