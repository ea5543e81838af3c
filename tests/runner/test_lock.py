"""One writer per run folder: the living are told from the dead, here and on hosts that cannot be asked."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import toy

from srnb import files, runs
from srnb.runner import chain, lock, presets

TAKEN = "a run must not be going on already"


@pytest.fixture
def run(tmp_path):
    return runs.Run(tmp_path / "run")


def owned(run, **owner):
    """Write the record of an owner that holds the run, and return its file."""
    mine = {"host": "elsewhere", "pid": 1, "created": 0.0, "started": "2026-01-01T00:00:00+00:00"}
    files.write_text(run.folder / "owners" / "1.json", json.dumps(mine | owner))
    return run.folder / "owners" / "1.json"


def test_held_once_and_let_go(run):
    with lock.held(run):
        assert lock.holder(run)["pid"] == os.getpid()
        with pytest.raises(ValueError, match=f"{TAKEN}.*process {os.getpid()} on"), lock.held(run, take_over=True):
            pass
    assert lock.holder(run) is None
    with pytest.raises(ZeroDivisionError), lock.held(run):
        1 / 0  # noqa: B018
    assert ["ended" in owner for owner in lock.owners(run)] == [True, True]


def test_of_many_at_once_one_holds_it(run):
    def attempt(_):
        try:
            with lock.held(run):
                time.sleep(0.5)
                return True
        except ValueError:
            return False

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt, range(8))) == 1


def test_a_kernel_leaves_one_file_and_the_slow_are_refused(run, monkeypatch):
    with lock.held(run):
        pass
    earlier = None
    for number in (2, 3, 4):
        with lock.held(run, notebook="02_pretrain", earlier=earlier) as earlier:
            assert lock.holder(run)["notebook"] == "02_pretrain"
        assert [path.stem for path in lock._paths(run)] == ["1", str(number)]
    everyone, first = lock._paths, []
    # who listed the files when there was one, and goes on now that number 2 is free again
    monkeypatch.setattr(lock, "_paths", lambda run: everyone(run)[: 1 if not first and not first.append(1) else None])
    monkeypatch.setattr(lock, "holder", lambda run, take_over: None)
    with pytest.raises(ValueError, match="taken by another at this moment"), lock.held(run):
        pass
    assert [path.stem for path in everyone(run)] == ["1", "4"]


def test_of_two_resumes_at_one_moment_one_is_refused(tmp_path):
    place = toy.place(tmp_path)
    paths = presets.notebooks(["01"], folder=place / "notebooks")
    run = chain.begin(place / "results" / "twice", paths, values={"gate": str(place / "go")}, backend="jax")
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen(toy.command(place, "run", "--resume", "twice"), **streams) for _ in range(2)]
    toy.until(lambda: any(process.poll() is not None for process in both))  # the other waits for the gate
    (place / "go").touch()
    said = {process.communicate()[0]: process.returncode for process in both}
    (refused,) = [text for text, status in said.items() if status == 1]
    assert f"Error: {TAKEN}" in refused and "Traceback" not in refused
    assert sorted(said.values()) == [0, 1] and run.is_done and len(lock.owners(run)) == 1
    toy.requires_unbroken(run)


def test_a_killed_owner_is_gone(run):
    program = (
        "import sys, time; from srnb import runs; from srnb.runner import lock\n"
        "with lock.held(runs.Run(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, run.folder], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=f"process {process.pid} on"), lock.held(run):
        pass
    process.kill()
    process.wait()
    with lock.held(run):
        assert [owner["pid"] for owner in lock.owners(run)] == [process.pid, os.getpid()]


def test_another_host_counts_as_alive_until_it_is_silent_or_the_user_says_so(run):
    path = owned(run)
    with pytest.raises(ValueError, match=r"process 1 on elsewhere .*; if it is gone, add --take-over"), lock.held(run):
        pass
    with lock.held(run, take_over=True):
        pass
    (run.folder / "owners" / "2.json").unlink()
    silent = time.time() - lock.SILENT - 1
    os.utime(path, (silent, silent))
    with lock.held(run):
        pass


def test_a_clock_that_was_set_does_not_make_a_living_owner_a_dead_one(run):
    process, set_by = psutil.Process(), 3600
    times = {"created": process.create_time() - set_by, "boot": psutil.boot_time() - set_by}
    owned(run, host=socket.gethostname(), pid=process.pid, **times)
    with pytest.raises(ValueError, match=f"process {process.pid} on"), lock.held(run):
        pass


def test_a_file_server_whose_clock_is_behind_does_not_make_a_living_owner_a_dead_one(run, monkeypatch):
    owned(run)
    server = time.time()
    monkeypatch.setattr(time, "time", lambda: server + lock.SILENT + 60)
    with pytest.raises(ValueError, match="process 1 on elsewhere"), lock.held(run):
        pass
    assert sorted(path.name for path in (run.folder / "owners").iterdir()) == ["1.json"]


def test_a_file_without_a_record_holds_the_run_for_a_while(run):
    path = owned(run)
    path.write_text("")
    with pytest.raises(ValueError, match="by another at this moment"), lock.held(run):
        pass
    os.utime(path, (0, 0))
    with lock.held(run):
        pass


@pytest.mark.parametrize("content", ["[1]", "null", "{}", '{"host": "elsewhere", "pid": "x"}', "\x00"])
def test_a_foreign_file_is_one_without_a_record(run, content):
    path = owned(run)
    path.write_text(content)
    (path.parent / "notes.json").write_text("{}")
    assert lock.owners(run) == [{}] and lock.holder(run) == {}
    os.utime(path, (0, 0))
    with lock.held(run):
        pass


def test_a_sign_of_life_renews_the_file(run, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.05)
    with lock.held(run):
        path = run.folder / "owners" / "1.json"
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 20
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert path.stat().st_mtime > 0


def test_an_earlier_attempt_of_the_same_job_is_gone(run, monkeypatch):
    owned(run, job="7_1", restart=0)
    for name, value in {"JOB_ID": "9", "ARRAY_JOB_ID": "7", "ARRAY_TASK_ID": "1", "RESTART_COUNT": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with lock.held(run):
        assert lock.owners(run)[-1]["job"] == "7_1" and lock.owners(run)[-1]["restart"] == 1
