"""What papers report for the benchmark sets, with the protocol of each value, which decides what may be compared."""

import math

import pandas as pd

SETS = ("Set5", "Set14", "BSD100", "Urban100", "Manga109")
TOLERANCE = {"psnr_y": 0.025, "ssim_y": 0.0015}  # papers round Y to integers or do not, and say so nowhere


def _five(*values):
    return dict(zip(SETS, values, strict=False))


Y = "Y; border {scale}; 11x11 SSIM; LR by MATLAB"
BOTH = {"psnr_y": True, "ssim_y": True}
# Published results at three scales: (source, protocol, metrics, may they stand beside ours, {model: {set: values}}).
# Our protocol: LR by MATLAB's bicubic; Y of BT.601, border of the scale, 11x11 SSIM; LPIPS v0.1 with AlexNet on whole
# pictures. SwinIR's paper says nothing of its protocol: at scale 4 its RCAN is that of RCAN's own table, as VDSR and
# EDSR of AdderSR's table are those of theirs.
X2 = (
    (
        *("Tai et al. 2017 (DRRN)", Y, BOTH),
        {"bicubic": _five((33.66, 0.9299), (30.24, 0.8688), (29.56, 0.8431), (26.88, 0.8403))},
    ),
    (
        *("Song et al. 2020 (AdderSR), table of AdderNet's repository", Y, BOTH),
        {
            "VDSR": _five((37.53, 0.9587), (33.03, 0.9124), (31.90, 0.8960), (30.76, 0.9140)),
            "EDSR": _five((38.11, 0.9601), (33.92, 0.9195), (32.32, 0.9013), (32.93, 0.9351)),
        },
    ),
    (
        *("Liang et al. 2021 (SwinIR), arXiv 2108.10257, tables 2 and 3", Y, BOTH),
        {
            "RCAN": _five((38.27, 0.9614), (34.12, 0.9216), (32.41, 0.9027), (33.34, 0.9384), (39.44, 0.9786)),
            "SwinIR, DIV2K": _five((38.35, 0.9620), (34.14, 0.9227), (32.44, 0.9030), (33.40, 0.9393), (39.60, 0.9792)),
            "SwinIR, DF2K": _five((38.42, 0.9623), (34.46, 0.9250), (32.53, 0.9041), (33.81, 0.9427), (39.92, 0.9797)),
            "CARN": _five((37.76, 0.9590), (33.52, 0.9166), (32.09, 0.8978), (31.92, 0.9256), (38.36, 0.9765)),
            "SwinIR light": _five((38.14, 0.9611), (33.86, 0.9206), (32.31, 0.9012), (32.76, 0.9340), (39.12, 0.9783)),
        },
    ),
)
X3 = (
    (
        *("Tai et al. 2017 (DRRN)", Y, BOTH),
        {"bicubic": _five((30.39, 0.8682), (27.55, 0.7742), (27.21, 0.7385), (24.46, 0.7349))},
    ),
    (
        *("Song et al. 2020 (AdderSR), table of AdderNet's repository", Y, BOTH),
        {
            "VDSR": _five((33.66, 0.9213), (29.77, 0.8314), (28.82, 0.7976), (27.14, 0.8279)),
            "EDSR": _five((34.65, 0.9282), (30.52, 0.8462), (29.25, 0.8093), (28.80, 0.8653)),
        },
    ),
    (
        *("Liang et al. 2021 (SwinIR), arXiv 2108.10257, tables 2 and 3", Y, BOTH),
        {
            "RCAN": _five((34.74, 0.9299), (30.65, 0.8482), (29.32, 0.8111), (29.09, 0.8702), (34.44, 0.9499)),
            "SwinIR, DIV2K": _five((34.89, 0.9312), (30.77, 0.8503), (29.37, 0.8124), (29.29, 0.8744), (34.74, 0.9518)),
            "SwinIR, DF2K": _five((34.97, 0.9318), (30.93, 0.8534), (29.46, 0.8145), (29.75, 0.8826), (35.12, 0.9537)),
            "CARN": _five((34.29, 0.9255), (30.29, 0.8407), (29.06, 0.8034), (28.06, 0.8493), (33.50, 0.9440)),
            "SwinIR light": _five((34.62, 0.9289), (30.54, 0.8463), (29.20, 0.8082), (28.66, 0.8624), (33.98, 0.9478)),
        },
    ),
)
X4 = (
    (
        *("Wang et al. 2018 (ESRGAN), arXiv 1809.00219, supplement, table 2", Y, BOTH),
        {
            "bicubic": _five((28.42, 0.8104), (26.00, 0.7027), (25.96, 0.6675), (23.14, 0.6577), (24.89, 0.7866)),
            "SRCNN": _five((30.48, 0.8628), (27.50, 0.7513), (26.90, 0.7101), (24.52, 0.7221), (27.58, 0.8555)),
            "MemNet": _five((31.74, 0.8893), (28.26, 0.7723), (27.40, 0.7281), (25.50, 0.7630), (29.42, 0.8942)),
            "EDSR": _five((32.46, 0.8968), (28.80, 0.7876), (27.71, 0.7420), (26.64, 0.8033), (31.02, 0.9148)),
            "RDN": _five((32.47, 0.8990), (28.81, 0.7871), (27.72, 0.7419), (26.61, 0.8028), (31.00, 0.9151)),
            "RCAN": _five((32.63, 0.9002), (28.87, 0.7889), (27.77, 0.7436), (26.82, 0.8087), (31.22, 0.9173)),
            "RRDB, DIV2K": _five((32.60, 0.9002), (28.88, 0.7896), (27.76, 0.7432), (26.73, 0.8072), (31.16, 0.9164)),
            "RRDB, DF2K": _five((32.73, 0.9011), (28.99, 0.7917), (27.85, 0.7455), (27.03, 0.8153), (31.66, 0.9196)),
        },
    ),
    (
        *("Lim et al. 2017 (EDSR), results in its repository", Y, BOTH),
        {"SRResNet": _five((32.05, 0.8910), (28.53, 0.7804), (27.57, 0.7354), (26.07, 0.7839))},
    ),
    (
        *("Tai et al. 2017 (DRRN)", Y, BOTH),
        {
            "VDSR": _five((31.35, 0.8838), (28.01, 0.7674), (27.29, 0.7251), (25.18, 0.7524)),
            "DRCN": _five((31.53, 0.8854), (28.02, 0.7670), (27.23, 0.7233), (25.14, 0.7510)),
            "DRRN": _five((31.68, 0.8888), (28.21, 0.7720), (27.38, 0.7284), (25.44, 0.7638)),
        },
    ),
    (
        *("Zhang et al. 2018 (RCAN)", Y, BOTH),
        {"LapSRN": _five((31.54, 0.8850), (28.19, 0.7720), (27.32, 0.7270), (25.21, 0.7560))},
    ),
    (
        *("Liang et al. 2021 (SwinIR), table of its repository", Y, BOTH),
        {
            "SwinIR, DIV2K": _five((32.72, 0.9021), (28.94, 0.7914), (27.83, 0.7459), (27.07, 0.8164), (31.67, 0.9226)),
            "SwinIR, DF2K": _five((32.92, 0.9044), (29.09, 0.7950), (27.92, 0.7489), (27.45, 0.8254), (32.03, 0.9260)),
        },
    ),
    (
        *("Liang et al. 2021 (SwinIR), arXiv 2108.10257, table 3", Y, BOTH),
        {
            "CARN": _five((32.13, 0.8937), (28.60, 0.7806), (27.58, 0.7349), (26.07, 0.7837), (30.47, 0.9084)),
            "SwinIR light": _five((32.44, 0.8976), (28.77, 0.7858), (27.69, 0.7406), (26.47, 0.7980), (30.92, 0.9151)),
        },
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
PUBLISHED = {2: X2, 3: X3, 4: X4}


# What published networks cost: their spec in the zoo, and at scales 2, 3, 4 its parameters in thousands and its
# multiply-adds in 10⁹ for a result of 1280x720, as `models.cost` counts them (a test does). VDSR and DRRN enlarge Y.
NETWORKS = {
    "VDSR": ("vdsr", (665.921, 612.6), (665.921, 612.6), (665.921, 612.6)),
    "DRRN": ("drrn", (323.332, 6796.9), (323.332, 6796.9), (323.332, 6796.9)),
    "SRResNet": ("srresnet", (1407.107, 332.2), (1591.747, 174.5), (1554.883, 127.8)),
    "EDSR": ("edsr", (40729.603, 9384.7), (43680.003, 4476.5), (43089.923, 2894.5)),
    "RCAN": ("rcan", (15444.643, 3526.8), (15629.283, 1587.2), (15592.355, 916.9)),
    "RRDB": ("rrdb", (16661.059, 3887.8), (16661.059, 1766.5), (16697.987, 1032.6)),
}
SAME = {"SRGAN": "SRResNet", "ESRGAN": "RRDB"}  # generators of these names are those networks
# Networks that the zoo lacks, as table 3 of SwinIR's paper has them, in the same units and order. Of SwinIR itself it
# has the parameters alone, 11.8 million, and says so of no scale.
STATED = {
    "CARN": ((1592, 222.8), (1592, 118.8), (1592, 90.9)),
    "SwinIR light": ((878, 195.6), (886, 87.2), (897, 49.6)),
}


def _cost(model, scale):
    """Return parameters and multiply-adds of a published model, NaN if unknown."""
    name = model.partition(",")[0]
    network = NETWORKS.get(SAME.get(name, name), ("", *STATED[name]) if name in STATED else ())
    return network[scale - 1] if network and 2 <= scale <= 4 else (math.nan, math.nan)


def published_values(*, datasets=None, scale=4):
    """Return published values as a tidy frame: dataset, metric, model, value, comparable, protocol, source, and costs.

    `comparable` is False if the protocol is unknown or differs from that of our column of the same name: such a value
    may be shown but not ranked. The costs are `parameters` and `multiply_adds` in the units of `metrics.METRICS`, known
    for the models in NETWORKS and STATED. datasets: the sets to return, by default all.
    """
    rows = [
        (dataset, metric, model, value, comparable, protocol.format(scale=scale), source, *_cost(model, scale))
        for source, protocol, metrics, results in PUBLISHED.get(scale, ())
        for model, sets in results.items()
        for dataset, values in sets.items()
        for (metric, comparable), value in zip(metrics.items(), values, strict=True)
        if datasets is None or dataset in datasets
    ]
    columns = ["dataset", "metric", "model", "value", "comparable", "protocol", "source", "parameters", "multiply_adds"]
    return pd.DataFrame(rows, columns=columns)


def checked(published, table):
    """Return the frame of `published_values` with comparable set to False for sets that our bicubic does not reproduce.

    In PSNR and SSIM on Y, the bicubic of `table`, a frame of `tabulate`, must equal the published one of the set within
    TOLERANCE; otherwise LR, crop or pictures differ from theirs, and no value of the set may be compared with ours.
    """
    ours = table[table["model"] == "bicubic"].groupby(["dataset", "metric"])["value"].mean()
    refused = set()
    for (dataset, metric), rows in published[published["comparable"].astype(bool)].groupby(["dataset", "metric"]):
        theirs = rows.loc[(rows["model"] == "bicubic") & ~rows["protocol"].str.contains("grey file"), "value"]
        near = (theirs - ours.get((dataset, metric), float("nan"))).abs() <= TOLERANCE.get(metric, 0)
        if metric in TOLERANCE and not (len(near) and near.all()):
            refused.add((dataset, metric))
    keys = zip(published["dataset"], published["metric"], published["comparable"], strict=True)
    return published.assign(comparable=[bool(comparable) and tuple(key) not in refused for *key, comparable in keys])


def marked(published):
    """Return the frame of `published_values` as text: a column per metric, values that must not be compared in ()."""
    text = published["value"].map("{:g}".format).where(published["comparable"], published["value"].map("({:g})".format))
    index = ["dataset", "source", "protocol", "model"]
    return published.assign(value=text).pivot(index=index, columns="metric", values="value").fillna("")
