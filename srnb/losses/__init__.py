"""Training losses: functions of arrays that return one float32 scalar, a mean over everything unless stated otherwise.

Images are RGB, NHWC, in [0, 1]; `sr` may leave the range, since nothing is clipped inside a training graph. A loss is
computed in float32 whatever the precision of its inputs.
Content losses take `(hr, sr)`. Adversarial losses share one signature on logits, `(real_logits, fake_logits) ->
(generator_loss, discriminator_loss)`, so the training step is the same for all of them. The weights of the terms live
with the caller. A term with state is an object with `.variables`, called once per step; the caller keeps the variables.
"""

from srnb.losses.adversarial import (
    ADVERSARIAL,
    GradientPenalty,
    HistoricalAverage,
    bounds,
    declare,
    hinge,
    least_squares,
    relativistic,
    relativistic_average,
    relativistic_average_hinge,
    relativistic_average_least_squares,
    smoothed_vanilla,
    vanilla,
    wasserstein,
)
from srnb.losses.perceptual import dists, feature_matching, lpips, lpips_maps, perceptual, style
from srnb.losses.pixel import charbonnier, l1, mse, psnr, total_variation
from srnb.losses.structural import ZHAO_SIGMAS, AdaptiveMix, BalancedMix, mix, ms_ssim, ssim

__all__ = [
    "ADVERSARIAL",
    "PIXEL",
    "ZHAO_SIGMAS",
    "AdaptiveMix",
    "BalancedMix",
    "GradientPenalty",
    "HistoricalAverage",
    "adversarial_loss",
    "bounds",
    "charbonnier",
    "declare",
    "dists",
    "feature_matching",
    "hinge",
    "l1",
    "least_squares",
    "lpips",
    "lpips_maps",
    "mix",
    "ms_ssim",
    "mse",
    "perceptual",
    "pixel_loss",
    "psnr",
    "relativistic",
    "relativistic_average",
    "relativistic_average_hinge",
    "relativistic_average_least_squares",
    "ssim",
    "style",
    "total_variation",
    "vanilla",
    "wasserstein",
]

PIXEL = {
    "l1": l1,
    "mse": mse,
    "psnr": psnr,
    "charbonnier": charbonnier,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "mix": mix,
}


def pixel_loss(name, *, steps):
    """Return the content loss called `name`: one of PIXEL, or a new `AdaptiveMix` or `BalancedMix`.

    The schedule of "adaptive_mix" ends after `steps` calls; the others ignore `steps`. Raises ValueError for another
    name.
    """
    adaptive = {"adaptive_mix": lambda: AdaptiveMix(steps=steps), "balanced_mix": BalancedMix}
    if name in adaptive:
        return adaptive[name]()
    if name not in PIXEL:
        raise ValueError(f"a pixel loss must be one of {', '.join([*PIXEL, *adaptive])}. Received: {name!r}")
    return PIXEL[name]


def adversarial_loss(name, *, real_target=1.0):
    """Return the adversarial loss called `name`, one of ADVERSARIAL; `real_target` below 1 smooths vanilla's labels.

    Raises ValueError for another name, for a `real_target` outside (0, 1], and for one below 1 with another loss.
    """
    if name not in ADVERSARIAL:
        raise ValueError(f"an adversarial loss must be one of {', '.join(ADVERSARIAL)}. Received: {name!r}")
    if real_target == 1:
        return ADVERSARIAL[name]
    if name != "vanilla":
        raise ValueError(f"real_target must be 1 for every loss but vanilla. Received: {real_target} for {name}")
    if not 0 < real_target < 1:
        raise ValueError(f"real_target must be in (0, 1]. Received: {real_target}")
    return smoothed_vanilla(real_target)
