"""Attention over channels and over positions. Maps are (N, H, W, C), of any height and width."""

import keras
from keras import ops

from srnb.models.layers import Interpolation, SpectralNormalization, register


@register
class ChannelAttention(keras.layers.Layer):
    """Scale every channel by a weight in [0, 1] from the means of all: RCAN (Zhang et al. 2018), section 3.3."""

    def __init__(self, reduction=16, **kwargs):
        super().__init__(**kwargs)
        self.reduction = reduction

    def build(self, input_shape):
        channels = input_shape[-1]
        squeezed, own = max(1, channels // self.reduction), {"dtype": self.dtype_policy}  # whatever the global one is
        self.squeeze = keras.layers.Dense(squeezed, activation="relu", name="squeeze", **own)
        self.excite = keras.layers.Dense(channels, activation="sigmoid", name="excite", **own)
        self.squeeze.build((None, 1, 1, channels))
        self.excite.build((None, 1, 1, self.squeeze.units))

    def call(self, x):
        return x * self.excite(self.squeeze(ops.mean(x, axis=(1, 2), keepdims=True)))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "reduction": self.reduction}


class Attention(keras.layers.Layer):
    """x + γ f(x), γ initially 0: the base of both forms of self-attention."""

    def __init__(self, pool, spectral, **kwargs):
        super().__init__(**kwargs)
        self.pool, self.spectral = pool, spectral

    def project(self, channels, maps, name):
        own = {"dtype": self.dtype_policy}  # whatever the global one is
        layer = keras.layers.Conv2D(maps, 1, use_bias=False, name=name, **own)
        layer = SpectralNormalization(layer, name=f"{name}_spectral", **own) if self.spectral else layer
        layer.build((None, None, None, channels))
        return layer

    def build(self, input_shape):
        channels = input_shape[-1]
        self.query = self.project(channels, max(1, channels // 8), "query")
        self.key = self.project(channels, max(1, channels // 8), "key")
        self.gamma = self.add_weight(shape=(), initializer="zeros", name="gamma")

    def pooled(self, x):
        return ops.max_pool(x, self.pool, self.pool, padding="same")  # "same": sizes that do not divide

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "pool": self.pool, "spectral": self.spectral}


@register
class SelfAttention(Attention):
    """Attention over all positions, keys and values pooled: SAGAN (Zhang et al. 2018), section 3 and released code."""

    def __init__(self, pool=2, spectral=True, **kwargs):
        super().__init__(pool, spectral, **kwargs)

    def build(self, input_shape):
        super().build(input_shape)
        channels = input_shape[-1]
        self.value = self.project(channels, max(1, channels // 2), "value")
        self.out = self.project(max(1, channels // 2), channels, "out")

    def call(self, x, training=False):
        query = self.query(x, training=training)
        key, value = (self.pooled(layer(x, training=training)) for layer in (self.key, self.value))
        return x + self.gamma * self.out(attend(query, key, value), training=training)


@register
class FlexibleSelfAttention(Attention):
    """Self-attention between max-pooling and upsampling, for large pictures: A-SRGAN (Pathak et al. 2018)."""

    def __init__(self, pool=4, spectral=False, **kwargs):
        super().__init__(pool, spectral, **kwargs)

    def build(self, input_shape):
        super().build(input_shape)
        self.value = self.project(input_shape[-1], input_shape[-1], "value")
        self.enlarge = Interpolation(self.pool, "bilinear", name="enlarge", dtype=self.dtype_policy)

    def call(self, x, training=False):
        small = self.pooled(x)
        found = attend(*(layer(small, training=training) for layer in (self.query, self.key, self.value)))
        large = self.enlarge(found)
        top, left = ((ops.shape(large)[axis] - ops.shape(x)[axis]) // 2 for axis in (1, 2))  # "same" pads both sides
        return x + self.gamma * large[:, top : top + ops.shape(x)[1], left : left + ops.shape(x)[2]]


def attend(query, key, value):
    """Return softmax(query · key) value over all positions, with the height and width of `query`."""
    count, height, width, _ = ops.shape(query)
    maps = value.shape[-1]
    query, key, value = (ops.reshape(x, (count, -1, x.shape[-1])) for x in (query, key, value))
    weights = ops.softmax(ops.matmul(query, ops.swapaxes(key, 1, 2)))
    return ops.reshape(ops.matmul(weights, value), (count, height, width, maps))
