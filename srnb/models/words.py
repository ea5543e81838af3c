"""The layers that a spec can name: word -> function that makes the Keras layer.

`name` is the layer's name; the other arguments are what the word takes in parentheses, in this order. The factor of a
resampling word is the spec's `scale` where none is given.
"""

from keras import initializers
from keras import layers as keras_layers

from srnb.models import attention, layers


def convolution(kernel, maps, stride, *, transposed, icnr):
    """Return the function of a word kXnYsZ; `icnr` is the factor of the pixel shuffle that follows, or 1.

    A transposed convolution leaves a grid of its own, so `icnr` is nothing to it.

    Its argument `msra` scales the normal initialisation of He et al. 2015; without it, Keras' default (Glorot) is used.
    """
    kind = keras_layers.Conv2DTranspose if transposed else layers.Conv2D

    def make(*, name, bias=True, spectral=False, msra=None):
        initializer = "glorot_uniform"
        if msra is not None:
            initializer = initializers.VarianceScaling(2.0 * msra**2, mode="fan_in", distribution="untruncated_normal")
        if icnr > 1 and not transposed:
            initializer = layers.ICNR(initializer, icnr)
        options = {"strides": stride, "padding": "same", "use_bias": bias, "kernel_initializer": initializer}
        if spectral:
            return layers.SpectralNormalization(kind(maps, kernel, **options, name="convolution"), name=name)
        return kind(maps, kernel, **options, name=name)

    return make


def batch(*, name, momentum=0.9, epsilon=1e-5):
    """Batch normalisation with PyTorch's defaults: statistics adapt in tens of steps, with Keras' 0.99 in hundreds."""
    return layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)


def prelu(*, name, start=0.25):
    """PReLU with one slope per channel, shared over all positions, so that any picture size fits."""
    return layers.PReLU(initializers.Constant(start), shared_axes=[1, 2], name=name)


def _activation(kind):
    return lambda *, name: keras_layers.Activation(kind, name=name)


def _interpolation(kind):
    return lambda *, name, factor: layers.Interpolation(factor, kind, name=name)


WORDS = {
    **{kind: _activation(kind) for kind in ("relu", "sigmoid", "tanh", "gelu", "silu", "softplus")},
    "lrelu": lambda *, name, slope=0.2: keras_layers.LeakyReLU(slope, name=name),
    "prelu": prelu,
    "batch": batch,
    "virtual_batch": lambda *, name, epsilon=1e-5: layers.VirtualBatchNormalization(epsilon, name=name),
    "shuffle": lambda *, name, factor: layers.PixelShuffle(factor, name=name),
    "unshuffle": lambda *, name, factor: layers.PixelUnshuffle(factor, name=name),
    **{kind: _interpolation(kind) for kind in ("nearest", "bilinear", "bicubic")},
    "maxpool": lambda *, name, size=2: keras_layers.MaxPooling2D(size, padding="same", name=name),
    "averagepool": lambda *, name, size=2: keras_layers.AveragePooling2D(size, padding="same", name=name),
    "rescale": lambda *, name, scale=1.0, offset=0.0: keras_layers.Rescaling(scale, offset, name=name),
    "attention": lambda *, name, pool=2, spectral=True: attention.SelfAttention(pool, spectral, name=name),
    "flexible_attention": lambda *, name, pool=4, spectral=False: attention.FlexibleSelfAttention(
        pool, spectral, name=name
    ),
    "channel_attention": lambda *, name, reduction=16: attention.ChannelAttention(reduction, name=name),
    "adaptive": lambda *, name, size: layers.AdaptivePooling(size, name=name),
    "globalaverage": lambda *, name: keras_layers.GlobalAveragePooling2D(name=name),
    "flatten": lambda *, name: keras_layers.Flatten(name=name),
    "dense": lambda *, name, units: keras_layers.Dense(units, name=name),
    "minibatch": lambda *, name, kernels=100, dimensions=5: layers.MinibatchDiscrimination(
        kernels, dimensions, name=name
    ),
}
