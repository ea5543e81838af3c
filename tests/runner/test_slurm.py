"""Runs as jobs of a real Slurm, with toy notebooks: however a job ends, the run comes out equal to the unbroken one."""

import json
import os
import shutil
import subprocess
import sys
import time

import cluster
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from srnb import runs
from srnb.runner import jobs, lock, slurm

without_slurm = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or not all(map(shutil.which, cluster.NEEDED)),
    reason="needs root and a Slurm to start: apt-get install slurm-wlm munge",
)


def needs_slurm(test):
    """Each waits for a real scheduler, a minute or two."""
    return pytest.mark.slow(without_slurm(test))


# a training as `Trainer.fit` makes one: a function of the step, a checkpoint now and then, and one when it is warned
TRAINING = """
folder = pathlib.Path(run_folder)
kept = sorted(folder.glob("checkpoints/*.json"))
step, value = json.loads(kept[-1].read_text()) if resume and kept else (0, 1.0)
log = folder / "log.jsonl"
lines = log.read_text().splitlines(keepends=True) if resume and log.exists() else []
log.write_text("".join(lines[:step]))
(folder / "checkpoints").mkdir(exist_ok=True)
warned = []
signal.signal(signal.SIGUSR1, lambda *_: warned.append(True))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
while step < steps:
    while step == 12 and gate and not os.path.exists(gate) and not warned:
        time.sleep(0.05)
    step, value = step + 1, value * (1 - rate) + 0.01
    with log.open("a") as file:
        file.write(json.dumps({"stage": "toy", "step": step, "value": value}) + "\\n")
    print(f"toy {step}/{steps}", flush=True)
    if saves and (step % 10 == 0 or warned):
        (folder / "checkpoints" / f"toy-{step:08d}.json").write_text(json.dumps([step, value]))
    if warned:
        raise KeyboardInterrupt(f"step {step}")
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
"""
PARAMETERS = "run_folder = ''\nresume = False\nsteps = 30\nrate = 0.1\ngate = ''\nsaves = True"
SEEN = "print('GPU', os.environ.get('CUDA_VISIBLE_DEVICES'), 'threads', os.environ.get('OMP_NUM_THREADS'))"


def write(folder, name, parameters, *cells):
    sources = ["import json, os, pathlib, signal, time", parameters, *cells]
    notebook = new_notebook(cells=[new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells[1].metadata.tags = ["parameters"]
    nbformat.write(notebook, folder / f"{name}.ipynb")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with notebooks and a grid of two rates."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    grids = tmp_path / "notebooks" / "presets" / "grids"
    grids.mkdir(parents=True)
    (grids.parent / "sample.yaml").touch()
    (grids / "rates.yaml").write_text("slow: {rate: 0.1}\nfast: {rate: 0.2}\n")
    write(tmp_path / "notebooks", "01_train", PARAMETERS, SEEN, TRAINING)
    write(tmp_path / "notebooks", "02_compare", "run_folder = ''\nruns = ''", "print(runs)")
    return tmp_path


@pytest.fixture(scope="module")
def slurmed(tmp_path_factory):
    with cluster.running(tmp_path_factory.mktemp("slurm")) as environment, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("jupyter")))
        yield


def srnb(place, *arguments):
    folders = ["--notebooks", place / "notebooks", "--results", place / "results"]
    command = [sys.executable, "-m", "srnb.cli", *arguments, *(folders if arguments[0] != "runs" else folders[2:])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place)
    return done.stdout + done.stderr


def run_of(place, name):
    return runs.Run(place / "results" / name)


def until(true, *, seconds=240):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.3)


def steps(run):
    path = run.folder / "log.jsonl"
    return len(path.read_text().splitlines()) if path.is_file() else 0


def log(run):
    return (run.folder / "slurm.log").read_text()


def requires_unbroken(run, *, count=30, rate=0.1):
    value, expected = 1.0, []
    for step in range(1, count + 1):
        value = value * (1 - rate) + 0.01
        expected.append({"stage": "toy", "step": step, "value": value})
    assert [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()] == expected


def test_dry_run_prints_and_writes_nothing(place):
    settings = place / "config" / "srnb" / "clusters" / "site.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("options: {partition: cpu, account: me}\nsetup: [module load cuda]\nwarning: 90\n")
    asked = ["--cluster", "site", "--workers", "2", "-o", "partition=gpu", "-o", "exclusive", "--dry-run"]
    said = srnb(place, "grid", "rates", *asked)
    assert "#SBATCH --partition=gpu\n#SBATCH --account=me\n#SBATCH --exclusive\n" in said
    assert "#SBATCH --array=0-1%2\n" in said and "--signal=B:USR1@90" in said and "\nmodule load cuda\n" in said
    assert f"  {place}/results/rates-slow\n  {place}/results/rates-fast\n" in said
    said = srnb(place, "run", "--grid", "rates", *asked)
    assert said.count("sbatch --parsable") == 3 and said.count("sbatch --parsable --dependency=afterok:") == 2
    assert not (place / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cluster", "nowhere"], "a cluster must be one of slurm, or have a file"),
        (["--cluster", "slurm", "-o", "--time 3"], "-o must be KEY=VALUE"),
        (["--dry-run"], "-o and --dry-run must come with --cluster"),
    ],
)
def test_refused(place, arguments, message):
    assert message in srnb(place, "grid", "rates", *arguments)


def test_settings_hold_what_is_known(place):
    path = place / "config" / "srnb" / "clusters" / "slurm.yaml"
    path.parent.mkdir(parents=True)
    for text in ("option: {}", "warning: soon", "- a"):
        path.write_text(text)
        with pytest.raises(ValueError, match="settings must be options"):
            jobs.settings("slurm")


