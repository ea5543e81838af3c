"""Where photographs come from: the sets of the field, the bundled sample, any folder of the user's.

A set lives in $SRNB_DATA/benchmarks/<name> (the classic benchmarks with MATLAB's LR) or in data/<name>, where `fetch`
puts it. Inside, HR is in the folders that `catalogue.SETS` names, or in HR/X<scale>, or in HR, or in the folder itself.
LR is in the folder that `catalogue.SETS` names, or in LR_bicubic/X<scale>; where it is missing, `degrade` makes the
same files, bit for bit.
"""

import glob
import hashlib
import importlib.util
import json
import os
import shutil
import uuid
from pathlib import Path

from srnb import files
from srnb.data import downloads, images
from srnb.data.catalogue import SAMPLE, SETS

MANIFEST = "manifest.json"  # {file: sha256} of what `fetch` unpacked
OWN = "sets.json"  # {name: folder} of what `add` was told

FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
HOLD_OUT = 10  # one in so many of a user's own photographs is held out


def names():
    """Return the names that `photographs` knows: "sample", the sets of the catalogue, the user's own."""
    return ["sample", *SETS, *_own()]


def overview():
    """Return {name: ({split: number of photographs}, folder or None if absent, licence)} of every known set."""
    table = {
        "sample": (
            {split: len(shipped) for split, shipped in SAMPLE.items()},
            "installed packages",
            "see data/README.md",
        )
    }
    for name in names()[1:]:
        entry = SETS.get(name, {"count": {}, "licence": "your own"})
        try:
            place = str(locate(name))
        except FileNotFoundError:
            place = None
        table[name] = entry["count"], place, entry["licence"]
    return table


def photographs(name, split="all"):
    """Return the HR files of a set or of a folder, sorted.

    split: "all", "train" or "test". Published sets and the sample keep the split of their publishers; a benchmark is
    all "test". A user's own photographs are split by content hash, one in ten held out.
    Raises ValueError for an empty split, FileNotFoundError with the remedy if the set is not there.
    """
    if split not in ("all", "train", "test"):
        raise ValueError(f"`split` must be 'all', 'train' or 'test'. Received: {split!r}")
    if name == "sample":
        chosen = SAMPLE["train"] + SAMPLE["test"] if split == "all" else SAMPLE[split]
        roots = {p: Path(importlib.util.find_spec(p).origin).parent / FOLDERS[p] for p in FOLDERS}
        return sorted((roots[package] / file for package, file in chosen), key=lambda path: path.name)
    entry = SETS.get(name)
    if entry is None:
        paths = images.find(_high(locate(name)))
        return paths if split == "all" else _parted(paths, split)
    if split != "all" and split not in entry["count"]:
        raise ValueError(f"{name} must have photographs to {split} on. Received: only {', '.join(entry['count'])}")
    if "parts" in entry:
        parts = [part for part in entry["parts"] if split in ("all", *SETS[part]["count"])]
        return [path for part in parts for path in photographs(part, split)]
    root = locate(name)
    folders = [root / entry[part] for part in entry["count"] if split in ("all", part) and part in entry]
    if len(entry["count"]) == 1 and not any(folder.is_dir() for folder in folders):
        folders = [_high(root)]
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise FileNotFoundError(f"{name} must have {', '.join(missing)}: `srnb data fetch {name}`. Received: no folder")
    return [path for folder in folders for path in images.find(folder)]


