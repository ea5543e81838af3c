"""Chains of tiny notebooks: every way to end that papermill takes for success is a recorded failure here."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import psutil
import pytest
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from srnb import runs
from srnb.runner import chain, crew, grid, kernel, lock, names, presets

RUN_FOLDER = "run_folder = ''  # where"


@pytest.fixture(scope="module", autouse=True)
def _own_jupyter(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("jupyter")))
        yield


@pytest.fixture
def folder(tmp_path):
    return empty(tmp_path)


def empty(place):
    (place / "notebooks" / "presets" / "grids").mkdir(parents=True)
    (place / "notebooks" / "presets" / "sample.yaml").touch()
    return place / "notebooks"


def write(folder, name, *cells, parameters=RUN_FOLDER):
    sources = ["import json, os, sys, time, pathlib", parameters, *cells]
    notebook = new_notebook(cells=[new_markdown_cell(f"# {name}")])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.cells += [new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources, start=1)]
    notebook.cells[2].metadata.tags = ["parameters"]
    nbformat.write(notebook, folder / f"{name}.ipynb")


def begin(folder, *, values=None, name="run"):
    paths = presets.notebooks(folder=folder)
    target = names.new_folder(folder.parent / "results", name)
    return chain.begin(target, paths, values=values or {}, backend="jax", preset="sample")


def text(path):
    """Return what the cells of an executed notebook printed."""
    cells = nbformat.read(path, 4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def kernels_of(process=None):
    return [
        each
        for each in (process or psutil.Process()).children(recursive=True)
        if "ipykernel" in " ".join(each.cmdline())
    ]


def gone(processes, *, seconds=10):
    return not psutil.wait_procs(processes, timeout=seconds)[1]


def complete(run, **options):
    return grid.complete(run, echo=lambda line: None, **options)


def test_a_chain(folder, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 100)  # no socket has room in there
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    environment = "print(os.environ['KERAS_BACKEND'], os.environ['SRNB_HEADLESS'], pathlib.Path.cwd().name)"
    steps = RUN_FOLDER + "\nsteps = 1"
    write(folder, "01_data", environment, "print(steps, pathlib.Path(run_folder).name)", parameters=steps)
    write(folder, "02_train", "block = bytearray(300 << 20); block[::4096] = block[::4096]; time.sleep(0.6)")
    heard = []
    run = begin(folder, values={"steps": 3})
    assert grid.complete(run, echo=heard.append) == run.folder / "report" / "index.html"
    record = run.read()
    assert run.is_done and record["status"] == "complete" and record["error"] is None
    assert [state["status"] for state in record["notebooks"].values()] == ["complete", "complete"]
    assert record["parameters"] == {"01_data": {"steps": 3}, "02_train": {}}
    assert text(run.folder / "01_data.ipynb").split() == ["jax", "1", "notebooks", "3", "run"]
    assert "01_data │ jax 1 notebooks" in heard and heard[0] == "01_data · notebook 1 of 2"
    assert record["notebooks"]["02_train"]["peak_memory_gib"] > 0.3 > record["notebooks"]["01_data"]["peak_memory_gib"]
    assert NotebookNotary().check_signature(nbformat.read(run.folder / "01_data.ipynb", 4))
    assert not kernels_of() and not list(run.folder.glob("*.running*"))


ENDS = {
    "raises": ("1 / 0", "ZeroDivisionError", "division by zero"),
    "killed": ("os.kill(os.getpid(), 9)", "KernelDied", "out of memory"),
    "leaves early": ("sys.exit(0)", "EarlyExit", "sys.exit"),
    "hangs": ("time.sleep(60)", "Timeout", "longer than 0:02"),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """End name -> run; the chains run side by side."""
    begun = {}
    for end, (cell, *_) in ENDS.items():
        folder = empty(tmp_path_factory.mktemp("end"))
        write(folder, "01_train", "print('so far')", cell, "print('never')")
        write(folder, "02_gan")
        begun[end] = begin(folder)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(complete, run, timeout=2) for run in begun.values()]
    assert all(isinstance(future.exception(), kernel.Failure) for future in futures)
    return begun


@pytest.mark.parametrize("end", ENDS)
def test_bad_ends(ended, end):
    (cell, kind, message), run = ENDS[end], ended[end]
    record = run.read()
    assert not run.is_done and record["status"] == "failed" and "ended" in lock.owners(run)[-1]
    assert [state["status"] for state in record["notebooks"].values()] == ["failed", "pending"]
    error = record["error"]
    assert (error["notebook"], error["cell_id"], error["kind"]) == ("01_train", "cell-4", kind)
    assert message in error["message"] and error["source"] == cell
    copy = nbformat.read(run.folder / "01_train.ipynb", 4)
    states = {each.id: each.metadata.papermill.status for each in copy.cells if "papermill" in each.metadata}
    assert (states["cell-3"], states["cell-4"], states["cell-5"]) == ("completed", "failed", "pending")
    assert text(run.folder / "01_train.ipynb").startswith("so far") and copy.metadata.papermill.exception
    assert error["cell"] == next(each.execution_count for each in copy.cells if each.id == "cell-4")
    assert not kernels_of()


def test_a_disk_without_room_for_the_copy_of_a_notebook(small_disk):
    folder = empty(small_disk)
    write(folder, "01_data", "print('x' * 2**21)")
    run = begin(folder)
    with pytest.raises(kernel.Failure, match=r"OSError: \[Errno 28\] No space left on device: '.*/01_data\.running"):
        complete(run)
    assert run.read()["status"] == "failed" and not kernels_of()


@pytest.mark.parametrize("fault", ["read-only", "busy"])
def test_a_home_where_nothing_can_be_signed(folder, tmp_path, monkeypatch, fault):
    if fault == "read-only":  # to root nothing is: a file stands where the folder would be made
        (tmp_path / "home").touch()
        monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "home" / "jupyter"))
    else:
        error = sqlite3.OperationalError("database is locked")
        monkeypatch.setattr(NotebookNotary, "sign", lambda *_: (_ for _ in ()).throw(error))
    write(folder, "01_data", "print('done')")
    write(folder, "02_train", "1 / 0")
    run, heard = begin(folder), []
    with pytest.raises(kernel.Failure, match="02_train, cell 4: ZeroDivisionError"):
        grid.complete(run, echo=heard.append)
    assert text(run.folder / "01_data.ipynb").strip() == "done" and not list(run.folder.glob("*.running*"))
    (told,) = [line for line in heard if "01_data.ipynb, which could not be signed" in line]
    assert ("home" if fault == "read-only" else "database is locked") in told


def test_resume_goes_on_from_the_notebook_that_failed(folder):
    write(folder, "01_data", "pathlib.Path(run_folder, 'made').touch(exist_ok=False)")
    write(folder, "02_train", "assert resume, 'first time'", parameters=RUN_FOLDER + "\nresume = False")
    run = begin(folder)
    with pytest.raises(kernel.Failure, match="02_train, cell 4: AssertionError: first time"):
        complete(run)
    complete(run)
    assert run.is_done and run.read()["error"] is None
    assert [path.parent.name for path in run.folder.glob("attempts/*/02_train.ipynb")] == ["1"]


def test_a_finished_run_can_be_given_later_notebooks(folder):
    write(folder, "01_data", "pathlib.Path(run_folder, 'made').touch(exist_ok=False)")
    run = begin(folder)
    complete(run)
    write(
        folder,
        "04_evaluate",
        "print(sets, pathlib.Path(run_folder, 'made').is_file())",
        parameters=RUN_FOLDER + "\nsets = ''",
    )
    chain.extend(run, [folder / "04_evaluate.ipynb"], values={"sets": "Set5"})
    assert not run.is_done
    complete(run)
    assert run.is_done and text(run.folder / "04_evaluate.ipynb").split() == ["Set5", "True"]
    assert run.read()["parameters"] == {"01_data": {}, "04_evaluate": {"sets": "Set5"}}


def test_a_run_without_variations_has_none_to_stop_before(folder):
    write(folder, "01_data", "print('here')")
    run = begin(folder)
    complete(run, alone=True)
    assert run.is_done and run.read()["status"] == "complete"


def test_a_run_goes_on_as_it_was_begun(folder):
    write(folder, "01_data", parameters="steps = 1\nrate = 0.5")
    run = begin(folder, values={"steps": 3})
    paths = presets.notebooks(folder=folder)
    chain.require_same(run, paths, {"steps": 3, "rate": 0.5})
    with pytest.raises(ValueError, match="01_data: steps is 3 in the run, 4 asked for"):
        chain.require_same(run, paths, {"steps": 4, "rate": 0.5})


def test_a_run_goes_on_with_the_default_of_a_parameter_that_its_notebook_has_got_since(folder):
    write(folder, "01_data", "print('here')", parameters="steps = 1")
    write(folder, "02_train", "print(steps, momentum)", parameters="steps = 1\nmomentum = 0.5")
    run, heard = begin(folder, values={"steps": 3}), []
    record = run.read()
    del record["parameters"]["02_train"]["momentum"]
    run.update(parameters=record["parameters"])
    paths = presets.notebooks(folder=folder)
    with pytest.raises(ValueError, match=r"02_train: momentum is 0\.5 in the run, 0\.9 asked for"):
        chain.require_same(run, paths, {"steps": 3, "momentum": 0.9})
    chain.require_same(run, paths, {"steps": 3})
    grid.complete(run, echo=heard.append)
    assert "02_train · new since the run was begun, by default: momentum 0.5" in heard
    assert text(run.folder / "02_train.ipynb") == "3 0.5\n"
    assert run.read()["parameters"]["02_train"] == {"steps": 3, "momentum": 0.5}


def test_only_one_at_a_time(folder):
    write(folder, "01_data")
    run = begin(folder)
    with lock.held(run), pytest.raises(ValueError, match="must not be going on already"):
        complete(run)
    complete(run)
    assert [owner["pid"] for owner in lock.owners(run)] == [os.getpid()] * 2


def test_braces_in_a_name_are_no_parameters(folder):
    write(folder, "01_data", "print(pathlib.Path(run_folder).name)")
    run = begin(folder, name="{x} {run_folder} {")
    complete(run)
    assert text(run.folder / "01_data.ipynb") == "{x} {run_folder} {\n"


def test_folders_are_numbered(tmp_path):
    folders = [names.new_folder(tmp_path / "results", "sample") for _ in range(3)]
    assert [folder.name for folder in folders] == ["sample", "sample-2", "sample-3"]


def test_two_runs_side_by_side(folder):
    write(folder, "01_data", "time.sleep(1)", "print(steps)", parameters="steps = 1")
    both = [begin(folder, values={"steps": steps}) for steps in (11, 22)]
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(complete, both))
    assert [text(run.folder / "01_data.ipynb") for run in both] == ["11\n", "22\n"]


def start(folder, *arguments, **options):
    """Start `srnb run` as a shell does: it hears Ctrl-C, though these tests may run where it is ignored."""
    command = [sys.executable, "-m", "srnb.cli", "run", "--notebooks", folder, "--results", folder.parent / "results"]
    return subprocess.Popen(
        [*command, *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **options,
    )


def wait_for(process, line):
    for heard in process.stdout:
        if line in heard:
            return
    raise AssertionError(process.stderr.read())


def test_ctrl_c(folder):
    write(folder, "01_data", "print('ready', flush=True)", "time.sleep(60)")
    process = start(folder)
    wait_for(process, "│ ready")
    found = kernels_of(psutil.Process(process.pid))
    time.sleep(0.3)  # the next cell begins
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and len(found) == 1 and gone(found)
    run = runs.Run(folder.parent / "results" / "sample")
    record = run.read()
    assert record["status"] == record["notebooks"]["01_data"]["status"] == "interrupted"
    assert (record["error"]["kind"], record["error"]["cell_id"]) == ("Interrupted", "cell-4")
    assert "Traceback" not in said, said
    assert f"srnb run --resume {run.folder}" in said
    assert text(run.folder / "01_data.ipynb") == "ready\n"


@pytest.fixture
def story(folder):
    """A run with a grid: 02 reads what 01 wrote, here or in another run; 03 compares."""
    steps = RUN_FOLDER + "\nsteps = 1"
    write(folder, "01_data", "pathlib.Path(run_folder, 'data').write_text(str(steps))", parameters=steps)
    write(
        folder,
        "02_train",
        "data = pathlib.Path(start_from or run_folder, 'data').read_text()",
        "pathlib.Path(run_folder, 'result').write_text(data + weight)",
        "print('ready', flush=True)",
        "if weight == 'slow': time.sleep(60)",
        "deadline = time.monotonic() + 60\n"
        "while weight == 'patient' and not os.path.exists(f'{run_folder}-early/DONE'):\n"
        "    time.sleep(0.1)\n"
        "    assert time.monotonic() < deadline",
        "assert weight != 'broken' or resume",
        parameters=RUN_FOLDER + "\nstart_from = ''\nweight = 'full'\nresume = False",
    )
    write(folder, "03_compare", "print(runs)", parameters=RUN_FOLDER + "\nruns = ''")
    return folder


def begin_story(story, values=None, **variations):
    paths = presets.notebooks(folder=story)
    target = names.new_folder(story.parent / "results", "main")
    values = values or {"steps": 3}
    return chain.begin(target, paths, values=values, backend="jax", preset="sample", variations=variations)


def test_a_grid_on_two_workers_and_its_resume(story):
    run = begin_story(story, other_data={"steps": 7, "weight": "none"}, bad={"weight": "broken"})
    with pytest.raises(kernel.Failure, match="1 of 2 runs failed: main-bad: 02_train, cell 9: AssertionError"):
        complete(run, workers=2)
    other, bad = (runs.Run(run.folder.parent / f"main-{name}") for name in ("other_data", "bad"))
    assert other.is_done and (other.folder / "result").read_text() == "7none"
    assert not bad.is_done and (bad.folder / "result").read_text() == "3broken"  # 3: the data of the main run
    assert list(bad.read()["notebooks"]) == ["02_train"] and list(other.read()["notebooks"]) == ["01_data", "02_train"]
    assert [each.read()["base"] for each in (run, other, bad)] == [None, "main", "main"]
    record = run.read()
    assert record["status"] == record["grid"]["status"] == "failed" and record["error"]["kind"] == "GridFailed"
    heard = []
    grid.complete(run, echo=heard.append)
    assert "main-other_data · done earlier" in heard and bad.is_done and run.is_done
    assert text(run.folder / "03_compare.ipynb") == "main,main-other_data,main-bad\n"
    assert run.read()["grid"]["status"] == "complete" and run.read()["grid"]["seconds"] > 0
    assert not kernels_of()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_variant_without_a_report_does_not_stop_the_others(story, workers):
    run = begin_story(story, bad={"weight": "a"}, good={"weight": "b"})
    bad, good = (runs.Run(run.folder.parent / f"main-{name}") for name in ("bad", "good"))
    bad.folder.mkdir()
    (bad.folder / "report").write_text("a file where the report's folder must be")
    with pytest.raises(kernel.Failure, match="1 of 2 runs failed: main-bad: "):
        complete(run, workers=workers)
    assert good.is_done and not bad.is_done and bad.read()["status"] == "failed"
    (bad.folder / "report").unlink()
    complete(run, workers=workers)
    assert bad.is_done and run.is_done


def test_a_grid_leaves_the_record_of_a_variant_that_another_process_runs(story):
    run = begin_story(story, taken={}, free={})
    taken, free = grid.begin_variations(run)
    (run.folder / "data").write_text("1")
    with lock.held(taken):
        before = taken.read()
        with pytest.raises(kernel.Failure, match=r"1 of 2 runs failed: main-taken: .* must not be going on already"):
            grid.execute([taken, free], echo=lambda line: None)
        assert taken.read() == before and free.is_done


def test_a_variant_that_another_process_has_finished_meanwhile_stays_as_it_is(story):
    run, heard = begin_story(story, shared={}), []
    (shared,) = grid.begin_variations(run)
    (shared.folder / "DONE").touch()
    before = (shared.folder / "run.json").read_bytes()
    assert crew.attempt(str(shared.folder), echo=heard.append) is None
    assert heard == ["main-shared · done earlier"]
    assert (shared.folder / "run.json").read_bytes() == before and not (shared.folder / "report").exists()


def test_variations_go_on_beside_their_run_as_soon_as_they_can(story):
    """Notebook 2 of the run waits for `early`, which needs nothing of the run, and `late` waits for the run's data."""
    run = begin_story(
        story, values={"steps": 3, "weight": "patient"}, early={"steps": 7, "weight": "a"}, late={"weight": "b"}
    )
    complete(run, workers=2)
    early, late = (runs.Run(run.folder.parent / f"main-{name}") for name in ("early", "late"))
    assert (early.folder / "result").read_text() == "7a" and (late.folder / "result").read_text() == "3b"
    assert run.is_done and text(run.folder / "03_compare.ipynb") == "main,main-early,main-late\n"


