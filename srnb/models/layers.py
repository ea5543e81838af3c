"""Layers that Keras lacks. All are registered: after `import srnb.models` a saved network loads by itself.

Maps are (N, H, W, C). Every layer takes any height and width.
"""

import keras
from keras import ops

from srnb import backend

register = keras.saving.register_keras_serializable(package="srnb")


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer, with a training pass over maps that is written for speed on each backend."""

    def call(self, inputs, training=None, mask=None):
        special = self.renorm or self.synchronized or self.axis not in (-1, 3) or mask is not None
        if not (training and self.trainable) or special or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        gamma, beta = (None if weight is None else ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        outputs, mean, variance = backend.batch_normalization(inputs, gamma, beta, self.epsilon)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + ops.cast(value, moving.dtype) * (1 - self.momentum))
        return outputs


@register
class Conv2D(keras.layers.Conv2D):
    """Keras' layer, with the training pass over maps in the form that is fastest on each backend."""

    def call(self, inputs, training=None):
        # an exported file shows the convolution as it is
        return self.fast(inputs, single=False) if training else super().call(inputs)

    def fast(self, inputs, *, single):
        """Return what the layer makes of maps, those of a `single` picture or of a batch, in the fastest form."""
        if self.padding != "same" or self.dilation_rate != (1, 1) or self.groups > 1:
            return super().call(inputs)
        maps = backend.convolution(inputs, ops.convert_to_tensor(self.kernel), self.strides, single=single)
        return self.activation(maps + self.bias if self.use_bias else maps)


@register
class PReLU(keras.layers.PReLU):
    """Keras' layer, with passes over maps that are written for speed on each backend."""

    def call(self, inputs, training=None):
        alpha = ops.cast(self.alpha, inputs.dtype)
        # an operation with a gradient of its own has no place in an exported file
        return backend.prelu(inputs, alpha) if training else ops.where(inputs > 0, inputs, alpha * inputs)


