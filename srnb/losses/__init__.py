"""Training losses: plain functions of arrays, one scalar out, mean over everything unless said otherwise.

Images are float32, RGB, NHWC, [0, 1]; `sr` may leave the range, nothing is clipped inside a training graph.
Content losses read `(hr, sr)`. Adversarial losses share one signature on logits, `(real_logits, fake_logits) ->
(generator_loss, discriminator_loss)`, so a training step never changes when the loss does. Weights of terms live with
the caller.
"""

from srnb.losses.adversarial import ADVERSARIAL, RELATIVISTIC, hinge, least_squares, relativistic_average, vanilla
from srnb.losses.perceptual import perceptual
from srnb.losses.pixel import charbonnier, l1, mse, total_variation
from srnb.losses.structural import ZHAO_SIGMAS, mix, ms_ssim, ssim

__all__ = [
    "ADVERSARIAL",
    "PIXEL",
    "RELATIVISTIC",
    "ZHAO_SIGMAS",
    "charbonnier",
    "hinge",
    "l1",
    "least_squares",
    "mix",
    "ms_ssim",
    "mse",
    "perceptual",
    "relativistic_average",
    "ssim",
    "total_variation",
    "vanilla",
]

PIXEL = {"l1": l1, "mse": mse, "charbonnier": charbonnier, "ssim": ssim, "ms_ssim": ms_ssim, "mix": mix}
