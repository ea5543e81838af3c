"""A fair table: every model on every picture, one row per number, bicubic always among them."""

import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from scipy import ndimage

from srnb import degrade, images, inference, resize
from srnb.metrics import METRICS, measure
from srnb.metrics import grey as to_grey

COLUMNS = ["model", "dataset", "image", "metric", "protocol", "value"]
DEFAULT_METRICS = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lpips_alex", "lr_consistency", "colour_shift")
SPEED = "seconds_per_megapixel"
GREY = {"luma": "a grey file is luma itself", "rgb": "a grey file is made RGB first"}


# Published results at scale 4: (source, protocol, metrics, may they stand beside ours, {model: {set: values}}).
# Our protocol: LR by MATLAB's bicubic; Y of BT.601, border 4, 11x11 SSIM; LPIPS v0.1 with AlexNet on whole pictures.
PUBLISHED = (
    (
        "Wang et al. 2018 (ESRGAN), arXiv 1809.00219, supplement, table 2",
        "Y; border 4; 11x11 SSIM; LR by MATLAB",
        {"psnr_y": True, "ssim_y": True},
        {
            "bicubic": {"Set5": (28.42, 0.8104), "Set14": (26.00, 0.7027), "BSD100": (25.96, 0.6675)},
            "SRCNN": {"Set5": (30.48, 0.8628), "Set14": (27.50, 0.7513), "BSD100": (26.90, 0.7101)},
            "EDSR": {"Set5": (32.46, 0.8968), "Set14": (28.80, 0.7876), "BSD100": (27.71, 0.7420)},
            "RCAN": {"Set5": (32.63, 0.9002), "Set14": (28.87, 0.7889), "BSD100": (27.77, 0.7436)},
            "RRDB, DF2K": {"Set5": (32.73, 0.9011), "Set14": (28.99, 0.7917), "BSD100": (27.85, 0.7455)},
        },
    ),
    (
        "Lim et al. 2017 (EDSR), results in its repository",
        "Y; border 4; 11x11 SSIM; LR by MATLAB",
        {"psnr_y": True, "ssim_y": True},
        {"SRResNet": {"Set5": (32.05, 0.8910), "Set14": (28.53, 0.7804), "BSD100": (27.57, 0.7354)}},
    ),
    (
        "Liang et al. 2021 (SwinIR), table of its repository",
        "Y; border 4; 11x11 SSIM; LR by MATLAB",
        {"psnr_y": True, "ssim_y": True},
        {"SwinIR, DF2K": {"Set5": (32.92, 0.9044), "Set14": (29.09, 0.7950), "BSD100": (27.92, 0.7489)}},
    ),
    (
        "Ledig et al. 2017 (SRGAN), arXiv 1609.04802v5, table 2",
        "Y; border 4; SSIM of daala, a Gaussian as wide as the picture is high: not that of the others",
        {"psnr_y": True, "ssim_y": False},
        {
            "bicubic": {"Set5": (28.43, 0.8211), "Set14": (25.99, 0.7486), "BSD100": (25.94, 0.6935)},
            "SRResNet": {"Set5": (32.05, 0.9019), "Set14": (28.49, 0.8184), "BSD100": (27.58, 0.7620)},
            "SRGAN": {"Set5": (29.40, 0.8472), "Set14": (26.02, 0.7397), "BSD100": (25.16, 0.6688)},
        },
    ),
    (
        "Ma et al. 2020 (SPSR), tables of its repository",
        "Y, border 4; LPIPS alex, whole pictures; grey file made RGB (Set14)",
        {"psnr_y": True, "lpips_alex": True},
        {
            "bicubic": {"Set5": (28.42, 0.3407), "Set14": (26.10, 0.4393), "BSD100": (25.96, 0.5249)},
            "SRGAN, tensorlayer": {"Set5": (29.17, 0.0882), "Set14": (26.17, 0.1663), "BSD100": (25.46, 0.1980)},
            "ESRGAN": {"Set5": (30.45, 0.0748), "Set14": (26.28, 0.1329), "BSD100": (25.32, 0.1614)},
            "SPSR": {"Set5": (30.40, 0.0644), "Set14": (26.64, 0.1318), "BSD100": (25.51, 0.1611)},
        },
    ),
    (
        "BasicSR, model zoo (its authors' re-implementation)",
        "RGB; border 4; SSIM per channel",
        {"psnr_rgb": True, "ssim_rgb": True},
        {
            "MSRResNet": {"Set5": (30.25, 0.8651), "Set14": (26.78, 0.7451)},
            "MSRGAN": {"Set5": (28.02, 0.8087), "Set14": (24.75, 0.6623)},
        },
    ),
    (
        "Park et al. 2023 (SROOE), table 2",
        "PSNR and SSIM probably on RGB, border unknown; LPIPS alex",
        {"psnr_rgb": False, "ssim_rgb": False, "lpips_alex": True},
        {
            "SRGAN": {"BSD100": (24.13, 0.6454, 0.1777)},
            "ESRGAN": {"BSD100": (23.95, 0.6463, 0.1615)},
            "SROOE": {"BSD100": (24.87, 0.6869, 0.1500)},
        },
    ),
)


