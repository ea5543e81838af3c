"""Losses that compare images by the maps of a network, which the caller passes in: this room knows no models."""

from keras import ops

from srnb.losses.pixel import l1


def perceptual(hr, sr, *, features, distance=l1):
    """Distance between the feature maps of two images, averaged over the taps (Johnson et al., section 3.2).

    `features` maps images in [0, 1] to one map or a list of them, as `models.features.build` does. ESRGAN takes L1 on
    maps before the activation; SRGAN the squared distance after it, on maps divided by 12.75.
    """
    hr_maps, sr_maps = features(hr), features(sr)
    if not isinstance(hr_maps, list | tuple):
        hr_maps, sr_maps = [hr_maps], [sr_maps]
    return sum(distance(ops.stop_gradient(a), b) for a, b in zip(hr_maps, sr_maps, strict=True)) / len(hr_maps)
