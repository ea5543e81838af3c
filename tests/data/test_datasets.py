"""The registry against folders of the layout that publishers use, and downloads against a server that misbehaves."""

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from srnb import cli, files
from srnb.data import datasets, downloads


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "DATA", tmp_path / "data")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def photograph(path, seed=0, size=(40, 48)):
    smooth = np.random.default_rng(seed).random((5, 6, 3))
    picture = Image.fromarray((smooth * 255).astype(np.uint8)).resize(size[::-1], Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def png(seed, size=8):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def server():
    """Serve `server.files`, with ranges; the first `server.drops` answers break off half-way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = self.server.files.get(self.path)
            if content is None:
                return self.send_error(404)
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self.server.starts.append(start)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            stop = len(content)
            if self.server.drops:
                self.server.drops -= 1
                stop = start + (stop - start) // 2
            self.wfile.write(content[start:stop])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.drops, server.starts = {}, 0, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def small_div2k(server, monkeypatch):
    """A registry entry of DIV2K's layout, two photographs to train on and one to test on."""
    contents = {
        "/train.zip": zipped({"DIV2K_train_HR/0001.png": png(1), "DIV2K_train_HR/0002.png": png(2, size=300)}),
        "/valid.zip": zipped({"DIV2K_valid_HR/0801.png": png(3)}),
        "/valid_X2.zip": zipped({"DIV2K_valid_LR_bicubic/X2/0801x2.png": png(4)}),
    }
    server.files.update(contents)
    urls = {server.url + name: "md5:" + hashlib.md5(content).hexdigest() for name, content in contents.items()}
    last = server.url + "/valid_X2.zip"
    entry = {**datasets.SETS["DIV2K"], "count": {"train": 2, "test": 1}, "lr_urls": {2: {last: urls.pop(last)}}}
    monkeypatch.setitem(datasets.SETS, "DIV2K", {**entry, "urls": urls})
    monkeypatch.setattr(downloads, "ATTEMPTS", 2)
    return server


def test_sample_is_split_without_overlap():
    train, test = (datasets.photographs("sample", split) for split in ("train", "test"))
    assert len(test) >= 4 and set(train).isdisjoint(test)
    assert sorted(train + test) == sorted(datasets.photographs("sample"))
    assert datasets.check("sample") == []


def test_folder_split_stays_when_photographs_are_added(tmp_path):
    for i in range(30):
        photograph(tmp_path / "own" / f"{i:02d}.png", i)
    before = set(datasets.photographs(str(tmp_path / "own"), "test"))
    assert len(before) == 3
    assert before.isdisjoint(datasets.photographs(str(tmp_path / "own"), "train"))
    photograph(tmp_path / "own" / "new.png", 99)
    assert len(before & set(datasets.photographs(str(tmp_path / "own"), "test"))) >= 2


def test_fetch_resumes_a_broken_download(small_div2k, data):
    small_div2k.drops = 1
    seen = []
    folder = datasets.fetch("DIV2K", progress=lambda *event: seen.append(event))
    assert small_div2k.starts[0] == 0 and small_div2k.starts[1] > 0  # went on, did not begin again
    assert [path.name for path in datasets.photographs("DIV2K", "train")] == ["0001.png", "0002.png"]
    assert [path.name for path in datasets.photographs("DIV2K", "test")] == ["0801.png"]
    assert len(datasets.photographs("DIV2K")) == 3 and datasets.check("DIV2K") == []
    assert seen[-1][0] == "valid.zip" and seen[-1][1] == seen[-1][2]
    assert not list((data / ".downloads").iterdir())
    requests = len(small_div2k.starts)
    assert datasets.fetch("DIV2K") == folder and len(small_div2k.starts) == requests  # nothing twice


def test_fetch_lr_makes_pairs(small_div2k):
    datasets.fetch("DIV2K")
    assert datasets.pairs("DIV2K", scale=2)[0][1] is None
    datasets.fetch("DIV2K", scales=(2,))
    ((hr, lr),) = datasets.pairs("DIV2K", scale=2)
    assert (hr.name, lr.name) == ("0801.png", "0801x2.png")
    with pytest.raises(ValueError, match=r"published for \[2\]"):
        datasets.fetch("DIV2K", scales=(8,))


def test_fetch_refuses_a_wrong_file(small_div2k):
    small_div2k.files["/train.zip"] = zipped({"DIV2K_train_HR/0001.png": png(7)})
    with pytest.raises(ValueError, match="hash"):
        datasets.fetch("DIV2K")
    with pytest.raises(FileNotFoundError, match="srnb data fetch DIV2K"):
        datasets.photographs("DIV2K")


def test_fetch_without_network_says_where_to_put_the_file(small_div2k, data, monkeypatch):
    archive = small_div2k.files["/train.zip"]
    monkeypatch.setattr(downloads.time, "sleep", lambda _: None)
    urls = {"http://127.0.0.1:9/train.zip": "md5:" + hashlib.md5(archive).hexdigest()}
    monkeypatch.setitem(datasets.SETS["DIV2K"], "urls", urls)
    with pytest.raises(ConnectionError, match=r"put the file at .*\.downloads/train\.zip"):
        datasets.fetch("DIV2K")
    (data / ".downloads" / "train.zip").write_bytes(archive)
    datasets.fetch("DIV2K")
    assert len(datasets.photographs("DIV2K", "train")) == 2


def test_download_gives_up_on_missing_file_and_full_disk(small_div2k, tmp_path, monkeypatch):
    with pytest.raises(ConnectionError, match="404"):
        downloads.download(small_div2k.url + "/nothing.zip", tmp_path / "nothing.zip")
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(OSError, match="must be free"):
        downloads.download(small_div2k.url + "/train.zip", tmp_path / "train.zip")


def test_check_finds_what_changed(small_div2k):
    folder = datasets.fetch("DIV2K")
    (folder / "DIV2K_train_HR" / "0001.png").write_bytes(png(9))
    (folder / "DIV2K_train_HR" / "0002.png").unlink()
    assert [sentence.split(": ")[1][:7] for sentence in datasets.check("DIV2K")] == ["not wha", "missing", "2 photo"]


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "a/../../out.png", "..\\out.png", "C:\\out.png"])
def test_unpack_stays_inside(tmp_path, name):
    (tmp_path / "bad.zip").write_bytes(zipped({"good.png": b"1", name: b"2"}))
    with pytest.raises(ValueError, match="files inside it only"):
        downloads.unpack(tmp_path / "bad.zip", tmp_path / "target")
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(ValueError, match="files inside it only"):
        downloads.unpack(tmp_path / "bad.tar", tmp_path / "target")
    assert not list((tmp_path / "target").iterdir()) and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_unpack_refuses_links(tmp_path, kind):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ValueError, match="files inside it only"):
        downloads.unpack(tmp_path / "bad.tar.gz", tmp_path / "target")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="files inside it only"):
        downloads.unpack(tmp_path / "bad.zip", tmp_path / "target")


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_unpack_refuses_damaged_archives(tmp_path, cut):
    (tmp_path / "bad.zip").write_bytes(zipped({"a.png": png(1)})[:cut])
    with pytest.raises(ValueError, match="damaged archive"):
        downloads.unpack(tmp_path / "bad.zip", tmp_path / "target")