def bicubic(lr, scale):
    """Return `lr` enlarged by MATLAB's bicubic in 8 bit, the baseline of every table."""
    return images.from_uint8(resize.imresize(images.to_uint8(lr), scale))


def pictures(models, pairs, *, scale, degradation="bicubic", seed=0):
    """Yield for each pair of files a dict of what there is to compare: image, lr, hr, grey, sr and seconds by model.

    `models` is a dict of name -> network or function of `lr`; "bicubic" is put before them. `pairs` are (hr_path,
    lr_path or None); without a path `lr` is made from `hr` by `degradation`. `hr` is cropped to a multiple of the
    scale, never resampled. `sr` is what a file would hold: 8 bit, here as floats in [0, 1]. Raises ValueError when the
    files of a pair do not fit together.
    """
    pairs = [(Path(hr), lr and Path(lr)) for hr, lr in pairs]
    stems = Counter(hr.stem for hr, _ in pairs)
    names = {hr: hr.stem if stems[hr.stem] == 1 else f"{hr.parent.name}/{hr.name}" for hr, _ in pairs}
    methods = {"bicubic": lambda lr: bicubic(lr, scale)}
    for name, model in models.items():
        methods[name] = model if not isinstance(model, keras.Model) else lambda lr, m=model: inference.upscale(m, lr)
    for number, (hr_path, lr_path) in enumerate(pairs):
        hr = resize.crop_to_multiple(images.read(hr_path), scale)
        if lr_path:
            lr = images.read(lr_path)
        else:
            lr = degrade.degrade(images.to_uint8(hr), scale=scale, name=degradation, seed=(seed, number))
            lr = images.from_uint8(lr)
        if hr.shape[:2] != (lr.shape[0] * scale, lr.shape[1] * scale):
            raise ValueError(
                f"{lr_path} must be {hr_path} made {scale} times smaller. Received: {lr.shape}, {hr.shape}"
            )
        sr, seconds = {}, {}
        for name, method in methods.items():
            start = time.perf_counter()
            sr[name] = images.from_uint8(images.to_uint8(method(lr)))
            seconds[name] = time.perf_counter() - start
        grey = any(inference.kind(path)[0] for path in (hr_path, lr_path) if path)
        yield {"image": names[hr_path], "lr": lr, "hr": hr, "grey": grey, "sr": sr, "seconds": seconds}


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


