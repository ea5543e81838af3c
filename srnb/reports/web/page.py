"""The page: networks, engine and user interface as one self-contained piece of HTML."""

import base64
import gzip
import io
import json
from functools import cache
from pathlib import Path

import jinja2
from PIL import Image

from srnb import files
from srnb.data import datasets
from srnb.reports import embedded
from srnb.reports.web import choices, kernel

FOLDER = Path(__file__).parent
LARGEST = 3_000_000  # bytes that networks may take in a report, which must fit into a mail: 8 MB for the sample run
LARGEST_DEMO = 4_500_000  # the same in a page of its own where nobody has named them, so that it stays below 5 MB
SOURCES = {"try-engine": "engine.js", "try-png": "png.js", "try-picture": "picture.js"}


def section(entries, *, lead, heading="", largest=None):
    """Return the HTML in which readers try networks; `entries` are those of `choices`, the first one is selected.

    An entry with two ends gets a slider between them. Raises ValueError, with the reason, if a network cannot run in a
    page, or if the first takes more than `largest` bytes; others for which there is no room are left out, and named.
    """
    packed, described, left_out = {}, [], []  # packed: weights -> id; networks that share an end share its bytes
    for entry in entries:
        description, weights = _encoded(entry)
        size = sum(map(len, {*packed, *weights}))
        if largest and size > largest:
            if described:
                left_out.append(entry["title"])
                continue
            raise ValueError(f"the weights would take {size / 1e6:.1f} MB of the page, {largest / 1e6:.1f} MB at most")
        ids = [packed.setdefault(end, f"try-weights-{len(packed)}") for end in weights]
        ends = [{"name": name, "weights": id} for name, id in zip(entry["ends"], ids, strict=True)]
        described.append({**description, "title": entry["title"], "note": entry["note"], "ends": ends})
    sources = {id: (FOLDER / name).read_text("utf-8") for id, name in SOURCES.items()}
    kernels = {f"try-{Path(name).stem}": _packed((FOLDER / name).read_bytes()) for name in kernel.FILES}
    return _template("section.html.j2").render(
        heading=heading,
        lead=lead,
        left_out=left_out,
        example=_example(),
        networks=json.dumps(described, separators=(",", ":")).replace("<", "\\u003c"),
        assets=sources | kernels | {id: text for text, id in packed.items()},
        style=(FOLDER / "style.css").read_text("utf-8"),
        script=(FOLDER / "page.js").read_text("utf-8"),
    )


def trial(run, *, shipped=False):
    """Return the section of a report in which readers try the run's networks, or a sentence that says why they cannot.

    shipped: whether the networks that ship are added, as many as fit.
    """
    heading = "Try it on your own photo"
    try:
        entries = [choices.of_run(run), *(choices.of_shipped() if shipped else [])]
        lead = f"The networks of run {run.name} enlarge it here."
        return section(entries, lead=lead, heading=heading, largest=LARGEST)
    except (ValueError, OSError) as error:
        return _template("absent.html.j2").render(heading=heading, reason=error)


def write(folder, entries, *, title, lead, largest=None):
    """Write folder/index.html, a standalone page, and return its path. `largest` as in `section`."""
    content = section(entries, lead=lead, largest=largest)
    page = _template("page.html.j2").render(title=title, section=content)
    path = Path(folder) / "index.html"
    files.write_text(path, page)
    return path


def _encoded(entry):
    from srnb.reports.web import network

    try:
        description, weights = network.encode(list(entry["ends"].values()))
    except ValueError as error:
        raise ValueError(f"{entry['title']} cannot run in a page: {error}") from error
    return description, [_packed(end) for end in weights]


def _packed(content):
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


@cache
def _example():
    """Return a small JPEG picture, a photograph of the sample at half its size, as a data address."""
    content = io.BytesIO()
    with Image.open(datasets.photographs("sample", "test")[0]) as picture:
        picture.convert("RGB").reduce(2).save(content, "JPEG", quality=80)
    return embedded.address(content.getvalue(), "image/jpeg")


@cache
def _template(name):
    loader = jinja2.FileSystemLoader(FOLDER)
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template(name)
