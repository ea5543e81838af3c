"""What papers print for the benchmark sets, with the protocol of each value: it decides what may be compared."""

import pandas as pd

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


def published_values(*, datasets=None, scale=4):
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
    """Return the frame of `published_values` to be read: a column per metric, what must not be compared in ()."""
    text = published["value"].map("{:g}".format).where(published["comparable"], published["value"].map("({:g})".format))
    index = ["dataset", "source", "protocol", "model"]
    return published.assign(value=text).pivot(index=index, columns="metric", values="value").fillna("")