def bootstrap(table, *, reference="bicubic", level=0.95, samples=10000, seed=0):
    """Return how much each model differs from `reference`, with a paired bootstrap interval of the mean difference.

    Images are drawn with replacement, the same for both models. One row per dataset, model and metric: difference, low,
    high, images, and verdict: better, worse, or unclear when the interval holds zero or there is only one image.
    """
    if reference not in set(table["model"]):
        raise ValueError(f"reference must be a model of the table. Received: {reference!r}")
    random, rows = np.random.default_rng(seed), []
    for (dataset, metric), values in table.groupby(["dataset", "metric"], sort=False):
        values = values.pivot(index="image", columns="model", values="value")
        if metric == SPEED or reference not in values:
            continue
        drawn = random.integers(len(values), size=(samples, len(values)))
        for model in [name for name in table["model"].unique() if name in values and name != reference]:
            difference = (values[model] - values[reference]).to_numpy()
            low, high = np.quantile(difference[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
            verdict = "unclear"
            if len(values) > 1 and low * high > 0:
                verdict = "better" if (low > 0) == (METRICS[metric].direction == "higher") else "worse"
            rows.append((dataset, model, metric, difference.mean(), low, high, len(values), verdict))
    columns = ["dataset", "model", "metric", "difference", "low", "high", "images", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def validate(model, *, scenes, metrics=("psnr_y",)):
    """Return the mean of each metric over `scenes`, what `pictures` gave; without a model, that of their bicubic."""
    rows = []
    for scene in scenes:
        lr, hr = scene["lr"], scene["hr"]
        sr = scene["sr"]["bicubic"] if model is None else inference.upscale(model, lr)
        border = hr.shape[0] // lr.shape[0]
        rows.append([measure(metric, sr, hr=hr, lr=lr, border=border) for metric in metrics])
    return dict(zip(metrics, np.mean(rows, axis=0).tolist(), strict=True))


def published(*, datasets=None, scale=4):
    """Return what papers print, tidy: dataset, metric, model, value, comparable, protocol, source.

    `comparable` is False where the protocol is not that of our column of the same name, or is not known: such a value
    may be shown, and must not be ranked. `datasets` keeps these sets only. There is nothing for other scales than 4.
    """
    rows = [
        (dataset, metric, model, value, comparable, protocol, source)
        for source, protocol, metrics, results in PUBLISHED
        for model, sets in results.items()
        for dataset, values in sets.items()
        for (metric, comparable), value in zip(metrics.items(), values, strict=True)
        if scale == 4 and (datasets is None or dataset in datasets)
    ]
    return pd.DataFrame(rows, columns=["dataset", "metric", "model", "value", "comparable", "protocol", "source"])


def marked(published):
    """Return the frame of `published` to be read: a column per metric, in parentheses what must not be compared."""
    text = published["value"].map("{:g}".format).where(published["comparable"], published["value"].map("({:g})".format))
    index = ["dataset", "source", "protocol", "model"]
    return published.assign(value=text).pivot(index=index, columns="metric", values="value").fillna("")


def plane(table, *, dataset, perception="lpips_alex", distortion="psnr_y"):
    """Return perception against distortion of each model on a dataset: a frame with columns `perception` and "rmse".

    RMSE is the root of the mean over images of the mean squared error, in grey levels (PIRM 2018), from the PSNR.
    """
    table = table[table["dataset"] == dataset]
    values = table.pivot_table(index=["model", "image"], columns="metric", values="value", sort=False)
    squared = 255**2 / 10 ** (values[distortion] / 10)
    by_model = {"rmse": squared.groupby("model", sort=False).mean() ** 0.5}
    return pd.DataFrame(by_model | {perception: values[perception].groupby("model", sort=False).mean()})


def differing_crops(picture, *, size=96, count=2):
    """Return `count` separate boxes (top, left, size), in pixels of `hr`, where the models of a picture differ most."""
    spread = np.stack([sr.mean(axis=-1) for sr in picture["sr"].values()]).std(axis=0)
    return _peaks(spread, size, count)


def failing_crops(picture, model, *, reference="bicubic", size=96, count=2):
    """Return `count` separate boxes (top, left, size), in pixels of `hr`, where `model` errs more than `reference`."""
    errors = [((picture["sr"][name] - picture["hr"]) ** 2).mean(axis=-1) for name in (model, reference)]
    return _peaks(errors[0] - errors[1], size, count)


def _peaks(values, size, count):
    """Return the boxes of `size` pixels with the highest mean, each away from those before it."""
    height, width = values.shape
    size = min(size, height, width)
    means = ndimage.uniform_filter(values, size, mode="constant")
    means = means[size // 2 : size // 2 + height - size + 1, size // 2 : size // 2 + width - size + 1]
    boxes = []
    for _ in range(count):
        top, left = np.unravel_index(means.argmax(), means.shape)
        boxes.append((int(top), int(left), size))
        means[max(top - size, 0) : top + size, max(left - size, 0) : left + size] = -np.inf
    return boxes
