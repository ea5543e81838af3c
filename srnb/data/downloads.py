"""Archives from the network: downloaded completely or not at all, checked, and unpacked within their folder."""

import os
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath

CHUNK = 2**16
ATTEMPTS = 5


def download(url, target, *, checksum=None, progress=None, wait=1.0):
    """Download `url` to the file `target`, unless it is there with the right checksum ("md5:..." or "sha256:...").

    A download that breaks off is resumed where it stopped, in up to `ATTEMPTS` attempts and also by a later call. The
    second attempt comes after `wait` seconds, each further one after twice as long. `progress(done, total)` counts
    bytes. Raises ConnectionError, which says where to put the file by hand, ValueError for a wrong checksum, and
    OSError for a full disk.
    """
    import pooch

    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)

    def resuming(url, output, _):
        part = target.with_name(target.name + ".part")
        _complete(url, part, target, progress, wait)
        os.replace(part, output)

    pooch.get_logger().setLevel("WARNING")
    pooch.retrieve(url, checksum, target.name, target.parent, downloader=resuming)
    return target


def unpack(archive, folder):
    """Unpack a .zip or .tar file, which may hold only plain files and folders, into `folder`.

    Raises ValueError for a damaged archive and, before anything is written, for a link or a path that leads outside;
    OSError if the disk has no room for the contents.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as content:
                members = [
                    (m, m.filename, m.file_size, m.is_dir(), stat.S_ISLNK(m.external_attr >> 16))
                    for m in content.infolist()
                ]
                _extract(members, content.open, archive, folder)
        else:
            with tarfile.open(archive) as content:
                members = [(m, m.name, m.size, m.isdir(), not (m.isfile() or m.isdir())) for m in content]
                _extract(members, content.extractfile, archive, folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{archive}: damaged archive ({error})") from error


def require_space(folder, size):
    """Raise OSError when the disk of `folder` has less than `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(f"{folder}: {size / 1e9:.1f} GB must be free. Received: {free / 1e9:.1f} GB")


def _complete(url, part, target, progress, wait):
    import requests

    for attempt in range(ATTEMPTS):
        try:
            if attempt:
                time.sleep(wait * 2 ** (attempt - 1))
            done = part.stat().st_size if part.exists() else 0
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
            with requests.get(url, headers=headers, stream=True, timeout=30) as response:
                if response.status_code == 416:  # what is there is as long as the file, or longer
                    part.unlink()
                    continue
                response.raise_for_status()
                if response.status_code != 206:
                    done = 0
                length = response.headers.get("Content-Length")
                total = done + int(length) if length else None
                require_space(part.parent, int(length or 0))
                with part.open("ab" if done else "wb") as file:
                    for chunk in response.iter_content(CHUNK):
                        file.write(chunk)
                        done += len(chunk)
                        if progress:
                            progress(done, total)
            if total in (None, done):
                return
            reason = f"{done} of {total} bytes arrived"
        except requests.HTTPError as error:
            if error.response.status_code < 500:
                raise ConnectionError(f"{error}. Put the file at {target} by hand, then try again") from error
            reason = error
        except requests.RequestException as error:
            reason = str(error).rsplit("Caused by ", 1)[-1]
    raise ConnectionError(
        f"{url} must be reachable ({reason}). Without a network put the file at {target}, then try again"
    )


def _extract(members, opened, archive, folder):
    for _, name, _, _, special in members:
        path = PurePosixPath(name.replace("\\", "/"))
        if special or path.is_absolute() or ".." in path.parts or name[1:2] == ":":
            raise ValueError(f"{archive}: an archive must hold files inside it only. Received: {name!r}")
    require_space(folder, sum(size for _, _, size, _, _ in members))
    for member, name, _, is_folder, _ in members:
        path = folder / name
        if is_folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened(member) as source, path.open("wb") as file:
            shutil.copyfileobj(source, file, CHUNK)
