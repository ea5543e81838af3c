"""session: notebooks run by hand, in a plain kernel, leave the record that a runner would."""

import os
import signal
import subprocess
import threading

import nbformat
import pytest
import toy
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from srnb import runs
from srnb.runner import lock, presets, states

TINY = presets.read("smoke") | {"rehearsal_steps": 0}


class Kernel(NotebookClient):
    """A plain kernel at a notebook of the checkout, with some parameters edited in their cell."""

    def __init__(self, number, **values):
        (path,) = presets.notebooks([number])
        notebook = nbformat.read(path, 4)
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        known = presets.parameters(path)
        cell.source += "".join(f"\n{name} = {value!r}" for name, value in (TINY | values).items() if name in known)
        super().__init__(notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})

    def shown(self):
        return [output for cell in self.nb.cells for output in cell.get("outputs", [])]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("SRNB_HEADLESS", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    return tmp_path / "lab"


def trained(folder, **values):
    Kernel("01", run_folder=str(folder)).execute()
    kernel = Kernel("02", run_folder=str(folder), **values)
    kernel.execute()
    return kernel


def test_a_run_by_hand_is_a_run(folder):
    kernel, run = trained(folder), runs.Run(folder)
    record = run.read()
    assert [step["status"] for step in record["notebooks"].values()] == ["complete"] * 2 and record["by_hand"]
    assert record["parameters"]["02_pretrain"]["steps"] == TINY["steps"] and record["seed"] == 0
    assert record["backend"] == "tensorflow" and record["versions"]["keras"] and record["machine"]["cores"]
    assert record["seconds"] > 0 and record["started"] <= record["finished"]
    assert states.states([run]) == ["complete · by hand: 01_data, 02_pretrain"]
    copy = nbformat.read(folder / "02_pretrain.ipynb", 4)
    nbformat.validate(copy)
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert [output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})]
    page = (folder / "report" / "index.html").read_text("utf-8")
    assert "1 · Data" in page and "What a loss asks for" in page
    assert "report/index.html" in kernel.shown()[-1]["data"]["text/html"]
    assert not [output for output in kernel.shown() if output.get("name") == "stderr"], "nothing red"


@pytest.mark.slow
def test_other_parameters_leave_nothing_of_the_earlier_training(folder):
    trained(folder)
    run = runs.Run(folder)
    (run.weights / "gan.weights.h5").write_bytes(b"of the first training")
    before = (run.weights / "pretrained.weights.h5").read_bytes()
    Kernel("02", run_folder=str(folder), learning_rate=0.01).execute()
    assert not (run.weights / "gan.weights.h5").exists()
    assert (folder / "attempts" / "1" / "weights" / "gan.weights.h5").is_file()
    assert (folder / "attempts" / "1" / "weights" / "pretrained.weights.h5").read_bytes() == before
    assert list(run.read_log()["step"]) == [2, 4]
    with pytest.raises(CellExecutionError, match=r"with other scale; for a new experiment run_folder = .*lab-2"):
        Kernel("01", run_folder=str(folder), scale=2).execute()


def test_a_training_keeps_its_backend(folder, monkeypatch):
    Kernel("01", run_folder=str(folder)).execute()
    run = runs.Run(folder)
    record = run.read()
    values = {"02_pretrain": {"steps": 4}}
    run.update(notebooks=record["notebooks"] | {"02_pretrain": {"status": "interrupted"}}, parameters=values)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(CellExecutionError, match=r"that it began with, tensorflow\. Received: jax"):
        Kernel("02", run_folder=str(folder), resume=True).execute()
    assert run.read()["backend"] == "tensorflow"


def test_without_data_one_line_says_so(folder):
    kernel = Kernel("02", run_folder=str(folder))
    with pytest.raises(CellExecutionError):
        kernel.execute()
    (error,) = [output for output in kernel.shown() if output.output_type == "error"]
    assert len(error.traceback) == 1 and "must hold the data of notebook 1" in error.traceback[0]
    assert runs.Run(folder).read()["notebooks"]["02_pretrain"]["status"] == "failed"


