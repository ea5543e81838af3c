"""papermill alone runs a notebook with a preset file, from the checkout's root; nothing of the runner takes part."""

import os
import subprocess
import sys

import nbformat

from srnb import files, runs


def test_notebooks_by_papermill_alone(tmp_path):
    run = runs.Run(tmp_path / "run")
    for stem in ("01_data", "02_pretrain"):
        copy = tmp_path / f"{stem}.ipynb"
        command = [sys.executable, "-m", "papermill", f"notebooks/{copy.name}", copy]
        command += ["-f", "notebooks/presets/smoke.yaml"]
        done = subprocess.run(
            [*command, "-p", "run_folder", run.folder],
            cwd=files.ROOT,
            env=os.environ | {"KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        cells = [cell for cell in nbformat.read(copy, 4).cells if cell.cell_type == "code" and cell.source.strip()]
        assert all(cell.execution_count for cell in cells)
    assert not run.read_log().empty and list(run.weights.glob("*.h5"))
