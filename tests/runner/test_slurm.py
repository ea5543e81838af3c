"""Runs as jobs of a real Slurm, with toy notebooks: however a job ends, the run comes out equal to the unbroken one."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import threading

import cluster
import nbformat
import pytest
import toy

from srnb import runs
from srnb.runner import chain, grid, jobs, kernel, lock, presets, slurm

without_slurm = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or not all(map(shutil.which, cluster.NEEDED)),
    reason="needs root and a Slurm to start: apt-get install slurm-wlm munge",
)


def needs_slurm(test):
    """Each waits for a real scheduler, a minute or two."""
    return pytest.mark.slow(without_slurm(test))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return toy.place(tmp_path)


@pytest.fixture(scope="module")
def slurmed(tmp_path_factory):
    """The folder of a Slurm that runs; skips with the reason where it is installed but does not start."""
    folder = tmp_path_factory.mktemp("slurm")
    with contextlib.ExitStack() as stack:
        try:
            environment = stack.enter_context(cluster.running(folder))
        except cluster.Unavailable as error:
            pytest.skip(f"Slurm does not start here: {error}")
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("jupyter")))
        yield folder


def begun(place, name, *arguments):
    """Submit a run and return it when it stands at the gate, in step 12."""
    toy.srnb(place, "run", "01", "--run", name, "--cluster", "slurm", "-p", "gate", str(place / "go"), *arguments)
    run = toy.run_of(place, name)
    toy.until(lambda: toy.steps(run) == 12)
    return run


def finish(run, folder):
    """Wait until a run is done; if it never is, say what Slurm and the run's log say."""
    try:
        toy.until(lambda: run.is_done, seconds=400)
    except AssertionError as error:
        error.add_note(f"{cluster.said(folder)}\n{log(run)}")
        raise


def log(run):
    return (run.folder / "slurm.log").read_text()


def test_dry_run_prints_and_writes_nothing(place):
    settings = place / "config" / "srnb" / "clusters" / "site.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("options: {partition: cpu, account: me}\nsetup: [module load cuda]\nwarning: 90\n")
    asked = ["--cluster", "site", "--workers", "2", "-o", "partition=gpu", "-o", "exclusive", "--dry-run"]
    said = toy.srnb(place, "grid", "rates", *asked)
    assert "#SBATCH --partition=gpu\n#SBATCH --account=me\n#SBATCH --exclusive\n" in said
    assert "#SBATCH --array=0-1%2\n" in said and "--signal=B:USR1@90" in said and "\nmodule load cuda\n" in said
    assert f"  {place}/results/rates-slow\n  {place}/results/rates-fast\n" in said
    said = toy.srnb(place, "run", "--grid", "rates", *asked)
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
    assert message in toy.srnb(place, "grid", "rates", *arguments)


@pytest.mark.parametrize("sbatch", ["#!/bin/sh\necho no such partition >&2; exit 1\n", None])
def test_what_is_refused_by_sbatch_can_be_submitted_later(place, monkeypatch, sbatch):
    (place / "bin").mkdir()
    if sbatch:
        (place / "bin" / "sbatch").write_text(sbatch)
        (place / "bin" / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(place / "bin"))
    reason = "sbatch must take what it is given. Received: no such partition" if sbatch else "Received: no sbatch"
    resume = f"srnb run --resume {place}/results/later --cluster slurm -o time=9"
    said = toy.srnb(place, "run", "01", "--run", "later", "--cluster", "slurm", "-o", "time=9")
    assert said.startswith("Error: ") and reason in said
    assert said.endswith(f"The run has begun and waits. To submit what is not: {resume}\n")
    run = toy.run_of(place, "later")
    assert run.read()["status"] == "pending" and not jobs.submitted(run)
    assert toy.srnb(place, *resume.split()[1:]) == said
    assert "To submit what is not: the same command\n" in toy.srnb(place, "grid", "rates", "--cluster", "slurm")


