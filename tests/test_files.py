"""A file is there whole or not at all: after an error, on a full disk, after a kill."""

import os
import signal
import sys
import time

import pytest

from srnb import files


def test_writes_whole_and_replaces(tmp_path):
    files.write_text(tmp_path / "new" / "a.json", "ä\r\n")
    files.write_text(tmp_path / "new" / "a.json", "b")
    assert (tmp_path / "new" / "a.json").read_text("utf-8") == "b"
    assert os.listdir(tmp_path / "new") == ["a.json"]


def test_an_error_leaves_the_earlier_file_and_nothing_else(tmp_path):
    files.write_text(tmp_path / "a.txt", "earlier")
    with pytest.raises(KeyboardInterrupt), files.whole(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "earlier"


def test_two_writers_of_one_name_do_not_meet(tmp_path):
    with files.whole(tmp_path / "a.npy") as first, files.whole(tmp_path / "a.npy") as second:
        assert first != second
        assert first.suffix == second.suffix == ".npy"
        first.write_bytes(b"1")
        second.write_bytes(b"2")
    assert (tmp_path / "a.npy").read_bytes() == b"1"


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    for content in ("1", "2"):
        with files.whole(tmp_path / "model") as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(tmp_path / "model") == ["2"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is a moment without the folder")
def test_a_folder_is_there_whenever_its_writer_is_killed(tmp_path):
    def write():
        with files.whole(tmp_path / "model") as temporary:
            temporary.mkdir()
            for number in range(100):
                (temporary / f"{number}").touch()

    write()
    for moment in range(10):
        pid = os.fork()
        if not pid:
            while True:
                write()
        end, seen = time.monotonic() + 0.05 + 0.011 * moment, []
        while time.monotonic() < end:
            seen.append((tmp_path / "model").is_dir())
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert seen and all(seen)
        assert len(os.listdir(tmp_path / "model")) == 100


def test_a_folder_takes_its_place_where_two_cannot_be_swapped_at_one_stroke(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "other")
    for content in ("1", "2"):
        with files.whole(tmp_path / "model") as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert os.listdir(tmp_path) == ["model"] and os.listdir(tmp_path / "model") == ["2"]


def test_what_a_killed_writer_left_is_removed_once_it_is_old(tmp_path):
    pid = os.fork()
    if not pid:
        with files.whole(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            os._exit(9)
    os.waitpid(pid, 0)
    (left,) = tmp_path.iterdir()
    files.write_text(tmp_path / "a.txt", "1")
    assert left.exists()  # its writer could be alive
    os.utime(left, (0, time.time() - files.ABANDONED - 60))
    (tmp_path / ".a.txt.mine").touch()
    os.utime(tmp_path / ".a.txt.mine", (0, 0))
    files.write_text(tmp_path / "a.txt", "2")
    assert sorted(os.listdir(tmp_path)) == [".a.txt.mine", "a.txt"]


def test_a_full_disk_leaves_no_half_file(tmp_path):
    with pytest.raises(OSError, match=r"No space left.*a\.bin"), files.whole(tmp_path / "a.bin") as temporary:
        with open(temporary, "wb") as file:
            file.write(b"half")
        with open("/dev/full", "wb") as disk:
            disk.write(bytes(2**20))
    assert not list(tmp_path.iterdir())
