"""The networks that a page offers: entries with title, note and one or two `ends`, name -> network."""

import os

from srnb import shipped


def of_run(run):
    """Return the entry of a run: its generator, or both of its generators, which the reader can blend.

    Raises FileNotFoundError or ValueError if there is none.
    """
    files = run.generators()
    if not files:
        raise FileNotFoundError(f"a run must have trained a generator. Received: {run.folder}")
    _quiet(run.read().get("backend"))
    from srnb.evaluation import inference

    ends = {stage: inference.load(file) for stage, file in files.items()}
    return {"title": run.name, "note": "", "ends": ends}


def of_shipped(names=None):
    """Return the entries of networks that ship, by default all, those for real photographs first.

    A network that was trained from another one has that as its first end. Raises ValueError for a name that does not
    ship.
    """
    chosen, networks, entries = shipped.names() if names is None else names, {}, []
    cards = {name: shipped.card(name) for name in chosen}
    _quiet(None)
    from srnb.evaluation import inference

    if names is None:  # LR made by bicubic is too clean to be anyone's own
        cards = dict(sorted(cards.items(), key=lambda item: item[1]["degradation"]["name"] == "bicubic"))
    for name, card in cards.items():
        start = shipped.origin(name) if shipped.origin(name) in cards else None
        for end in filter(None, (start, name)):
            networks.setdefault(end, inference.load(end))
        ends = {end: networks[end] for end in filter(None, (start, name))}
        entries.append({"title": name, "note": card["summary"], "ends": ends})
    return entries


def _quiet(backend):
    """Choose Keras' backend unless that is done, and let it log errors only."""
    os.environ.setdefault("KERAS_BACKEND", backend or "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