def pairs(name, *, scale):
    """Return the test pairs of a set, [(HR path, LR path)], matched by stem: 0801.png with 0801x4.png or 0801.png.

    The LR path is None throughout if the set has no LR files for this scale. Pairs taken through two lenses are
    recognised by RealSR's names anywhere below a folder: NAME_HR.png beside NAME_LR4.png (Cai et al. 2019).
    Raises ValueError for a picture without its partner, and for two of one stem where there are LR files.
    """
    if name == "sample":
        return [(path, None) for path in photographs(name, "test")]
    root, entry = locate(name), SETS.get(name, {})
    if name not in SETS and (real := _real_pairs(root, scale)):
        return real
    if "parts" in entry:
        return [pair for part in entry["parts"] if "test" in SETS[part]["count"] for pair in pairs(part, scale=scale)]
    published = name in SETS and not (root / "HR").is_dir()
    paths = photographs(name, "test") if published else images.find(_high(root, scale))
    low = [root / folder.format(scale=scale) for folder in (entry.get("lr", "?"), "LR_bicubic/X{scale}")]
    low = [folder for folder in low if folder.is_dir()]
    if not low:
        return [(path, None) for path in paths]
    hr, lr = _by_stem(paths), _by_stem(images.find(low[0]), suffix=f"x{scale}")
    if hr.keys() != lr.keys():
        alone = ", ".join(sorted(hr.keys() ^ lr.keys()))
        raise ValueError(f"every HR must have an LR of the same stem in {low[0]}. Received without partner: {alone}")
    return [(hr[stem], lr[stem]) for stem in sorted(hr)]


def _by_stem(paths, *, suffix=""):
    """Return {stem without `suffix`: path}. Raises ValueError if two have the same."""
    found = {}
    for path in paths:
        if (other := found.setdefault(path.stem.removesuffix(suffix), path)) is not path:
            raise ValueError(f"HR and LR are matched by stem, which only one must have. Received: {other} and {path}")
    return found


def _real_pairs(root, scale):
    """Return the pairs NAME_HR and NAME_LR<scale> below a folder, named as in RealSR; [] if there are none."""
    low = sorted(path for path in root.rglob(f"[!.]*_LR{scale}.*") if path.is_file())
    both = [(next(iter(path.parent.glob(f"{glob.escape(_bare(path))}_HR.*")), None), path) for path in low]
    if alone := [path.name for hr, path in both if hr is None]:
        raise ValueError(f"every NAME_LR{scale} must have its NAME_HR beside it. Received: {', '.join(alone)} alone")
    return both


def _bare(path):
    """Return the stem of a file of a real pair without _HR, _LR4 and the like."""
    return path.stem.rpartition("_")[0]


def is_path(name):
    """Return whether a name is meant as a path: ./DIV2K, ~/photographs, /data/DIV2K; DIV2K alone names a set."""
    return name in (".", "..") or name.startswith("~") or any(mark in name for mark in {"/", os.sep})


def locate(name):
    """Return the folder of a set. Raises FileNotFoundError with the remedy if it is not there."""
    if not name:
        raise ValueError("a set must have a name. Received: nothing")
    places = [files.DATA / name]
    if os.environ.get("SRNB_DATA"):
        places.insert(0, Path(os.environ["SRNB_DATA"]) / "benchmarks" / name)
    if name in _own():
        places.insert(0, Path(_own()[name]))
    if is_path(name):
        places = [Path(name).expanduser()]
    for folder in places:
        if folder.is_dir():
            return folder
    if name not in SETS:
        hint = f", a folder beside you: say ./{name}" if not is_path(name) and Path(name).is_dir() else ""
        raise FileNotFoundError(f"a set must be a folder or one of {', '.join(names())}. Received: {name!r}{hint}")
    if "parts" in SETS[name]:
        for part in SETS[name]["parts"]:
            locate(part)
        return files.DATA
    folder, hint = files.DATA / name, SETS[name].get("hint", "`srnb data fetch {name}` downloads it")
    hint = hint.format(folder=folder, name=name)
    raise FileNotFoundError(f"{name} must be in {folder}: {hint}. Received: no such folder")


def add(name, folder):
    """Register a folder of photographs under a name of its own.

    Raises ValueError for the name of a known set, and for one that would be taken for a path, a list or an option.
    """
    if not files.is_plain(name) or name[0] in "-~":
        raise ValueError(
            "a set's name must be that of a folder, without a dash or ~ in front, slashes, commas, line ends and "
            f"spaces around it. Received: {name!r}"
        )
    if name == "sample" or name in SETS:
        raise ValueError(f"a name must not be one of the registry. Received: {name!r}")
    folder = Path(folder).expanduser().resolve()
    images.find(_high(folder))
    _write_json(files.DATA / OWN, {**_own(), name: str(folder)})


