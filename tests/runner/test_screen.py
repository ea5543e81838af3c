"""Several runs on one screen: a line each, renewed in place."""

import io
import os
import time

from srnb import runs
from srnb.runner import screen


def wait_for(text, stream):
    deadline = time.monotonic() + 60
    while text not in stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_line_for_each_run(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((40, 10)))
    begun = [runs.Run(tmp_path / name) for name in ("one", "second")]
    for run in begun:
        run.update(status="pending")
    stream = io.StringIO()
    with screen.shown(begun, stream=stream, interval=0.01):
        wait_for("pending\n\x1b[2Ksecond  pending\n", stream)
        (begun[0].folder / "progress.txt").write_text("02_pretrain │ pretrain 350/900 · pixel 0.0412 · 1:43 left")
        wait_for("350/900", stream)
        begun[1].update(status="failed")
    frames = stream.getvalue().split("\x1b[2A")
    assert frames[0] == "\x1b[2Kone     pending\n\x1b[2Ksecond  pending\n"
    assert frames[-1] == "\x1b[2Kone     02_pretrain │ pretrain 350/900 \n\x1b[2Ksecond  failed\n"


def test_more_runs_than_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((40, 4)))
    begun = [runs.Run(tmp_path / name) for name in ("a", "b", "c")]
    for run, status in zip(begun, ("complete", "running", "failed"), strict=True):
        run.update(status=status)
    stream = io.StringIO()
    with screen.shown(begun, stream=stream, interval=9):
        pass
    assert stream.getvalue().split("\x1b[2A")[-1] == "\x1b[2Kb  running\n\x1b[2Kc  failed\n"
