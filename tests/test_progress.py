"""progress: one line at a time in a batch, one display where someone watches."""

import subprocess
import sys

import pytest

from srnb import progress


def test_progress_in_a_batch(capsys):
    with progress.Progress(4, "train", interval=0) as bar:
        bar.update(2, loss=0.123456, rate=1e-5)
        bar.update(4, loss=0.1)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("train 2/4 · loss 0.1235 · rate 1e-05 · ") and first.endswith(" left")
    assert last.startswith("train 4/4 · loss 0.1000 · ") and "left" not in last


def test_progress_is_throttled_but_shows_the_end(capsys):
    assert list(progress.track(range(1000), "count", interval=60)) == list(range(1000))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["count 1/1000", "count 1000/1000"]


def test_progress_says_where_it_stopped(capsys):
    with pytest.raises(KeyError), progress.Progress(9, "train", interval=60) as bar:
        bar.update(1)
        bar.update(3)
        raise KeyError
    assert capsys.readouterr().out.splitlines()[-1].startswith("train 3/9")


def test_time_left_leaves_compilation_out(monkeypatch):
    clock = iter([0, 0, 100, 100, 110, 110, 110, 110]).__next__
    monkeypatch.setattr(progress.time, "perf_counter", clock)
    bar = progress.Progress(30, "train", start=0, interval=1e9)
    bar._shown_at = 0
    with bar:
        bar.update(10)  # 100 s, compilation among them
        bar.step = 20
        assert bar.line() == "train 20/30 · 1.000 steps/s · 0:10 left"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3671, "1:01:11")])
def test_duration(seconds, text):
    assert progress.duration(seconds) == text


def test_a_watched_cell_has_one_display(tmp_path):
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance(); shell.kernel = True\n"
        "shell.display_pub.publish = lambda *a, **k: print(k)\n"
        "from srnb import progress\n"
        "list(progress.track([1, 2, 3], 'count', interval=0))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    displays = out.splitlines()
    assert ["'update': True" in line for line in displays] == [False, True, True]
    assert "<progress" in displays[2] and "'text/plain': 'count 3/3" in displays[2]
