"""Toy notebooks without TensorFlow, for what ends runs in the middle: a training, a grid of two rates, a comparison."""

import json
import subprocess
import sys
import time

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from srnb import runs

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


def place(folder):
    """Return a folder, with notebooks and a grid of two rates in it."""
    grids = folder / "notebooks" / "presets" / "grids"
    grids.mkdir(parents=True)
    (grids.parent / "sample.yaml").touch()
    (grids / "rates.yaml").write_text("slow: {rate: 0.1}\nfast: {rate: 0.2}\n")
    write(folder / "notebooks", "01_train", PARAMETERS, SEEN, TRAINING)
    write(folder / "notebooks", "02_compare", "run_folder = ''\nruns = ''", "print(runs)")
    return folder


def command(place, *arguments):
    """Return the command `srnb`, with notebooks and results of a place."""
    folders = ["--notebooks", place / "notebooks", "--results", place / "results"]
    return [sys.executable, "-m", "srnb.cli", *arguments, *(folders if arguments[0] != "runs" else folders[2:])]


def srnb(place, *arguments):
    """Run a command to its end and return what it says."""
    done = subprocess.run(command(place, *arguments), capture_output=True, text=True, cwd=place)
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


def requires_unbroken(run, *, count=30, rate=0.1):
    value, expected = 1.0, []
    for step in range(1, count + 1):
        value = value * (1 - rate) + 0.01
        expected.append({"stage": "toy", "step": step, "value": value})
    assert [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()] == expected