def test_pairs_match_by_stem_and_miss_nobody(tmp_path):
    for stem in "ab":
        photograph(tmp_path / "own" / "HR" / "X4" / f"{stem}.png")
        photograph(tmp_path / "own" / "LR_bicubic" / "X4" / f"{stem}x4.png", size=(10, 12))
    own = str(tmp_path / "own")
    assert [(hr.stem, lr.stem) for hr, lr in datasets.pairs(own, scale=4)] == [("a", "ax4"), ("b", "bx4")]
    with pytest.raises(FileNotFoundError, match="no X3"):
        datasets.pairs(own, scale=3)
    (tmp_path / "own" / "LR_bicubic" / "X4" / "bx4.png").rename(tmp_path / "own" / "LR_bicubic" / "X4" / "cx4.png")
    with pytest.raises(ValueError, match="without partner: b, c"):
        datasets.pairs(own, scale=4)


@pytest.mark.parametrize("name", ["HR/X4/below/a.png", "LR_bicubic/X4/a.png"])
def test_pairs_of_one_stem_are_refused(tmp_path, name):
    for own in ("HR/X4/a.png", "LR_bicubic/X4/ax4.png", name):
        photograph(tmp_path / own)
    with pytest.raises(ValueError, match=rf"matched by stem.* Received: .*a(x4)?\.png and .*{name}|{name} and "):
        datasets.pairs(str(tmp_path), scale=4)


def test_added_folder_has_a_name(tmp_path):
    photograph(tmp_path / "holiday" / "one.png")
    datasets.add("mine", tmp_path / "holiday")
    assert "mine" in datasets.names() and len(datasets.photographs("mine")) == 1
    for name, folder in (("Set5", tmp_path / "holiday"), ("other", tmp_path / "nowhere")):
        with pytest.raises((ValueError, FileNotFoundError), match="Received"):
            datasets.add(name, folder)


@pytest.mark.parametrize("name", ["", " ", "-x", "a/b", "..", "~", "a,b", "a\nb", "a\\b"])
def test_a_name_that_no_command_could_take_is_not_registered(data, tmp_path, name):
    photograph(tmp_path / "holiday" / "one.png")
    with pytest.raises(ValueError, match="a set's name must be that of a folder"):
        datasets.add(name, tmp_path / "holiday")
    assert not (data / datasets.OWN).exists()


def test_half_a_set_is_not_taken_for_the_other_half(small_div2k, data):
    datasets.fetch("DIV2K")
    (data / "DIV2K" / "DIV2K_valid_HR").rename(data / "elsewhere")
    assert len(datasets.photographs("DIV2K", "train")) == 2
    for split in ("test", "all"):
        with pytest.raises(FileNotFoundError, match="DIV2K_valid_HR"):
            datasets.photographs("DIV2K", split)
    with pytest.raises(FileNotFoundError, match="DIV2K_valid_HR"):
        datasets.pairs("DIV2K", scale=4)


