"""A fair table: every model on every picture, one row per number, bicubic always among them."""

import numpy as np
import pandas as pd

from srnb.evaluation.metrics import METRICS, measure
from srnb.evaluation.metrics import grey as to_grey
from srnb.evaluation.scenes import pictures

COLUMNS = ["model", "dataset", "image", "metric", "protocol", "value"]
DEFAULT_METRICS = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lpips_alex", "lr_consistency", "colour_shift")
SPEED = "seconds_per_megapixel"
GREY = {"luma": "a grey file is luma itself", "rgb": "a grey file is made RGB first"}


def tabulate(pictures, *, dataset, metrics=DEFAULT_METRICS, border=None, grey="luma"):
    """Measure what `pictures` gives: a tidy frame with one row per model, image and metric.

    `border` is the scale if not given, as in the papers. `grey` says what a grey file counts as: "luma", as in MATLAB,
    or "rgb", as in most deep-learning code (Set14 has one such file; the mean differs by 0.09 dB).
    """
    if grey not in GREY:
        raise ValueError(f"grey must be one of {', '.join(GREY)}. Received: {grey!r}")
    rows = []
    for picture in pictures:
        lr, hr = picture["lr"], picture["hr"]
        edge = hr.shape[0] // lr.shape[0] if border is None else border
        as_luma = picture["grey"] and grey == "luma"
        note = f"; {GREY[grey]}" if picture["grey"] else ""
        for model, sr in picture["sr"].items():
            row = {"model": model, "dataset": dataset, "image": picture["image"]}
            shown = [to_grey(each) if as_luma else each for each in (sr, hr, lr)]
            for metric in metrics:
                value = measure(metric, shown[0], hr=shown[1], lr=shown[2], border=edge)
                protocol = METRICS[metric].protocol.format(border=edge) + note
                rows.append(row | {"metric": metric, "protocol": protocol, "value": value})
            speed = picture["seconds"][model] / (hr.shape[0] * hr.shape[1] / 1e6)
            rows.append(row | {"metric": SPEED, "protocol": METRICS[SPEED].protocol, "value": speed})
    return pd.DataFrame(rows, columns=COLUMNS)


def evaluate(models, pairs, *, scale, metrics=DEFAULT_METRICS, dataset, border=None, grey="luma", **options):
    """Return the tidy frame of `tabulate` for `models` on `pairs`; `options` are those of `pictures`."""
    shown = pictures(models, pairs, scale=scale, **options)
    return tabulate(shown, dataset=dataset, metrics=metrics, border=border, grey=grey)


def summary(table):
    """Return the mean over the images of each dataset: one row per dataset and model, one column per metric.

    Of the time it is the median: the first picture of a size also pays for compiling.
    """
    arrange = {"index": ["dataset", "model"], "columns": "metric", "values": "value", "sort": False}
    means = table.pivot_table(**arrange)
    if SPEED in means:
        means[SPEED] = table.pivot_table(**arrange, aggfunc="median")[SPEED]
    return means[table["metric"].unique()]


def validate(model, *, scenes, metrics=("psnr_y",)):
    """Return the mean of each metric over `scenes`, what `pictures` gave; without a model, that of their bicubic."""
    from srnb.evaluation import inference

    rows = []
    for scene in scenes:
        lr, hr = scene["lr"], scene["hr"]
        sr = scene["sr"]["bicubic"] if model is None else inference.upscale(model, lr)
        border = hr.shape[0] // lr.shape[0]
        rows.append([measure(metric, sr, hr=hr, lr=lr, border=border) for metric in metrics])
    return dict(zip(metrics, np.mean(rows, axis=0).tolist(), strict=True))


def plane(table, *, dataset, perception="lpips_alex", distortion="psnr_y"):
    """Return perception against distortion of each model on a dataset: a frame with columns `perception` and "rmse".

    RMSE is the root of the mean over images of the mean squared error, in grey levels (PIRM 2018), from the PSNR.
    """
    table = table[table["dataset"] == dataset]
    values = table.pivot_table(index=["model", "image"], columns="metric", values="value", sort=False)
    squared = 255**2 / 10 ** (values[distortion] / 10)
    by_model = {"rmse": squared.groupby("model", sort=False).mean() ** 0.5}
    return pd.DataFrame(by_model | {perception: values[perception].groupby("model", sort=False).mean()})
