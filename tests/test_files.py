"""A file is there whole or not at all: after an error, on a full disk, after a kill."""

import itertools
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from srnb import files


def test_writes_whole_and_replaces(tmp_path):
    files.write_text(tmp_path / "new" / "a.json", "ä\r\n")
    files.write_text(tmp_path / "new" / "a.json", "b")
    assert (tmp_path / "new" / "a.json").read_text("utf-8") == "b"
    assert os.listdir(tmp_path / "new") == ["a.json"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_whoever_may_read_a_run_may_read_its_weights(tmp_path):
    (tmp_path / "as ever").touch()
    with files.whole(tmp_path / "shared.safetensors") as temporary:
        save_file({"kernel": np.zeros(3)}, temporary)
    mode = {path.name: stat.filemode(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert mode["shared.safetensors"] == mode["as ever"]


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


def test_an_error_names_the_file_that_was_meant(tmp_path):
    (tmp_path / "a.html").mkdir()
    with pytest.raises(IsADirectoryError) as error:
        files.write_text(tmp_path / "a.html", "page")
    assert error.value.filename == str(tmp_path / "a.html")


def test_a_cache_that_cannot_be_made_is_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("SRNB_CACHE", str(tmp_path / "here"))
    assert files.cache() == tmp_path / "here" and files.cache().is_dir()
    (tmp_path / "home").touch()  # to root nothing is read-only
    monkeypatch.delenv("SRNB_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(
        ValueError, match=r"set SRNB_CACHE to one .* Received: .*/home/\.cache/srnb \(Not a directory\)"
    ):
        files.cache()


def test_a_read_only_disk_refuses_the_file_that_was_meant(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OSError, match="Read-only") as error:
        files.write_text(small_disk / "a.html", "page")
    assert error.value.filename == str(small_disk / "a.html")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is a moment without the folder")
def test_a_folder_is_there_wherever_its_writer_is_killed(tmp_path):
    """The writer dies before its first change to the file system, its second, and so on, until it comes to its end."""

    def write(content):
        with files.whole(tmp_path / "model") as temporary:
            temporary.mkdir()
            for number in range(3):
                (temporary / f"{number}").write_text(content)

    def die_at(number):
        changes = itertools.count()

        def hook(event, arguments):
            if event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir") and next(changes) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    write("earlier")
    killed = 0
    for number in range(30):
        pid = os.fork()
        if not pid:
            die_at(number)
            write("later")
            os._exit(0)
        killed += os.waitpid(pid, 0)[1] == signal.SIGKILL
        contents = {file.name: file.read_text() for file in (tmp_path / "model").iterdir()}
        assert contents.keys() == {"0", "1", "2"} and len(set(contents.values())) == 1, number
    assert 4 < killed < 30


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


def test_room_is_required_before_a_library_writes(tmp_path):
    files.require_room(tmp_path / "a.bin", 10)
    with pytest.raises(OSError, match=r"No space left on device.*a\.bin"):
        files.require_room(tmp_path / "a.bin", 2**60)


def test_a_full_disk_leaves_no_half_file(tmp_path):
    with pytest.raises(OSError, match=r"No space left.*a\.bin"), files.whole(tmp_path / "a.bin") as temporary:
        with open(temporary, "wb") as file:
            file.write(b"half")
        with open("/dev/full", "wb") as disk:
            disk.write(bytes(2**20))
    assert not list(tmp_path.iterdir())