def test_a_run_of_the_runner_is_not_overwritten(folder):
    runs.Run(folder).update(notebooks={"01_data": {"status": "complete"}}, status="complete")
    with pytest.raises(CellExecutionError, match="must be of a run made by hand"):
        Kernel("01", run_folder=str(folder)).execute()
    assert not (folder / "01_data.ipynb").exists()


BEGIN = "from srnb.runner import session\nrun = session.begin('01_wait', run_folder)"
WAIT = """
import pathlib, time
folder = pathlib.Path(run_folder)
(folder / f"began{resume}").touch()
while not (folder / f"go{resume}").exists():
    time.sleep(0.02)
"""


def test_one_writer_by_hand_or_headless(folder):
    """Two real processes: while a cell runs, a resume is refused; while the resumed run goes on, a cell is."""
    place = toy.place(folder)
    toy.write(place / "notebooks", "01_wait", "run_folder = ''\nresume = False", BEGIN, WAIT, "print('last')")
    run = toy.run_of(place, "mine")
    notebook = nbformat.read(place / "notebooks" / "01_wait.ipynb", 4)
    notebook.cells[1].source = f"run_folder = {str(run.folder)!r}\nresume = False"
    client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(place / "notebooks")}})
    command = toy.command(place, "run", "--resume", "mine")
    with client.setup_kernel():
        for number in range(3):
            client.execute_cell(notebook.cells[number], number)
        thread = threading.Thread(target=client.execute_cell, args=(notebook.cells[3], 3))
        thread.start()
        toy.until((run.folder / "beganFalse").exists)
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert f"process {client.km.provisioner.pid}" in done.stderr
        assert "a cell of 01_wait in Jupyter, is at it" in done.stderr
        assert states.states([run]) == ["running · by hand: 01_wait"]
        (run.folder / "goFalse").touch()
        thread.join()
        assert lock.holder(run) is None and states.states([run]) == ["unfinished · by hand: 01_wait"]
        assert len(lock.owners(run)) == 1, "one for the kernel, not one for each cell"

        runner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        toy.until((run.folder / "beganTrue").exists)
        before = run.read()
        with pytest.raises(CellExecutionError):
            client.execute_cell(notebook.cells[4], 4)
        (error,) = notebook.cells[4].outputs
        (line,) = error.traceback
        assert f"process {runner.pid} on" in line and "run the cell again when that has ended" in line
        assert run.read() == before and list(run.folder.glob("*.ipynb")) == [run.folder / "01_wait.running.ipynb"]
        (run.folder / "goTrue").touch()
        assert runner.wait(120) == 0, runner.stdout.read()
        runner.stdout.close()
        assert run.is_done
        client.execute_cell(notebook.cells[4], 4)
        assert notebook.cells[4].outputs[0].text == "last\n"
    assert run.read()["status"] == "complete" and len(lock.owners(run)) == 2


@pytest.mark.slow
def test_interrupt_ends_in_one_line_and_the_cell_goes_on(folder):
    Kernel("01", run_folder=str(folder)).execute()
    kernel = Kernel("02", run_folder=str(folder), steps=400, log_every=2, validate_every=200)
    run = runs.Run(folder)
    fit = next(n for n, cell in enumerate(kernel.nb.cells) if cell.id == "fit")

    def stop():
        while not (run.folder / "log.jsonl").is_file():
            if done.wait(0.2):
                return
        os.kill(kernel.km.provisioner.pid, signal.SIGINT)

    done = threading.Event()
    with kernel.setup_kernel():
        for number, cell in enumerate(kernel.nb.cells[:fit]):
            kernel.execute_cell(cell, number)
        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(CellExecutionError):
            kernel.execute_cell(kernel.nb.cells[fit], fit)
        done.set()
        thread.join()
        (error,) = [output for output in kernel.nb.cells[fit].outputs if output.output_type == "error"]
        assert len(error.traceback) == 1 and "run the cell again to go on" in error.traceback[0]
        assert run.read()["notebooks"]["02_pretrain"]["status"] == "interrupted"
        kernel.execute_cell(kernel.nb.cells[fit], fit)
    assert list(run.read_log()["step"]) == list(range(2, 401, 2))
    assert (run.weights / "pretrained.weights.h5").is_file()
