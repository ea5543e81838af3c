import subprocess
import sys

import keras
import numpy as np
import pytest

from srnb import backend, models
from srnb.models import attention, layers


def picture(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(layer, x, **options):
    return keras.ops.convert_to_numpy(layer(x, **options))


def array(variable):
    return keras.ops.convert_to_numpy(variable)


def fill(layer, seed=1):
    """Give every trainable weight random values: γ of an attention starts at 0."""
    for number, variable in enumerate(layer.trainable_variables):
        variable.assign(picture(*variable.shape, seed=seed + number))


def test_pixel_shuffle():
    x = picture(2, 3, 4, 18)
    out = run(layers.PixelShuffle(3), x)
    expected = np.zeros((2, 9, 12, 2), np.float32)
    for row in range(3):
        for column in range(3):
            first = 2 * (3 * row + column)
            expected[:, row::3, column::3] = x[..., first : first + 2]
    np.testing.assert_array_equal(out, expected)


def test_icnr_starts_all_sub_pixels_equal():
    kernel = array(layers.ICNR("he_normal", 2)((3, 3, 5, 12)))
    parts = kernel.reshape(3, 3, 5, 4, 3)
    assert np.ptp(parts, axis=3).max() == 0 and parts.std() > 0


def test_a_transposed_convolution_may_precede_a_shuffle():
    network = models.build({"scale": 4, "body": "k4n12s1/2 shuffle2"})  # three channels are no multiple of four
    kernel = array(network.layers[1].kernel)  # (height, width, maps, inputs)
    assert network.output_shape[-1] == 3 and kernel.shape == (4, 4, 12, 3)
    assert np.abs(kernel).max() > 0 and len(np.unique(kernel)) == kernel.size


@pytest.mark.parametrize("kind, a", [("nearest", None), ("bilinear", None), ("bicubic", -0.5)])
@pytest.mark.parametrize("factor", [2, 3])
def test_interpolation_against_loops(kind, a, factor):
    x = picture(1, 4, 5, 2)
    expected = x
    for axis in (1, 2):
        columns = []
        for place in range(expected.shape[axis] * factor):
            centre = (place + 0.5) / factor - 0.5
            total = 0
            for pixel in range(-3, expected.shape[axis] + 3):
                d = abs(centre - pixel)
                if kind == "nearest":
                    weight = float(-0.5 <= centre - pixel < 0.5)
                elif kind == "bilinear":
                    weight = max(0, 1 - d)
                else:
                    weight = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else 0
                    weight = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if 1 < d < 2 else weight
                total = total + weight * np.take(expected, np.clip(pixel, 0, expected.shape[axis] - 1), axis)
            columns.append(total)
        expected = np.stack(columns, axis)
    np.testing.assert_allclose(run(layers.Interpolation(factor, kind), x), expected, atol=1e-5)


@pytest.mark.parametrize("side", [2, 5, 6, 7, 13])
def test_adaptive_pooling_against_loops(side):
    x = picture(2, side, side + 1, 3)
    out = run(layers.AdaptivePooling(5), x)
    for i in range(5):
        for j in range(5):
            rows = slice(i * side // 5, -(-(i + 1) * side // 5))
            columns = slice(j * (side + 1) // 5, -(-(j + 1) * (side + 1) // 5))
            np.testing.assert_allclose(out[:, i, j], x[:, rows, columns].mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize(
    "inner", [keras.layers.Conv2D(4, 3), keras.layers.Conv2DTranspose(4, 3, strides=2), keras.layers.Dense(4)]
)
def test_spectral_normalization_divides_by_the_largest_singular_value(inner):
    layer = layers.SpectralNormalization(type(inner).from_config(inner.get_config()), power_iterations=50)
    x = picture(1, 6, 5, 3)
    layer(x)
    before = array(layer.layer.kernel)
    for _ in range(5):
        out = run(layer, x, training=True)
    np.testing.assert_array_equal(array(layer.layer.kernel), before)  # the kernel itself is left alone
    matrix = before if before.ndim == 2 else np.moveaxis(before, -2 if "Transpose" in type(inner).__name__ else -1, -1)
    norm = np.linalg.svd(matrix.reshape(-1, 4), compute_uv=False)[0]
    layer.layer.kernel.assign(before / norm)
    np.testing.assert_allclose(out, run(layer.layer, x), atol=1e-4)


def test_spectral_normalization_of_averaged_weights_divides_by_a_norm_still():
    layer = layers.SpectralNormalization(keras.layers.Conv2D(4, 3))
    x = picture(1, 5, 5, 3)
    expected = run(layer, x)
    layer.left.assign(0.5 * array(layer.left))  # the mean of two unit vectors is shorter than one
    np.testing.assert_allclose(run(layer, x), expected, rtol=1e-4, atol=1e-6)


def test_spectral_normalization_starts_near_the_norm_and_rests_in_inference():
    layer = layers.SpectralNormalization(keras.layers.Conv2D(8, 3))
    x = picture(1, 5, 5, 4)
    out = run(layer, x)
    norm = np.linalg.svd(array(layer.layer.kernel).reshape(-1, 8), compute_uv=False)[0]
    np.testing.assert_allclose(out, run(layer.layer, x) / norm, rtol=0.2, atol=1e-4)
    left = array(layer.left)
    run(layer, x, training=False)
    np.testing.assert_array_equal(array(layer.left), left)


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def maxpool(x, size):
    """Return the maxima and where the first window starts: "same" puts half of what is missing in front."""
    _, height, width, channels = x.shape
    rows, columns = -(-height // size), -(-width // size)
    top, left = (rows * size - height) // 2, (columns * size - width) // 2
    padded = np.full((len(x), rows * size, columns * size, channels), -np.inf)
    padded[:, top : top + height, left : left + width] = x
    return padded.reshape(len(x), rows, size, columns, size, channels).max((2, 4)), (top, left)


def attend(query, key, value):
    flat = [x.reshape(len(x), -1, x.shape[-1]) for x in (query, key, value)]
    return (softmax(flat[0] @ flat[1].swapaxes(1, 2)) @ flat[2]).reshape(*query.shape[:3], -1)


@pytest.mark.parametrize("shape", [(2, 6, 4, 16), (1, 5, 7, 16)])
def test_self_attention_against_numpy(shape):
    x, layer = picture(*shape), attention.SelfAttention(spectral=False)
    np.testing.assert_array_equal(run(layer, x), x)  # γ starts at 0
    fill(layer)
    query, key, value, out = (array(part.kernel)[0, 0] for part in (layer.query, layer.key, layer.value, layer.out))
    found = attend(x @ query, maxpool(x @ key, 2)[0], maxpool(x @ value, 2)[0]) @ out
    np.testing.assert_allclose(run(layer, x), x + array(layer.gamma) * found, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("shape", [(2, 8, 4, 16), (1, 5, 7, 16)])
def test_flexible_self_attention_against_numpy(shape):
    x, layer = picture(*shape), attention.FlexibleSelfAttention(pool=4)
    np.testing.assert_array_equal(run(layer, x), x)
    fill(layer)
    small, (top, left) = maxpool(x, 4)
    query, key, value = (array(part.kernel)[0, 0] for part in (layer.query, layer.key, layer.value))
    found = attend(small @ query, small @ key, small @ value).astype(np.float32)
    large = run(layers.Interpolation(4, "bilinear"), found)[:, top : top + shape[1], left : left + shape[2]]
    np.testing.assert_allclose(run(layer, x), x + array(layer.gamma) * large, atol=1e-3, rtol=1e-3)


def test_self_attention_has_the_parameters_of_sagan():
    layer = attention.SelfAttention()
    layer.build((None, None, None, 64))
    assert sum(np.prod(variable.shape) for variable in layer.trainable_variables) == 5_121  # papers.md 7


def test_channel_attention_against_numpy():
    x, layer = picture(2, 3, 5, 32), attention.ChannelAttention(reduction=8)
    layer(x)
    fill(layer)
    (w1, b1), (w2, b2) = (tuple(map(array, part.variables)) for part in (layer.squeeze, layer.excite))
    weights = 1 / (1 + np.exp(-(np.maximum(x.mean((1, 2)) @ w1 + b1, 0) @ w2 + b2)))
    np.testing.assert_allclose(run(layer, x), x * weights[:, None, None], atol=1e-4)


def test_minibatch_discrimination_against_loops():
    x, layer = picture(4, 6), layers.MinibatchDiscrimination(kernels=3, dimensions=2)
    out = run(layer, x)
    projected = (x @ array(layer.kernel)).reshape(4, 3, 2)
    for i in range(4):
        near = sum(np.exp(-np.abs(projected[i] - projected[j]).sum(1)) for j in range(4) if j != i)
        np.testing.assert_allclose(out[i], np.concatenate([x[i], near]), atol=1e-5)


def test_virtual_batch_normalization_against_numpy():
    x, reference = picture(2, 3, 5, 4), 3 * picture(6, 4, 4, 4, seed=1) + 1
    images = keras.Input((None, None, 4))
    model = keras.Model(images, layers.VirtualBatchNormalization()(images))
    own = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(run(model, x), own, atol=1e-4)  # no reference yet: every sample by itself

    layers.set_reference(model, reference)
    weight = 1 / 7
    mean = weight * x.mean((1, 2), keepdims=True) + (1 - weight) * reference.mean((0, 1, 2))
    square = weight * (x**2).mean((1, 2), keepdims=True) + (1 - weight) * (reference**2).mean((0, 1, 2))
    np.testing.assert_allclose(run(model, x), (x - mean) / np.sqrt(1e-5 + square - mean**2), atol=1e-4)
    np.testing.assert_allclose(run(model, x[:1]), run(model, x)[:1], atol=1e-6)  # whatever else the batch holds


@pytest.mark.backends
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_virtual_batch_normalization_in_half_precision_is_near_that_in_single(precision):
    x = picture(4, 8, 8, 6) + np.float32([0, 1, 3, 10, 30, -100])  # means far larger than deviations
    got, expected = [], []
    for policy, outputs in ((precision, got), ("float32", expected)):
        images = keras.Input((None, None, 6))
        layer = layers.VirtualBatchNormalization(dtype=policy)
        model = keras.Model(images, layer(images))
        rounded = array(keras.ops.cast(keras.ops.cast(x, keras.DTypePolicy(precision).compute_dtype), "float32"))
        layers.set_reference(model, rounded)
        out = model(rounded[:2])
        assert keras.backend.standardize_dtype(out.dtype) == layer.compute_dtype
        outputs += [array(keras.ops.cast(out, "float32")), *map(array, layer.variables)]
    for mine, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=0.02 if mine.ndim > 1 else 1e-5)


@pytest.mark.backends
def test_minibatch_discrimination_sees_distant_samples_in_half_precision():
    x, kernel = picture(4, 6), 1.5 * picture(6, 6, seed=1)
    half, full = (layers.MinibatchDiscrimination(3, 2, dtype=policy) for policy in ("mixed_bfloat16", "float32"))
    for layer in (half, full):
        layer.build(x.shape)
        layer.kernel.assign(kernel)
    near, expected = array(keras.ops.cast(half(x), "float32"))[:, 6:], run(full, x)[:, 6:]
    assert expected.min() < 1 / 256
    np.testing.assert_allclose(near, expected, rtol=0.15)


EVERYTHING = {
    "scale": 2,
    "body": [
        "k3n16s1(spectral=true) prelu virtual_batch attention flexible_attention(pool=2) channel_attention(4)",
        {"upscale": "k3n{16*factor*factor}s1(msra=0.1) shuffle{factor}", "by": "{scale}"},
        "bilinear2 adaptive3 flatten minibatch(kernels=2) dense1",
    ],
}


def test_every_layer_is_loaded_in_a_fresh_process(tmp_path):
    model = models.build(EVERYTHING)
    x = np.abs(picture(2, 5, 6, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", run(model, x))
    model.save(tmp_path / "model.keras")
    code = (
        "import numpy as np, keras, srnb.models\n"
        "model = keras.saving.load_model('model.keras')\n"
        "found = keras.ops.convert_to_numpy(model(np.load('x.npy')))\n"
        "np.testing.assert_allclose(found, np.load('y.npy'), atol=1e-5)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=300)


def test_a_copy_of_every_layer_computes_the_same():
    model = models.build(EVERYTHING)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    x = np.abs(picture(2, 5, 6, 3))
    np.testing.assert_allclose(run(copy, x), run(model, x), atol=1e-6)


@pytest.mark.backends
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"momentum": 0.5, "epsilon": 1e-5}])
def test_batch_normalization_is_that_of_keras(options):
    ours, theirs = layers.BatchNormalization(**options), keras.layers.BatchNormalization(**options)
    x = 0.3 + 2 * picture(4, 5, 7, 3)
    for layer in (ours, theirs):
        layer.build(x.shape)
        fill(layer)
    for turn in range(3):
        batch = x + turn
        np.testing.assert_allclose(run(ours, batch, training=True), run(theirs, batch, training=True), atol=1e-5)
    for mine, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(array(mine), array(other), atol=1e-5)
    np.testing.assert_allclose(run(ours, x), run(theirs, x), atol=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize("kernel", [3, 9, (4, 1), (2, 5)])
@pytest.mark.parametrize("options", [{}, {"use_bias": False, "activation": "tanh"}, {"strides": 2}])
@pytest.mark.parametrize("maps", [3, 8])
def test_a_convolution_is_that_of_keras(maps, kernel, options):
    ours, theirs = (kind(maps, kernel, padding="same", **options) for kind in (layers.Conv2D, keras.layers.Conv2D))
    x = picture(2, 7, 6, 5)
    for layer in (ours, theirs):
        layer.build(x.shape)
        fill(layer)
    for training in (True, False):
        np.testing.assert_allclose(run(ours, x, training=training), run(theirs, x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(array(ours.fast(x[:1], single=True)), run(theirs, x[:1]), rtol=1e-5, atol=1e-5)


@pytest.mark.backends
def test_a_frozen_batch_normalization_does_not_learn_its_batch():
    layer = layers.BatchNormalization(trainable=False)
    x = 5 + picture(2, 4, 4, 3)
    np.testing.assert_allclose(run(layer, x, training=True), x / np.sqrt(1 + layer.epsilon), rtol=1e-5)
    assert not array(layer.moving_mean).any()


def passes(x, weight):
    """Functions of (maps, weights) by name: each layer's training pass, ours and Keras' formula for it."""
    ops, small = keras.ops, 1e-3

    def normalised(maps, gamma):
        mean, variance = ops.moments(maps, (0, 1, 2), keepdims=True)
        return (maps - mean) / ops.sqrt(variance + small) * gamma

    return {
        "batch": (lambda maps, gamma: backend.batch_normalization(maps, gamma, gamma * 0, small)[0], normalised),
        "few": (
            lambda maps, kernel: backend.convolution(maps, kernel, (1, 1), single=False),
            lambda maps, kernel: ops.conv(maps, kernel, padding="same"),
        ),
        "prelu": (backend.prelu, lambda maps, alpha: ops.relu(maps) - alpha * ops.relu(-maps)),
    }


@pytest.mark.backends
@pytest.mark.parametrize("name", ["batch", "few", "prelu"])
@pytest.mark.parametrize("argument", [0, 1])
def test_gradients_of_training_passes(name, argument):
    x, upstream = picture(2, 4, 5, 3), picture(2, 4, 5, 3, seed=2)
    weight = 1.5 + picture(*((3, 2, 3, 3) if name == "few" else (3,)), seed=1)
    x += 0.1 * np.sign(x)  # away from the kink of PReLU
    ours, keras_formula = passes(x, weight)[name]

    def loss(function, changed):
        arguments = [x, weight]
        arguments[argument] = changed
        return function(*map(keras.ops.convert_to_tensor, arguments)) * upstream

    def gradient(function, start):
        return array(backend.gradient(lambda changed: loss(function, changed), start))

    start = (x, weight)[argument]
    got = gradient(ours, start)
    np.testing.assert_allclose(got, gradient(keras_formula, start), atol=2e-5, rtol=1e-4)
    for place in [(0,) * start.ndim, (1,) * start.ndim, (-1,) * start.ndim]:
        step = np.zeros_like(start)
        step[place] = 1e-2
        difference = array(loss(ours, start + step)).astype("f8").sum() - array(loss(ours, start - step)).sum()
        np.testing.assert_allclose(got[place], difference / 2e-2, atol=2e-2, rtol=2e-2)

    def penalty(function, changed):  # a gradient inside a gradient, as a gradient penalty on a discriminator has it
        inner = backend.gradient(lambda maps: loss(function, maps) ** 2, changed)
        return keras.ops.sum(inner**2)

    second = array(backend.gradient(lambda changed: penalty(ours, changed), start))
    expected = array(backend.gradient(lambda changed: penalty(keras_formula, changed), start))
    np.testing.assert_allclose(second, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


@pytest.mark.backends
@pytest.mark.parametrize("layer", [layers.BatchNormalization, layers.PReLU])
def test_training_passes_keep_bfloat16(layer):
    options = {"shared_axes": [1, 2]} if layer is layers.PReLU else {}
    half, full = layer(dtype="mixed_bfloat16", **options), layer(**options)
    x = picture(2, 6, 6, 3)
    for each in (half, full):
        each.build(x.shape)
        fill(each)
    out = half(x, training=True)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    np.testing.assert_allclose(array(keras.ops.cast(out, "float32")), run(full, x, training=True), atol=0.05)
    for mine, other in zip(half.variables, full.variables, strict=True):
        assert mine.dtype == "float32"
        np.testing.assert_allclose(array(mine), array(other), atol=0.01)