def fetch(name, *, scales=(), progress=None):
    """Download a set, with the LR of `scales`, into data/<name> and return that folder; of parts, those with such LR.

    `progress(file, done, total)` counts bytes. What is there is not fetched again, and an archive that was put into
    data/.downloads by hand is used from there. Raises what `downloads.download` and `downloads.unpack` raise.
    """
    entry = SETS.get(name)
    if entry is None:
        raise ValueError(f"`name` must be one of {', '.join(SETS)}. Received: {name!r}")
    published = {part: SETS[part].get("lr_urls", {}) for part in entry.get("parts", (name,))}
    if unknown := [scale for scale in scales if not any(scale in urls for urls in published.values())]:
        known = sorted(set().union(*published.values()))
        raise ValueError(f"LR of {name} is published for {known}. Received: {unknown[0]}")
    if "parts" in entry:
        for part, lr_urls in published.items():
            fetch(part, scales=[scale for scale in scales if scale in lr_urls], progress=progress)
        return files.DATA
    folder, kept = files.DATA / name, files.DATA / ".downloads"
    if "urls" not in entry:
        raise ValueError(f"{name} cannot be fetched: {entry['hint'].format(folder=folder)}")
    urls = dict(entry["urls"])
    for scale in scales:
        urls |= published[name][scale]
    record = _read_json(folder / MANIFEST, {"archives": {}, "files": {}})
    for url in [url for url in urls if url not in record["archives"]]:
        file = url.rsplit("/", 1)[1]
        report = progress and (lambda done, total, file=file: progress(file, done, total))
        archive = downloads.download(url, kept / file, checksum=urls[url], progress=report)
        unpacked = files.DATA / f".{uuid.uuid4().hex}"
        try:
            downloads.unpack(archive, unpacked)
            for path in sorted(path for path in unpacked.rglob("*") if path.is_file()):
                place = folder / path.relative_to(unpacked)
                place.parent.mkdir(parents=True, exist_ok=True)
                record["files"][str(path.relative_to(unpacked))] = _sha256(path)
                os.replace(path, place)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
        record["archives"][url] = _sha256(archive)
        _write_json(folder / MANIFEST, record)
        archive.unlink()
    return folder


def check(name):
    """Return the problems of a set on disk, a sentence for each: files that are unreadable, missing or altered."""
    wrong = list(images.problems(photographs(name)).values())
    root = None if name == "sample" else locate(name)
    fetched = _read_json(root / MANIFEST, {"files": {}})["files"] if root else {}
    for file, sha256 in fetched.items():
        if not (root / file).is_file():
            wrong.append(f"{root / file}: missing")
        elif _sha256(root / file) != sha256:
            wrong.append(f"{root / file}: not what was fetched")
    for split, count in SETS.get(name, {}).get("count", {}).items():
        found = len(photographs(name, split))
        if found != count:
            wrong.append(f"{name}: {count} photographs to {split} on must be there. Received: {found}")
    return wrong


def _high(root, scale=None):
    """Return the folder of HR. Where a set crops HR for each scale: that of `scale`, by default the largest."""
    cropped = sorted((root / "HR").glob("X[0-9]"))
    if cropped and scale is None:
        return cropped[-1]
    if cropped and root / "HR" / f"X{scale}" not in cropped:
        raise FileNotFoundError(f"{root / 'HR'} must have a folder for the scale. Received: no X{scale}")
    return next((folder for folder in (root / "HR" / f"X{scale}", root / "HR") if folder.is_dir()), root)


def _parted(paths, split):
    """Hold out the files whose contents hash lowest, so that few change sides when others are added or removed."""
    order = sorted(paths, key=_sha256)
    held_out = set(order[: max(1, len(paths) // HOLD_OUT)])
    chosen = [path for path in paths if (path in held_out) == (split == "test")]
    if not chosen:
        raise ValueError(f"a folder must hold two photographs at least, to train and to test on. Received: {paths[0]}")
    return chosen


def _own():
    return _read_json(files.DATA / OWN, {})


def _read_json(path, default):
    return json.loads(path.read_text()) if path.is_file() else default


def _write_json(path, content):
    files.write_text(path, json.dumps(content, indent=1))


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
