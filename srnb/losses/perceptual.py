"""Losses that compare images by the feature maps of a network that the caller passes in: this module knows no models.

`features` maps images in [0, 1] to one map (N, H, W, C) or a list of them, like a network of `models.features.build`.
"""

from keras import ops

from srnb.losses.pixel import as_float32, l1


def perceptual(hr, sr, *, features, distance=l1, weights=None):
    """Distance between the feature maps of two images, averaged over the taps (Johnson et al. 2016, section 3.2).

    `weights`, one per tap, make it a weighted sum instead.

    ESRGAN: `distance` l1 on maps before the activation, weight 1. SRGAN: mse on maps after it, each divided by 12.75,
    which is the weight 1 / 12.75^2 = 0.00615. Johnson: mse after it, weight 1. All means include the channels; SRGAN's
    printed formula divides by width and height only, which for block5_conv4 would be 512 times as much.
    """
    distances = [distance(hr_map, sr_map) for hr_map, sr_map in _maps(features, hr, sr)]
    if weights is None:
        return sum(distances) / len(distances)
    return sum(weight * value for weight, value in zip(weights, distances, strict=True))


def style(hr, sr, *, features):
    """Squared Frobenius distance of Gram matrices, summed over taps, averaged over images (Johnson et al. 2016, 3.2).

    A Gram matrix (C, C) is divided by C * H * W. It does not depend on where in the image a texture is. Returns a
    scalar >= 0.
    """
    pairs = _maps(features, hr, sr)
    return sum(ops.mean(ops.sum(ops.square(_gram(a) - _gram(b)), axis=(1, 2))) for a, b in pairs)


def lpips(hr, sr, *, features, heads):
    """LPIPS (Zhang et al. 2018, equation 1), mean over images. Returns a scalar >= 0.

    Maps are normalised to unit length at each position; their squared differences are weighted by `heads`, one array
    (C,) per map, averaged over positions and summed over maps. With `models.features.build(net, lpips_taps(net))` and
    `lpips_heads(net)` it is version 0.1.
    """
    return sum(ops.mean(each) for each in lpips_maps(hr, sr, features=features, heads=heads))


def lpips_maps(hr, sr, *, features, heads):
    """Return the spatial maps of LPIPS: (N, H, W) for each map of `features`; their means add up to `lpips`."""
    return [
        ops.sum(ops.square(_unit(hr_map) - _unit(sr_map)) * ops.cast(head, "float32"), axis=-1)
        for (hr_map, sr_map), head in zip(_maps(features, hr, sr), heads, strict=True)
    ]


def dists(hr, sr, *, features, alpha, beta):
    """DISTS (Ding et al. 2020, equation 7), mean over images. Returns a scalar >= 0.

    One minus the similarity of the means of each map (texture, weighted by `alpha`) and of the variations around them
    (structure, weighted by `beta`); the image itself is the first map. With `models.features.build("vgg16",
    lpips_taps("vgg16"), pooling="l2")` and `dists_weights()` it is that of its authors.
    """
    pairs = [as_float32(ops.stop_gradient(ops.convert_to_tensor(hr)), sr), *_maps(features, hr, sr)]
    likeness = 0.0
    for (hr_map, sr_map), texture, structure in zip(pairs, alpha, beta, strict=True):
        hr_mean, sr_mean = (ops.mean(each, axis=(1, 2), keepdims=True) for each in (hr_map, sr_map))
        covariance = ops.mean((hr_map - hr_mean) * (sr_map - sr_mean), axis=(1, 2))
        variances = ops.mean(ops.square(hr_map - hr_mean) + ops.square(sr_map - sr_mean), axis=(1, 2))
        hr_mean, sr_mean = hr_mean[:, 0, 0], sr_mean[:, 0, 0]
        means = (2 * hr_mean * sr_mean + 1e-6) / (ops.square(hr_mean) + ops.square(sr_mean) + 1e-6)
        likeness = likeness + ops.sum(means * ops.cast(texture, "float32"), axis=-1)
        likeness = likeness + ops.sum((2 * covariance + 1e-6) / (variances + 1e-6) * structure, axis=-1)
    return ops.mean(1 - likeness)


def feature_matching(hr, sr, *, features):
    """Squared L2 distance between batch means of discriminator maps (Salimans et al. 2016, section 3.1).

    Summed over all values of a map, as printed there, and over maps, so the weight to give it depends on the layer's
    size. `features` is called without `training`, which a Keras model takes for inference: no BatchNorm is updated.
    """
    return sum(
        ops.sum(ops.square(ops.mean(hr_map, axis=0) - ops.mean(sr_map, axis=0)))
        for hr_map, sr_map in _maps(features, hr, sr)
    )


def _maps(features, hr, sr):
    """Return pairs of float32 maps, one per tap; no gradient flows through those of `hr`."""
    hr_maps, sr_maps = features(hr), features(sr)
    if not isinstance(hr_maps, list | tuple):
        hr_maps, sr_maps = [hr_maps], [sr_maps]
    return [as_float32(ops.stop_gradient(a), b) for a, b in zip(hr_maps, sr_maps, strict=True)]


def _gram(maps):
    """Return the Gram matrices (N, C, C) of maps (N, H, W, C), divided by C * H * W."""
    _, height, width, channels = ops.shape(maps)
    return ops.einsum("nhwc,nhwd->ncd", maps, maps) / ops.cast(channels * height * width, "float32")


def _unit(maps):
    # the constant stands inside the root: a pixel without any feature would have no finite gradient
    return maps * ops.rsqrt(ops.sum(ops.square(maps), axis=-1, keepdims=True) + 1e-10)
