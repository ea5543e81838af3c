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
    assert [first, last] == ["train 2/4 · loss 0.1235 · rate 1e-05", "train 4/4 · loss 0.1000"]


def test_progress_is_throttled_but_shows_the_end(capsys):
    assert list(progress.track(range(1000), "count", interval=60)) == list(range(1000))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in lines] == ["count 1/1000", "count 1000/1000"]


def test_what_is_counted_within_a_bar_is_a_phase_of_it(monkeypatch, capsys):
    clock = {"now": 0}
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock["now"])
    progress.phase("nobody listens")
    with progress.Progress(9, "train", interval=5) as bar:
        bar.update(4)
        for _ in progress.track(range(3), "validating", unit="photographs"):
            clock["now"] += 6
            progress.phase("LPIPS")
            clock["now"] += 2
        bar.update(5)
    assert capsys.readouterr().out.splitlines() == [
        "train 4/9",
        "train 4/9 · validating 1/3 · LPIPS …",
        "train 4/9 · validating 2/3 · LPIPS …",
        "train 4/9 · validating 3/3 · LPIPS …",
        "train 5/9",
    ]
    list(progress.track([1], "count"))
    assert capsys.readouterr().out.startswith("count 1/1"), "the next bar stands alone"


def test_photographs_are_counted_as_photographs(monkeypatch, capsys):
    clock = {"now": 0}
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock["now"])
    for _ in progress.track(range(3), "upscaled", unit="photographs", interval=0):
        clock["now"] += 2
    assert capsys.readouterr().out.splitlines()[-1] == "upscaled 3/3 · 0.5000 photographs/s"


def test_progress_says_where_it_stopped(capsys):
    with pytest.raises(KeyError), progress.Progress(9, "train", interval=60) as bar:
        bar.update(1)
        bar.update(3)
        raise KeyError
    assert capsys.readouterr().out.splitlines()[-1].startswith("train 3/9")


def test_large_numbers_are_written_out(capsys):
    with progress.Progress(1, "read", interval=0) as bar:
        bar.update(1, pixels=146_234.5)
    assert capsys.readouterr().out.splitlines() == ["read 1/1 · pixels 146,234"]


def lines_at(monkeypatch, capsys, updates, *, total):
    """Return what is shown of updates [(step, second)]; every one is shown."""
    clock = {"now": 0}
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock["now"])
    with progress.Progress(total, "train", interval=0) as bar:
        for step, clock["now"] in updates:
            bar.update(step)
    return [line.removeprefix("train ") for line in capsys.readouterr().out.splitlines()]


def test_time_left_leaves_compilation_out(monkeypatch, capsys):
    lines = lines_at(monkeypatch, capsys, [(1, 100), (2, 101), (3, 102), (4, 103)], total=30)
    assert lines[0] == "1/30" and "left" not in lines[1]  # compilation says nothing about what follows
    assert lines[2:] == ["3/30 · 1.000 steps/s · 0:27 left", "4/30 · 1.000 steps/s · 0:26 left"]


def test_time_left_leaves_a_second_compilation_out(monkeypatch, capsys):
    updates = [(1, 100), (2, 101), (3, 102), (4, 103), (5, 203), (6, 204)]  # the generator moves at every fifth
    assert lines_at(monkeypatch, capsys, updates, total=30)[-1] == "6/30 · 1.000 steps/s · 0:24 left"


def test_time_left_is_for_now_only():
    line = "train 3/30 · loss 0.1 · 1.000 steps/s · {} left\n"
    text = line.format("1:57:12") + line.format("0:27") + "left · nothing left\n"
    assert progress.without_time_left(text) == "train 3/30 · loss 0.1 · 1.000 steps/s\n" * 2 + "left · nothing left\n"


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
