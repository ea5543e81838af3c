"""The page: networks, engine and interface as one piece of HTML that asks for nothing."""

import base64
import gzip
import json
from functools import cache
from pathlib import Path

import jinja2

from srnb import files
from srnb.reports.web import kernel

FOLDER = Path(__file__).parent
LARGEST = 4_000_000  # bytes of a page that its networks may take in a report, which must fit into a mail
SOURCES = {"try-engine": "engine.js", "try-png": "png.js", "try-picture": "picture.js"}


def section(networks, *, lead):
    """Return the HTML in which readers try `networks`, each {"title", "note", "ends": {name: network}}.

    A network with two ends gets a slider between them. Raises ValueError with the reason where one cannot run there.
    """
    entries, assets = [], {}
    for number, entry in enumerate(networks):
        description, weights = _encoded(entry)
        ends = []
        for name, packed in zip(entry["ends"], weights, strict=True):
            key = f"try-weights-{number}-{len(ends)}"
            assets[key] = packed
            ends.append({"name": name, "weights": key})
        entries.append({**description, "title": entry["title"], "note": entry["note"], "ends": ends})
    sources = {key: (FOLDER / name).read_text("utf-8") for key, name in SOURCES.items()}
    kernels = {f"try-{Path(name).stem}": _packed((FOLDER / name).read_bytes()) for name in kernel.FILES}
    return _template("section.html.j2").render(
        lead=lead,
        networks=json.dumps(entries, separators=(",", ":")).replace("<", "\\u003c"),
        assets=sources | kernels | assets,
        style=(FOLDER / "style.css").read_text("utf-8"),
        script=(FOLDER / "page.js").read_text("utf-8"),
    )


def write(folder, networks, *, title, lead, notes=()):
    """Write folder/index.html, a page of its own, and return its path."""
    page = _template("page.html.j2").render(title=title, section=section(networks, lead=lead), notes=notes)
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
def _template(name):
    loader = jinja2.FileSystemLoader(FOLDER)
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template(name)
