"""A fair table: every model on every picture, one row per number, bicubic always among them."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pandas as pd

from srnb import progress, provenance, runs
from srnb.evaluation.metrics import COSTS, METRICS, WITHOUT_ORIGINAL, measure, require
from srnb.evaluation.metrics import grey as to_grey
from srnb.evaluation.scenes import naming, upscale_pairs

COLUMNS = ["model", "dataset", "image", "metric", "protocol", "value"]
DEFAULT_METRICS = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lpips_alex", "lr_consistency", "colour_shift")
SMALLEST = {"lpips_alex": 31, "lpips_vgg": 16}  # pixels a side; TensorFlow ends the process where maps become empty
GREY = {"luma": "a grey file is luma itself", "rgb": "a grey file is made RGB first"}


def tabulate(scenes, *, dataset, metrics=DEFAULT_METRICS, border=None, grey="luma"):
    """Measure scenes: return a tidy frame with one row per model, image and metric.

    border: pixels to crop on each side, by default the scale, as in the papers. grey: how a grey file is treated, as
    "luma" like in MATLAB, or as "rgb" like in most deep-learning code (Set14 has one, which changes its mean by
    0.09 dB). Raises ValueError, with the image, if one is too small for a metric, or has no original and it needs one.
    """
    if grey not in GREY:
        raise ValueError(f"grey must be one of {', '.join(GREY)}. Received: {grey!r}")
    for metric in metrics:
        require(metric)
    rows, waiting = [], deque()
    with ThreadPoolExecutor(provenance.cores()) as pool:
        for scene in scenes:
            waiting.append(_measured(pool, scene, metrics, scene.scale if border is None else border, grey))
            if len(waiting) > 1:  # the next scene is made while this one is measured, and no more are kept
                rows += _values(waiting.popleft())
        while waiting:
            rows += _values(waiting.popleft())
    return pd.DataFrame([{"dataset": dataset} | row for row in rows], columns=COLUMNS)


def _measured(pool, scene, metrics, border, grey):
    """Return the rows of a scene, most of them with a future for a value: what needs no network is left to threads."""
    as_luma = scene.grey and grey == "luma"
    note = f"; {GREY[grey]}" if scene.grey else ""
    lr, *pictures = (to_grey(each) if as_luma else each for each in (scene.lr, *scene.sr.values()))
    hr = to_grey(scene.hr) if as_luma and scene.hr is not None else scene.hr
    height, width = pictures[0].shape[:2]
    for metric in metrics:
        if hr is None and METRICS[metric].original:
            known = " or ".join(METRICS[name].name for name in WITHOUT_ORIGINAL)
            raise ValueError(
                f"{scene.image}: where there is no original, a metric must be {known}. Received: {METRICS[metric].name}"
            )
        if min(height, width) < SMALLEST.get(metric, 0):
            raise ValueError(
                f"{scene.image}: for {METRICS[metric].name} a picture must be at least {SMALLEST[metric]} pixels high "
                f"and wide. Received: {width}x{height}"
            )
    values = {}
    for metric in metrics:
        if not METRICS[metric].each:
            values[metric] = [pool.submit(measure, metric, sr, hr=hr, lr=lr, border=border) for sr in pictures]
    for metric in metrics:
        if METRICS[metric].each:
            with naming(scene.image):
                values[metric] = METRICS[metric].each(pictures, hr)
    protocols = {metric: METRICS[metric].protocol.format(border=border) + note for metric in metrics}
    return [
        {
            "model": model,
            "image": scene.image,
            "metric": metric,
            "protocol": protocols[metric],
            "value": values[metric][i],
        }
        for i, model in enumerate(scene.sr)
        for metric in metrics
    ]


def _values(rows):
    """Return rows with the values of their futures."""
    for row in rows:
        if isinstance(row["value"], Future):
            with naming(row["image"]):
                row["value"] = row["value"].result()
    return rows


def evaluate(models, pairs, *, scale, metrics=DEFAULT_METRICS, dataset, border=None, grey="luma", **options):
    """Return the tidy frame of `tabulate` for `models` on `pairs`; `options` are those of `upscale_pairs`."""
    scenes = upscale_pairs(models, pairs, scale=scale, **options)
    return tabulate(scenes, dataset=dataset, metrics=metrics, border=border, grey=grey)


def summary(table, *, by=("dataset", "model")):
    """Return means over images: a row per dataset and model, or whatever `by` names, a column per metric."""
    means = table.pivot_table(index=list(by), columns="metric", values="value", sort=False)
    return means[table["metric"].unique()]


def quality_and_costs(means):
    """Part a frame of `summary`: means by dataset and model, and costs, the same on every dataset, by model."""
    known = [name for name in COSTS if name in means]
    return means.drop(columns=known), means[known].groupby(level="model", sort=False).first()


def readable(means):
    """Return a frame of `summary` as text: metrics under their names and units, costs with four figures."""
    names = {name: f"{METRICS[name].name} ({METRICS[name].unit})".replace(" ()", "") for name in means.columns}
    texts = {
        names[name]: means[name].map(("{:.4g}" if name in COSTS else "{:.4f}").format, na_action="ignore").fillna("–")
        for name in means.columns
    }
    return pd.DataFrame(texts)


def by_image(table, metric, *, reference="bicubic"):
    """Return one metric for every photograph: a column per model, and the difference of the last from `reference`.

    Rows are sorted by this difference, the largest gain first.
    """
    rows = table[table["metric"] == metric]
    values = rows.pivot(index="image", columns="model", values="value")[rows["model"].unique()]
    difference = values.iloc[:, -1] - values[reference]
    values = values.rename_axis(index=None, columns=None).assign(difference=difference)
    return values.sort_values("difference", ascending=METRICS[metric].direction == "lower")


def validate(model, *, scenes, metrics=("psnr_y",)):
    """Return {metric: mean over scenes} of a model, or of bicubic if `model` is None."""
    from srnb.evaluation import inference

    rows = []
    for scene in progress.track(scenes, "validating", unit="photographs"):
        sr = scene.sr["bicubic"] if model is None else inference.upscale(model, scene.lr)
        progress.phase(f"measuring {', '.join(METRICS[metric].name for metric in metrics)}")
        rows.append([measure(metric, sr, hr=scene.hr, lr=scene.lr, border=scene.scale) for metric in metrics])
    return dict(zip(metrics, np.mean(rows, axis=0).tolist(), strict=True))


def plane(table, *, dataset, perception="lpips_alex", distortion="psnr_y"):
    """Return the perception-distortion plane of a dataset: a row per model, columns "rmse" and `perception`.

    RMSE is the root of the mean over images of the mean squared error, in grey levels, computed from the PSNR (PIRM
    2018).
    """
    table = table[table["dataset"] == dataset]
    values = table.pivot_table(index=["model", "image"], columns="metric", values="value", sort=False)
    squared = 255**2 / 10 ** (values[distortion] / 10)
    by_model = {"rmse": squared.groupby("model", sort=False).mean() ** 0.5}
    return pd.DataFrame(by_model | {perception: values[perception].groupby("model", sort=False).mean()})


def cost_plane(table, published, *, cost="multiply_adds", quality="psnr_y"):
    """Return quality against cost: a row per model and dataset, columns dataset, model, cost, quality, published.

    table: a frame of `tabulate` with the rows of `costs.measure`. published: the frame of `published_values`, whose
    comparable values of models with a known cost are taken, also on sets that only papers have measured. The cost of
    bicubic is NaN.
    """
    means = summary(table).reindex(columns=[cost, quality]).dropna(subset=[quality]).reset_index()
    ours = means.rename(columns={cost: "cost", quality: "quality"}).assign(published=False)
    theirs = published[(published["metric"] == quality) & published["comparable"].astype(bool)]
    theirs = theirs.assign(model=theirs["model"].str.split(",").str[0])  # what they were trained on left out
    theirs = theirs.drop_duplicates(["dataset", "model"]).dropna(subset=[cost])
    theirs = theirs.rename(columns={cost: "cost", "value": "quality"}).assign(published=True)
    columns = ["dataset", "model", "cost", "quality", "published"]
    return pd.concat([each[columns] for each in (ours, theirs) if len(each)], ignore_index=True)


def undominated(points):
    """Return the models of `plane` on the Pareto front: no other is as good in both columns and better in one."""
    values = points.to_numpy()
    beaten = [((values <= value).all(axis=1) & (values < value).any(axis=1)).any() for value in values]
    return points.index[~np.array(beaten)].tolist()


def in_words(frame):
    """Return a frame of text styled for a notebook: aligned to the left, markup in names escaped."""
    left = [{"selector": "th, td", "props": "text-align: left"}]
    shown = frame.style.format(escape="html").set_table_styles(left)
    return shown.format_index(escape="html").format_index(axis="columns", escape="html")


def collect(results):
    """Return a frame with a row per run under `results`, including the `summary` of its metrics.

    A run with a damaged record has a row that says so; damaged metrics are left out and named in its status.
    """
    rows = []
    for run in runs.find(results):
        record = run.read()
        row = {
            "run": run.name,
            "status": "done" if run.is_done else record.get("status", "unfinished"),
            "started": record.get("started"),
            "seconds": record.get("seconds"),
            "peak_memory_gib": record.get("peak_memory_gib"),
            "preset": record.get("preset"),
            "backend": record.get("backend"),
            "device": record.get("device"),
            "commit": (record.get("git") or {}).get("commit"),
        }
        if (run.folder / "metrics.csv").is_file():
            try:
                row |= {" ".join(key): value for key, value in summary(run.metrics()).stack().dropna().items()}
            except ValueError:
                row["status"] += ", metrics.csv damaged"
        rows.append(row)
    rows += [{"run": name, "status": "damaged"} for name in runs.damaged(results)]
    return pd.DataFrame(rows)