@pytest.mark.slow
def test_ctrl_c_on_two_workers(story):
    (story / "presets" / "grids" / "sample.yaml").write_text("one: {weight: slow}\ntwo: {weight: slow}\n")
    begin(story, name="origin")
    (story.parent / "results" / "origin" / "data").write_text("1")
    process = start(story, "02", "03", "-p", "start_from", "origin", "--workers", "2", start_new_session=True)
    for _ in range(3):
        wait_for(process, "│ ready")
    found = kernels_of(psutil.Process(process.pid))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers hear it, too
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and len(found) == 2 and gone(found) and "Traceback" not in said
    states = {run.name: run.read()["status"] for run in runs.find(story.parent / "results")}
    assert states == {"origin": "pending"} | dict.fromkeys(["sample", "sample-one", "sample-two"], "interrupted")


def test_gpus_are_shared_out(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert [crew.share_of(3, number)["gpu"] for number in range(3)] == ["4", "6", "4"]


def test_gpus_that_a_user_hides_stay_hidden(monkeypatch):
    monkeypatch.setattr("srnb.provenance.machine", lambda: {"gpus": ["H100", "H100"]})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert crew.share_of(2, 0)["gpu"] is None
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert [crew.share_of(3, number)["gpu"] for number in range(3)] == ["0", "1", "0"]