def test_div2f_is_its_parts(small_div2k, data):
    datasets.fetch("DIV2K")
    photograph(data / "Flickr2K" / "Flickr2K" / "Flickr2K_HR" / "000001.png")
    assert [path.name for path in datasets.photographs("DIV2F", "train")] == ["0001.png", "0002.png", "000001.png"]
    assert [path.name for path in datasets.photographs("DIV2F", "test")] == ["0801.png"]
    assert [(hr.name, lr) for hr, lr in datasets.pairs("DIV2F", scale=4)] == [("0801.png", None)]


def test_parts_are_fetched_with_the_lr_that_they_have(small_div2k, data, monkeypatch):
    flickr = {**datasets.SETS["Flickr2K"], "urls": {}}
    monkeypatch.setitem(datasets.SETS, "Flickr2K", flickr)
    with pytest.raises(ValueError, match=r"LR of DIV2F is published for \[2\]\. Received: 7"):
        datasets.fetch("DIV2F", scales=[2, 7])
    assert not (data / "DIV2K").exists()
    datasets.fetch("DIV2F", scales=[2])
    photograph(data / "Flickr2K" / "Flickr2K" / "Flickr2K_HR" / "000001.png")
    assert [lr.name for _, lr in datasets.pairs("DIV2F", scale=2)] == ["0801x2.png"]


def test_pictures_of_a_benchmark_may_lie_flat(data, monkeypatch):
    monkeypatch.delenv("SRNB_DATA", raising=False)
    photograph(data / "Set5" / "baby.png")
    assert datasets.pairs("Set5", scale=3) == [(data / "Set5" / "baby.png", None)]
    photograph(data / "Set14" / "HR" / "X2" / "baboon.png")
    assert [path.name for path in datasets.photographs("Set14")] == ["baboon.png"]


def test_data_commands(small_div2k, tmp_path):
    def srnb(*arguments):
        result = CliRunner().invoke(cli.main, ["data", *map(str, arguments)])
        return result.exit_code, result.output

    assert "not here" in srnb("list")[1] and "person by person" in srnb("fetch", "Manga109")[1]
    code, output = srnb("fetch", "DIV2K", "--scale", 2)
    assert code == 0 and "train.zip: " in output and output.endswith("DIV2K\n")
    assert srnb("check", "DIV2K") == (0, "DIV2K is whole: 3 photographs\n")
    photograph(tmp_path / "holiday" / "one.png")
    assert srnb("add", "mine", tmp_path / "holiday") == (0, "mine has 1 photographs\n")
    (tmp_path / "holiday" / "one.png").write_bytes(b"")
    code, output = srnb("check", "mine")
    assert code == 1 and "one.png: the file is empty" in output


def test_unknown_and_local_only_sets_say_what_to_do():
    with pytest.raises(FileNotFoundError, match="Set14"):
        datasets.photographs("Set99")
    with pytest.raises(FileNotFoundError, match="person by person"):
        datasets.photographs("Manga109")
    with pytest.raises(ValueError, match="person by person"):
        datasets.fetch("Manga109")
    with pytest.raises(ValueError, match="to train on"):
        datasets.photographs("Set5", "train")
    with pytest.raises(ValueError, match="must have a name"):
        datasets.photographs("")


def test_a_folder_beside_the_user_never_takes_a_name(data, tmp_path, monkeypatch):
    monkeypatch.delenv("SRNB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    for folder in ("DIV2K", "mine"):
        photograph(tmp_path / folder / "LR" / "a.png")
    with pytest.raises(FileNotFoundError, match="srnb data fetch DIV2K"):
        datasets.photographs("DIV2K")
    with pytest.raises(FileNotFoundError, match=r"say \./mine"):
        datasets.photographs("mine")
    assert [path.name for path in datasets.photographs("./DIV2K")] == ["a.png"]
    assert datasets.photographs(str(tmp_path / "mine"))


def test_real_pairs_are_found_by_their_names_and_none_may_be_alone(tmp_path):
    folder = tmp_path / "RealSR" / "Canon" / "Test" / "4"
    for name in (
        "Canon_001_HR.png",
        "Canon_001_LR4.png",
        "Canon_[2]_HR.png",
        "Canon_[2]_LR4.png",
        "._Canon_001_LR4.png",
    ):
        photograph(folder / name)
    photograph(folder.parent / "2" / "Canon_001_HR.png")
    photograph(folder.parent / "2" / "Canon_001_LR2.png")
    pairs = datasets.pairs(str(tmp_path / "RealSR"), scale=4)
    assert pairs == [(folder / f"Canon_{name}_HR.png", folder / f"Canon_{name}_LR4.png") for name in ("001", "[2]")]
    assert [lr.name for _, lr in datasets.pairs(str(tmp_path / "RealSR"), scale=2)] == ["Canon_001_LR2.png"]
    (folder / "Canon_001_HR.png").unlink()
    with pytest.raises(ValueError, match=r"Canon_001_LR4\.png alone"):
        datasets.pairs(str(tmp_path / "RealSR"), scale=4)
