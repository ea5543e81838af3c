"""The engine in node, for whoever has it."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from srnb.reports.web import kernel, network

NODE = shutil.which("node")
RELAXED = "--experimental-wasm-relaxed-simd"  # what node 20 asks for


@pytest.fixture
def in_node(tmp_path):
    """Return a function (ends, picture (H, W, 3), share=, relaxed=) -> result (H, W, 3) and what the engine reports."""
    if NODE is None:
        pytest.skip("needs node")

    def run(ends, picture, *, share=0.0, relaxed=False):
        description, weights = network.encode(ends)
        request = {"height": len(picture), "width": picture.shape[1], "share": share, "ends": len(ends)}
        (tmp_path / "network.json").write_text(json.dumps(description))
        (tmp_path / "request.json").write_text(json.dumps(request))
        (tmp_path / "picture.f32").write_bytes(picture.astype("<f4").tobytes())
        for number, end in enumerate(weights):
            (tmp_path / f"weights-{number}.bin").write_bytes(end)
        script = Path(__file__).with_name("engine.mjs")
        command = [NODE, *[RELAXED] * relaxed, script, tmp_path, kernel.FOLDER]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        values = np.frombuffer((tmp_path / "result.f32").read_bytes(), "<f4")
        return values.reshape(report["height"], report["width"], 3), report

    return run


@pytest.fixture
def javascript():
    """Return a function: expression over the page's scripts -> its value."""
    if NODE is None:
        pytest.skip("needs node")

    def evaluate(expression):
        script = Path(__file__).with_name("picture.mjs")
        done = subprocess.run([NODE, script, kernel.FOLDER, expression], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return evaluate
