"""A blind forced-choice test: people say which of two results looks more like a photograph.

They see details in pairs, without names, in random order and on random sides. The pairs of a run are kept in
blind/pairs.json, and each sitting in blind/answers-<number>.json, so that a result can be traced to what was seen.
"""

import hashlib
import json
from itertools import product

import numpy as np
import pandas as pd

from srnb import runs
from srnb.data import images
from srnb.evaluation import crops
from srnb.evaluation.scenes import Scene

SIDES = ("left", "right")
QUESTION = "Which looks more like a photograph?"


def scenes(run):
    """Return the scenes that notebook 4 has saved in a run's folder. Raises FileNotFoundError if there are none."""
    found = []
    for folder in sorted((run.folder / "figures" / "scenes").glob("*/")):
        pictures = {path.stem: images.read(path) for path in sorted(folder.glob("*.png"))}
        lr, hr = pictures.pop("LR", None), pictures.pop("HR", None)
        if lr is not None and hr is not None:
            found.append(Scene(folder.name, lr, hr, sr=pictures))
    if not found:
        raise FileNotFoundError(f"{run.folder} must hold figures/scenes: run notebook 4 first")
    return found


def prepare(run, *, models=(), seed=0, details=3, size=160):
    """Draw the pairs of a blind test, write them into the run's folder and return the test as a dict.

    models: two names of results; by default the run's GAN (or its last model) and the model before that (or bicubic).
    details: number of crops per photograph, where the two differ most; `size` is their side in pixels.
    Keys of the test: id, run, models, seed, and pairs, each a dict of image, box (top, left, size) and left, the model
    on that side. Raises ValueError for models that the run's scenes do not have.
    """
    shown = scenes(run)
    known = [name for name in shown[0].sr if all(name in scene.sr for scene in shown)]
    models = list(models) or _contestants(known)
    if len(models) != 2 or len(set(models)) != 2 or not set(models) <= set(known):
        raise ValueError(f"models must be two of {', '.join(known)}. Received: {', '.join(models) or 'none'}")
    random = np.random.default_rng(seed)
    places = [
        (scene.image, list(map(int, box)))
        for scene in shown
        for box in crops.differing_crops(scene, models, size=size, count=details)
    ]
    pairs = [
        {"image": places[place][0], "box": places[place][1], "left": models[int(random.integers(2))]}
        for place in random.permutation(len(places))
    ]
    test = {"run": run.name, "models": models, "seed": seed, "pairs": pairs}
    test = {"id": hashlib.sha256(json.dumps(test).encode()).hexdigest()[:12], **test}
    runs.write_json(run.folder / "blind" / "pairs.json", test)
    return test


def pictures(test, run):
    """Return (left, right), pictures (H, W, 3) in [0, 1], for each pair of a test."""
    by_name = {scene.image: scene for scene in scenes(run)}
    shown = []
    for pair in test["pairs"]:
        sr, part = by_name[pair["image"]].sr, crops.area(pair["box"])
        left, right = (sr[name][part] for name in _sides(pair, test))
        shown.append((left, right))
    return shown


def store(run, answers):
    """Store the answers of one sitting in the run's folder and return the path of the file.

    answers: a dict of id, that of the test, and sides, "left" or "right" for each pair in order; sitting may name it.
    Raises ValueError if they are not answers to the run's pairs or were stored before, FileNotFoundError if the run has
    no pairs.
    """
    test = read(run)
    if not isinstance(answers, dict) or answers.get("id") != test["id"]:
        received = answers.get("id") if isinstance(answers, dict) else type(answers).__name__
        raise ValueError(f"answers must be to the pairs of this run, id {test['id']}. Received: {received}")
    sides = answers.get("sides")
    if not isinstance(sides, list) or len(sides) != len(test["pairs"]) or not set(sides) <= set(SIDES):
        count = len(sides) if isinstance(sides, list) else sides
        raise ValueError(f"answers must be left or right, {len(test['pairs'])} of them. Received: {count}")
    known = _sittings(run)
    kept = {"id": test["id"], "sitting": str(answers.get("sitting") or len(known) + 1), "sides": sides}
    if any(sitting["sitting"] == kept["sitting"] for sitting in known):
        raise ValueError(f"answers must be stored once. Received: those of sitting {kept['sitting']} again")
    path = run.folder / "blind" / f"answers-{len(known) + 1}.json"
    runs.write_json(path, kept | {"stored": runs.now()})
    return path


def read(run):
    """Return the test of a run. Raises FileNotFoundError if none was prepared."""
    path = run.folder / "blind" / "pairs.json"
    if not path.is_file():
        raise FileNotFoundError(f"{run.folder} must hold blind/pairs.json: srnb blind {run.name} draws the pairs")
    return json.loads(path.read_text("utf-8"))


def results(run, *, level=0.95):
    """Return how often the first of the two models was preferred: a frame with a row per photograph and one for all.

    Columns are image, chosen, shown, share, low, high and p. The interval is exact (Clopper and Pearson 1934); p is
    that of a two-sided binomial test against 1/2. Answers to other pairs than the present ones are left out. Without
    answers the frame is empty.
    """
    from scipy import stats  # most of a second, which whoever only imports this package is spared

    test, rows = read(run), []
    first = test["models"][0]
    for sitting, (number, pair) in product(_sittings(run), enumerate(test["pairs"])):
        if sitting["id"] == test["id"]:
            chosen = dict(zip(SIDES, _sides(pair, test), strict=True))[sitting["sides"][number]]
            rows.append({"image": pair["image"], "won": chosen == first})
    frame = pd.DataFrame(rows, columns=["image", "won"])
    groups = [*frame.groupby("image", sort=True), *([("all", frame)] if len(frame) else [])]
    found = []
    for image, own in groups:
        won, shown = int(own["won"].sum()), len(own)
        exact = stats.binomtest(won, shown)
        low, high = exact.proportion_ci(level, method="exact")
        found.append((image, won, shown, won / shown, float(low), float(high), float(exact.pvalue)))
    return pd.DataFrame(found, columns=["image", "chosen", "shown", "share", "low", "high", "p"])


def finding(run):
    """Return the result in a sentence."""
    test, frame = read(run), results(run)
    if frame.empty:
        return "nobody has answered yet"
    first, second = test["models"]
    row = frame.iloc[-1]
    verdict = "unclear" if row["p"] > 0.05 else f"{first if row['share'] > 0.5 else second} is preferred"
    return (
        f"{first} was chosen over {second} {row['chosen']} of {row['shown']} times, {row['share']:.0%} "
        f"[{row['low']:.0%}, {row['high']:.0%}]: {verdict} (p = {row['p']:.2g}). The interval takes answers as "
        "independent; those of few people on few photographs are not quite"
    )


def _contestants(known):
    """Return the two models to compare by default: that of the last stage, and the one before it."""
    order = [name for name in ("gan", "pretrained", "bicubic") if name in known]
    return order[:2] if len(order) > 1 else known[:2]


def _sides(pair, test):
    """Return the models on the left and on the right."""
    first, second = test["models"]
    return (first, second) if pair["left"] == first else (second, first)


def _sittings(run):
    paths = (run.folder / "blind").glob("answers-*.json")
    return [json.loads(path.read_text("utf-8")) for path in sorted(paths)]