@register
class PixelShuffle(keras.layers.Layer):
    """Turn (N, H, W, factor² C) into (N, factor H, factor W, C): Shi et al. 2016, equation 4, Keras' channel order."""

    def __init__(self, factor=2, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        if input_shape[-1] % self.factor**2:
            raise ValueError(f"channels must be a multiple of {self.factor**2}. Received: {input_shape[-1]}")

    def call(self, x):
        return ops.depth_to_space(x, self.factor)

    def compute_output_shape(self, input_shape):
        count, height, width, channels = input_shape
        grown = [side and side * self.factor for side in (height, width)]
        return (count, *grown, channels // self.factor**2)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@register
class PixelUnshuffle(keras.layers.Layer):
    """Turn (N, factor H, factor W, C) into (N, H, W, factor² C): the inverse of `PixelShuffle`."""

    def __init__(self, factor=2, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return ops.space_to_depth(x, self.factor)

    def compute_output_shape(self, input_shape):
        count, height, width, channels = input_shape
        if (height or 0) % self.factor or (width or 0) % self.factor:
            raise ValueError(f"sides must be multiples of {self.factor}. Received: {height} x {width}")
        shrunk = [side and side // self.factor for side in (height, width)]
        return (count, *shrunk, channels * self.factor**2)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@register
class Interpolation(keras.layers.Layer):
    """Upsample (N, H, W, C) to (N, factor H, factor W, C), replicating the edge.

    "nearest"; "bilinear" as in PyTorch (align_corners=False); "bicubic" with the kernel of Keys 1981, a = -0.5, as in
    MATLAB. In Keras' UpSampling2D the last two fail in a TensorFlow graph of unknown size and treat edges differently
    on each backend, and the first loses the number of channels in a LiteRT export.
    """

    def __init__(self, factor, interpolation="nearest", **kwargs):
        super().__init__(**kwargs)
        if interpolation not in ("nearest", "bilinear", "bicubic"):
            raise ValueError(f"interpolation must be nearest, bilinear or bicubic. Received: {interpolation!r}")
        self.factor, self.interpolation = factor, interpolation

    def call(self, x):
        count, height, width, _ = ops.shape(x)
        channels = x.shape[-1]
        if self.interpolation == "nearest":
            x = ops.repeat(ops.repeat(x, self.factor, axis=1), self.factor, axis=2)
        else:
            columns, rows = self._matrix(width, x.dtype), self._matrix(height, x.dtype)
            x = ops.matmul(columns, ops.reshape(x, (-1, width, channels)))  # (N H, factor W, C)
            x = ops.matmul(rows, ops.reshape(x, (count, height, -1)))  # (N, factor H, factor W C)
        return ops.reshape(x, (count, height * self.factor, width * self.factor, channels))

    def _matrix(self, side, dtype):
        """Return the matrix (factor side, side) from a row of pixels to a row of sub-pixels."""
        place = (ops.arange(side * self.factor, dtype="float32") + 0.5) / self.factor - 0.5
        pixels = ops.arange(side, dtype="float32")
        reach = 1 if self.interpolation == "bilinear" else 2
        matrix = 0.0
        for offset in range(1 - reach, reach + 1):
            pixel = ops.floor(place) + offset
            distance = ops.abs(place - pixel)
            weight = 1 - distance if self.interpolation == "bilinear" else _keys(distance)
            inside = ops.clip(pixel, 0.0, pixels[-1])
            matrix = matrix + weight[:, None] * ops.cast(inside[:, None] == pixels, "float32")
        return ops.cast(matrix, dtype)

    def compute_output_shape(self, input_shape):
        count, height, width, channels = input_shape
        return (count, *(side and side * self.factor for side in (height, width)), channels)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "interpolation": self.interpolation}


def _keys(distance):
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    return ops.where(distance <= 1, near, -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2)


@register
class ICNR(keras.initializers.Initializer):
    """Initialise a convolution before PixelShuffle without a checkerboard: equal sub-pixels (Aitken et al. 2017)."""

    def __init__(self, initializer="glorot_uniform", factor=2):
        self.initializer = keras.initializers.get(initializer)
        self.factor = factor

    def __call__(self, shape, dtype=None):
        *kernel, maps = shape
        small = self.initializer((*kernel, maps // self.factor**2), dtype=dtype)
        return ops.tile(small, [1] * len(kernel) + [self.factor**2])

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer), "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(keras.initializers.deserialize(config["initializer"]), config["factor"])


@register
class SpectralNormalization(keras.layers.Wrapper):
    """Divide the kernel of a layer by its largest singular value, found by power iteration: Miyato et al. 2018.

    The gradient flows through the norm. (Keras' layer of this name overwrites the kernel in every training call
    instead: a different optimisation, whose result differs between backends.) A linear layer with kernel W / σ equals
    the layer with kernel W on its input divided by σ, so any layer with a kernel can be wrapped.
    """

    def __init__(self, layer, power_iterations=1, **kwargs):
        super().__init__(layer, **kwargs)
        self.power_iterations = power_iterations

    def build(self, input_shape):
        super().build(input_shape)
        rows = self._matrix().shape[0]
        self.left = self.add_weight(shape=(rows,), initializer=self._start, trainable=False, name="left")

    def _start(self, shape, dtype=None):
        """Return an initial singular vector, accurate enough for an untrained network."""
        left = _unit(keras.random.normal(shape, dtype=dtype, seed=0))
        for _ in range(10):
            left = self._step(left, ops.convert_to_tensor(self._matrix()))
        return left

    def follow(self, iterations=30):
        """Recompute the singular vector after the kernel was set from outside, as by interpolation."""
        left, matrix = self._start(self.left.shape, "float32"), ops.cast(self._matrix(), "float32")
        for _ in range(iterations):
            left = self._step(left, matrix)
        self.left.assign(left)

    def _step(self, left, matrix):
        return _unit(ops.matmul(matrix, _unit(ops.matmul(left, matrix))))

    def call(self, x, training=False):
        if not training:
            return self.layer(x / ops.cast(self.norm(), x.dtype))
        matrix, left = ops.cast(self._matrix(), "float32"), ops.cast(self.left, "float32")
        for _ in range(self.power_iterations):
            left = self._step(left, ops.stop_gradient(matrix))
        self.left.assign(left)
        return self.layer(x / ops.cast(ops.norm(ops.matmul(left, matrix)), x.dtype))

    def norm(self):
        """Return the largest singular value of the kernel, as estimated from the stored singular vector."""
        left = _unit(ops.cast(self.left, "float32"))  # an average of weights, or a mixture of two networks, shortens it
        return ops.norm(ops.matmul(left, ops.cast(self._matrix(), "float32")))

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "power_iterations": self.power_iterations}

    def _matrix(self):
        """Return the kernel as a matrix (inputs, maps)."""
        kernel = self.layer.kernel
        if isinstance(self.layer, keras.layers.Conv2DTranspose):  # (height, width, maps, inputs)
            kernel = ops.swapaxes(kernel, -1, -2)
        return ops.reshape(kernel, (-1, kernel.shape[-1]))


@register
class AdaptivePooling(keras.layers.Layer):
    """Average (N, H, W, C) into a grid (N, size, size, C), like PyTorch's AdaptiveAvgPool2d.

    Keras' AdaptiveAveragePooling2D needs an input size that is known when the network is built.
    """

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, x):
        _, height, width, _ = ops.shape(x)
        rows, columns = self._windows(height, x.dtype), self._windows(width, x.dtype)
        return ops.einsum("ih,jw,nhwc->nijc", rows, columns, x)

    def _windows(self, side, dtype):
        """Return the matrix (size, side); row i averages from floor(i side / size) to ceil((i + 1) side / size) - 1."""
        cell, pixel = ops.arange(self.size)[:, None], ops.arange(side)[None]
        inside = (pixel >= cell * side // self.size) & (pixel < -((cell + 1) * -side // self.size))
        inside = ops.cast(inside, dtype)
        return inside / ops.sum(inside, axis=1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.size, self.size, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@register
class MinibatchDiscrimination(keras.layers.Layer):
    """Append to features (N, A) how similar each sample is to the rest of its batch: Salimans et al. 2016, 3.2.

    Returns (N, A + kernels). As in the released code a sample is not compared with itself.
    """

    def __init__(self, kernels=100, dimensions=5, **kwargs):
        super().__init__(**kwargs)
        self.kernels, self.dimensions = kernels, dimensions

    def build(self, input_shape):
        normal = keras.initializers.RandomNormal(stddev=0.05)
        shape = (input_shape[-1], self.kernels * self.dimensions)
        self.kernel = self.add_weight(shape=shape, initializer=normal, name="kernel")

    def call(self, x):
        projected = ops.reshape(ops.matmul(x, self.kernel), (-1, self.kernels, self.dimensions))
        projected = ops.cast(projected, "float32")  # beside the 1 of itself, bfloat16 would lose what is below 1 / 256
        distance = ops.sum(ops.abs(projected[:, None] - projected[None]), axis=3)  # (N, N, kernels)
        near = ops.sum(ops.exp(-distance), axis=1) - 1
        return ops.concatenate([x, ops.cast(near, x.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1] + self.kernels)

    def get_config(self):
        return {**super().get_config(), "kernels": self.kernels, "dimensions": self.dimensions}


@register
class VirtualBatchNormalization(keras.layers.Layer):
    """Normalise each sample by a fixed reference batch and itself, not by its batch: Salimans et al. 2016, section 3.4.

    `set_reference(model, images)` stores the statistics; until then a sample is normalised by itself alone. They are
    computed in float32 whatever the precision: in a lower one a variance, the difference of two means, can be negative.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.collecting = False

    def build(self, input_shape):
        shape, exact = (input_shape[-1],), {"autocast": False}
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma", **exact)
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta", **exact)
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean", **exact)
        self.square = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="square", **exact)
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count", **exact)

    def call(self, x):
        dtype, x = x.dtype, ops.cast(x, "float32")
        axes = tuple(range(0 if self.collecting else 1, len(x.shape) - 1))
        mean, square = ops.mean(x, axes, keepdims=True), ops.mean(x * x, axes, keepdims=True)
        if self.collecting:  # the reference batch is normalised by its own statistics
            self.mean.assign(ops.reshape(mean, (-1,)))
            self.square.assign(ops.reshape(square, (-1,)))
            self.count.assign(x.shape[0])
        else:
            own = 1 / (self.count + 1)
            mean = own * mean + (1 - own) * self.mean
            square = own * square + (1 - own) * self.square
        deviation = ops.sqrt(self.epsilon + square - mean * mean)
        return ops.cast((x - mean) / deviation * self.gamma + self.beta, dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def virtual_batch(model):
    """Return the VirtualBatchNormalization layers of a model."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, VirtualBatchNormalization)]


def set_reference(model, images):
    """Store the statistics of a reference batch (N, H, W, C) in every VirtualBatchNormalization layer of `model`."""
    virtual = virtual_batch(model)
    try:
        for layer in virtual:
            layer.collecting = True
        model(images, training=False)
    finally:
        for layer in virtual:
            layer.collecting = False


def _unit(vector):
    return vector / (ops.norm(vector) + 1e-12)