def test_a_scheduler_that_does_not_answer_is_said(place, monkeypatch):
    (place / "bin").mkdir()
    (place / "bin" / "sbatch").write_text("#!/bin/sh\nexec sleep 60\n")
    (place / "bin" / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(place / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(slurm, "PATIENCE", 0.1)
    with pytest.raises(ValueError, match="sbatch must answer within"):
        slurm.submit("#!/bin/sh\n")


def test_nothing_is_submitted_twice_while_the_queue_cannot_be_read(place, monkeypatch):
    (place / "bin").mkdir()
    for name, text in {
        "sbatch": "echo 7",
        "squeue": "echo slurm_load_jobs error: Socket timed out >&2; exit 1",
    }.items():
        (place / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(place / "bin"), prepend=os.pathsep)
    toy.srnb(place, "run", "01", "--run", "once", "--cluster", "slurm")
    said = toy.srnb(place, "run", "--resume", "once", "--cluster", "slurm")
    assert said.startswith(
        "Error: squeue must say what is queued, or runs might be submitted twice. Received: no answer"
    )
    assert jobs.submitted(toy.run_of(place, "once")) == ["7_0"]
    assert "once  sample" in toy.srnb(place, "runs")


def test_values_of_options_reach_sbatch_as_they_are():
    options = {"comment": 'it\'s "so" #1 \\x', "time": "1:00", "exclusive": None}
    text = slurm.script(["a"], ["srnb"], name="a b's", options=options, workers=1)
    read = [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("#SBATCH")]
    assert ["--job-name=srnb-a b's"] in read and ["--time=1:00"] in read and ["--exclusive"] in read
    assert ['--comment=it\'s "so" #1 \\\\x'] in read  # to sbatch a backslash escapes within quotes, too


def test_settings_hold_what_is_known(place):
    path = place / "config" / "srnb" / "clusters" / "slurm.yaml"
    path.parent.mkdir(parents=True)
    for text in ("option: {}", "warning: soon", "- a", "options: {time: [1]}", "setup: module load cuda"):
        path.write_text(text)
        with pytest.raises(ValueError, match="settings must be options"):
            jobs.settings("slurm")
    path.write_text("options: {time: 24:00:00, gres: gpu:1, exclusive: }\nsetup: [a, b]\nwarning: 90\n")
    options = {"time": "24:00:00", "gres": "gpu:1", "exclusive": None}
    assert jobs.settings("slurm") == {"options": options, "setup": ["a", "b"], "warning": 90}


@needs_slurm
def test_a_grid_its_gpus_and_a_second_submission(slurmed, place):
    options = ["--workers", "2", "-o", "gres=gpu:1", "-o", "cpus-per-task=1", "-p", "gate", str(place / "go")]
    grid = ["grid", "rates", "--cluster", "slurm", *options]
    assert f"rates-slow, rates-fast · log: {place}/results/RUN/slurm.log" in toy.srnb(place, *grid)
    slow, fast = toy.run_of(place, "rates-slow"), toy.run_of(place, "rates-fast")
    toy.until(lambda: toy.steps(slow) == toy.steps(fast) == 12)
    again = toy.srnb(place, *grid)
    assert "rates-slow · queued already: job" in again and "sbatch" not in again and "log:" not in again
    assert "running · 01_train │ " in toy.srnb(place, "runs")
    assert "a run must not be going on already" in toy.srnb(place, "run", "--resume", str(slow.folder))
    (place / "go").touch()
    toy.until(lambda: slow.is_done and fast.is_done)
    toy.requires_unbroken(slow)
    toy.requires_unbroken(fast, rate=0.2)
    assert len(lock.owners(slow)) == len(lock.owners(fast)) == 1
    seen = {line.split("GPU ")[1] for run in (slow, fast) for line in log(run).splitlines() if "│ GPU" in line}
    assert seen == {"0 threads 1", "1 threads 1"}
    assert "done earlier" in toy.srnb(place, *grid)


def warn(run):
    """Warn a job as Slurm does near its time limit: the signal goes to the script."""
    subprocess.run(["scancel", "--batch", "--signal=USR1", jobs.submitted(run)[-1]], check=True)


@needs_slurm
def test_a_warning_requeues(slurmed, place):
    run = begun(place, "long")
    warn(run)
    toy.until(lambda: "restart 1" in log(run))
    assert "time limit near: requeued" in log(run)
    finish(run, slurmed)
    toy.requires_unbroken(run)
    assert [owner["restart"] for owner in lock.owners(run)] == [0, 1]
    assert "done · requeued 1 time" in toy.srnb(place, "runs")


@needs_slurm
def test_the_time_limit_requeues(slurmed, place):
    """Slurm sends the warning itself. It counts limits in minutes and looks at them every half one, so that the first
    attempt has one minute to begin and is warned in the next half: two minutes in all.
    """
    settings = place / "config" / "srnb" / "clusters" / "short.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("options: {time: 2}\nwarning: 30\n")
    run = begun(place, "limited", "--cluster", "short")
    toy.until(lambda: "restart 1" in log(run))
    assert "time limit near: requeued" in log(run)
    finish(run, slurmed)
    toy.requires_unbroken(run)
    assert not (place / "go").exists()


@needs_slurm
def test_a_lost_node(slurmed, place):
    run = begun(place, "lost")
    cluster.lose_node(slurmed)
    try:
        toy.until(lambda: jobs.queued([run])[run.folder]["state"] in slurm.WAITING)
        assert "queued (" in toy.srnb(place, "runs") and lock.holder(run) is None
    finally:
        cluster.return_node(slurmed)
    (place / "go").touch()
    finish(run, slurmed)
    toy.requires_unbroken(run)
    assert [("ended" in owner, owner["restart"]) for owner in lock.owners(run)] == [(False, 0), (True, 1)]


@needs_slurm
def test_a_real_training_requeued_equals_an_unbroken_one(slurmed, tmp_path):
    """Notebooks 1 and 2 as they are, on TensorFlow: the checkpoint that the warning makes is the only one so far."""
    parameters = {"steps": "600", "log_every": "20", "validate_every": "600"}
    asked = ["--preset", "smoke", *(word for pair in parameters.items() for word in ("-p", *pair))]
    cluster_options = ["--cluster", "slurm", "-o", "cpus-per-task=1", "--results", str(tmp_path)]
    unbroken, requeued = runs.Run(tmp_path / "unbroken"), runs.Run(tmp_path / "requeued")
    for run in (requeued, unbroken):
        command = [sys.executable, "-m", "srnb.cli", "run", "01", "02", "--run", run.name, *asked, *cluster_options]
        subprocess.run(command, check=True)
    toy.until(lambda: toy.steps(requeued), seconds=900)
    warn(requeued)
    toy.until(lambda: requeued.is_done and unbroken.is_done, seconds=900)
    assert [len(lock.owners(run)) for run in (requeued, unbroken)] == [2, 1]
    first, second = (run.read_log().drop(columns="images_per_second") for run in (requeued, unbroken))
    assert first.equals(second) and first["step"].max() == 600
    for name in ("checkpoints/pretrain-00000600.safetensors", "weights/pretrained.weights.h5"):
        assert (requeued.folder / name).read_bytes() == (unbroken.folder / name).read_bytes(), name


@needs_slurm
def test_without_progress_it_stops(slurmed, place):
    run = begun(place, "stuck", "-p", "saves", "false")
    warn(run)
    toy.until(lambda: not jobs.queued([run]))
    assert run.read()["status"] == "failed" and run.read()["error"]["kind"] == "NoProgress"
    assert "must reach a new checkpoint" in log(run) and len(lock.owners(run)) == 1


@needs_slurm
def test_preempted(slurmed, place):
    run = begun(place, "early", "-o", "exclusive")
    subprocess.run(["sbatch", "-p", "urgent", "--exclusive", "--output=/dev/null", "--wrap", "sleep 3"], check=True)
    toy.until(lambda: "restart 1" in log(run))
    (place / "go").touch()
    finish(run, slurmed)
    toy.requires_unbroken(run)
    assert "Interrupted" in log(run)


@needs_slurm
def test_cancelled_and_submitted_again(slurmed, place):
    run = begun(place, "it's #1 of 2")
    subprocess.run(["scancel", jobs.submitted(run)[-1]], check=True)
    toy.until(lambda: not jobs.queued([run]))
    assert run.read()["status"] == "interrupted" and lock.holder(run) is None
    (place / "go").touch()
    toy.srnb(place, "run", "--resume", str(run.folder), "--cluster", "slurm")
    finish(run, slurmed)
    toy.requires_unbroken(run)


@needs_slurm
def test_a_run_its_grid_and_the_comparison(slurmed, place):
    said = toy.srnb(place, "run", "--grid", "rates", "--cluster", "slurm", "--workers", "2")
    assert said.count(f"log: {place}/results/sample/slurm.log") == 2 and said.count("RUN/slurm.log") == 1
    run = toy.run_of(place, "sample")
    finish(run, slurmed)
    cells = nbformat.read(run.folder / "02_compare.ipynb", 4).cells
    assert cells[-1].outputs[0].text == "sample,sample-slow,sample-fast\n"


@needs_slurm
def test_what_fails_is_not_requeued(slurmed, place):
    toy.write(place / "notebooks", "01_train", toy.PARAMETERS, "1 / 0")
    toy.srnb(place, "run", "01", "--run", "broken", "--cluster", "slurm")
    run = toy.run_of(place, "broken")
    toy.until(lambda: run.read().get("status") == "failed" and not jobs.queued([run]))
    assert "ZeroDivisionError" in log(run) and log(run).count("== ") == 1


@needs_slurm
def test_what_waits_says_why(slurmed, place):
    toy.srnb(place, "run", "01", "--run", "later", "--cluster", "slurm", "-o", "begin=now+1hour")
    assert "queued (BeginTime)" in toy.srnb(place, "runs")
    run = toy.run_of(place, "later")
    record = (run.folder / "run.json").read_bytes()
    for _ in range(2):
        subprocess.run(["scancel", jobs.submitted(run)[-1]], check=True)
        toy.until(lambda: not jobs.queued([run]))
        assert (run.folder / "run.json").read_bytes() == record  # that a job which begins at once may write itself
        toy.srnb(place, "run", "--resume", str(run.folder), "--cluster", "slurm", "-o", "begin=now+1hour")
    subprocess.run(["scancel", jobs.submitted(run)[-1]], check=True)
    assert len(jobs.submitted(run)) == 3


def test_a_warning_before_there_is_a_kernel_reaches_it(place, monkeypatch):
    monkeypatch.setattr(kernel, "_warned", threading.Event())
    paths = presets.notebooks(["01"], folder=place / "notebooks")
    run = chain.begin(place / "results" / "early", paths, values={}, backend="jax")
    kernel.warn()
    with pytest.raises(kernel.Failure, match="Interrupted: step 1"):
        grid.complete(run, echo=lambda line: None)
    kernel._warned.clear()
    grid.complete(run, echo=lambda line: None)
    toy.requires_unbroken(run)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="device nodes need root")
def test_a_slurm_that_does_not_start(tmp_path, monkeypatch):
    for name in cluster.NEEDED:
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(cluster.Unavailable, match="munged"), cluster.running(tmp_path):
        pass


def test_own_job(monkeypatch):
    for name in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "RESTART_COUNT"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    assert slurm.own_job() == {}
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert slurm.own_job() == {"job": "12", "restart": 0}