@needs_slurm
def test_a_grid_its_gpus_and_a_second_submission(slurmed, place):
    options = ["--workers", "2", "-o", "gres=gpu:1", "-o", "cpus-per-task=1", "-p", "gate", str(place / "go")]
    grid = ["grid", "rates", "--cluster", "slurm", *options]
    assert "rates-slow, rates-fast" in srnb(place, *grid)
    slow, fast = run_of(place, "rates-slow"), run_of(place, "rates-fast")
    until(lambda: steps(slow) == 12 or steps(fast) == 12)
    again = srnb(place, *grid)
    assert "rates-slow · queued already: job" in again and "sbatch" not in again and "each writes" not in again
    working = slow if lock.holder(slow) else fast
    assert "running · 01_train │ " in srnb(place, "runs")
    assert "a run must not be going on already" in srnb(place, "run", "--resume", str(working.folder))
    (place / "go").touch()
    until(lambda: slow.is_done and fast.is_done)
    requires_unbroken(slow)
    requires_unbroken(fast, rate=0.2)
    assert len(lock.owners(slow)) == len(lock.owners(fast)) == 1
    seen = {line.split("GPU ")[1] for run in (slow, fast) for line in log(run).splitlines() if "│ GPU" in line}
    assert seen <= {"0 threads 1", "1 threads 1"} and (len(seen) == 2 or os.cpu_count() == 1)
    assert "done earlier" in srnb(place, *grid)


@needs_slurm
def test_the_time_limit_requeues(slurmed, place):
    """Slurm's shortest limit is a minute, so the warning is sent here, as Slurm would: to the script of the job."""
    srnb(place, "run", "01", "--run", "long", "--cluster", "slurm", "-p", "gate", str(place / "go"))
    run = run_of(place, "long")
    until(lambda: steps(run) == 12)
    job = run.read()["jobs"][-1]
    subprocess.run(["scancel", "--batch", "--signal=USR1", job], check=True)
    until(lambda: "restart 1" in log(run))
    assert "time limit near: requeued" in log(run)
    until(lambda: run.is_done)
    requires_unbroken(run)
    assert [owner["restart"] for owner in lock.owners(run)] == [0, 1]
    assert "done · requeued 1 time" in srnb(place, "runs")


@needs_slurm
def test_without_progress_it_stops(slurmed, place):
    srnb(
        place,
        "run",
        "01",
        "--run",
        "stuck",
        "--cluster",
        "slurm",
        "-p",
        "gate",
        str(place / "go"),
        "-p",
        "saves",
        "false",
    )
    run = run_of(place, "stuck")
    until(lambda: steps(run) == 12)
    subprocess.run(["scancel", "--batch", "--signal=USR1", run.read()["jobs"][-1]], check=True)
    until(lambda: not jobs.queued([run]))
    assert run.read()["status"] == "failed" and run.read()["error"]["kind"] == "NoProgress"
    assert "must reach a new checkpoint" in log(run) and len(lock.owners(run)) == 1


@needs_slurm
def test_preempted(slurmed, place):
    srnb(place, "run", "01", "--run", "early", "--cluster", "slurm", "-o", "exclusive", "-p", "gate", str(place / "go"))
    run = run_of(place, "early")
    until(lambda: steps(run) == 12)
    subprocess.run(["sbatch", "-p", "urgent", "--exclusive", "--output=/dev/null", "--wrap", "sleep 3"], check=True)
    until(lambda: "restart 1" in log(run))
    (place / "go").touch()
    until(lambda: run.is_done)
    requires_unbroken(run)
    assert "Interrupted" in log(run)


@needs_slurm
def test_cancelled_and_submitted_again(slurmed, place):
    srnb(place, "run", "01", "--run", "ended", "--cluster", "slurm", "-p", "gate", str(place / "go"))
    run = run_of(place, "ended")
    until(lambda: steps(run) == 12)
    subprocess.run(["scancel", run.read()["jobs"][-1]], check=True)
    until(lambda: not jobs.queued([run]))
    assert run.read()["status"] == "interrupted" and lock.holder(run) is None
    (place / "go").touch()
    srnb(place, "run", "--resume", str(run.folder), "--cluster", "slurm")
    until(lambda: run.is_done)
    requires_unbroken(run)


@needs_slurm
def test_a_run_its_grid_and_the_comparison(slurmed, place):
    said = srnb(place, "run", "--grid", "rates", "--cluster", "slurm", "--workers", "2")
    assert said.count("each writes its slurm.log") == 3
    run = run_of(place, "sample")
    until(lambda: run.is_done)
    cells = nbformat.read(run.folder / "02_compare.ipynb", 4).cells
    assert cells[-1].outputs[0].text == "sample,sample-slow,sample-fast\n"


@needs_slurm
def test_what_fails_is_not_requeued(slurmed, place):
    write(place / "notebooks", "01_train", PARAMETERS, "1 / 0")
    srnb(place, "run", "01", "--run", "broken", "--cluster", "slurm")
    run = run_of(place, "broken")
    until(lambda: run.read().get("status") == "failed" and not jobs.queued([run]))
    assert "ZeroDivisionError" in log(run) and log(run).count("== ") == 1


@needs_slurm
def test_what_waits_says_why(slurmed, place):
    srnb(place, "run", "01", "--run", "later", "--cluster", "slurm", "-o", "begin=now+1hour")
    assert "queued (BeginTime)" in srnb(place, "runs")
    subprocess.run(["scancel", run_of(place, "later").read()["jobs"][-1]], check=True)


def test_own_job(monkeypatch):
    for name in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "RESTART_COUNT"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    assert slurm.own_job() == {}
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert slurm.own_job() == {"job": "12", "restart": 0}
