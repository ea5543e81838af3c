"""losses: hand-computed values, Keras' own cross-entropy, and that every loss moves the image it is meant to move."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from srnb import losses

pytestmark = pytest.mark.backends
GENERATOR = np.random.default_rng(0)
HR, SR = GENERATOR.random((2, 2, 8, 8, 3), dtype="float32")


def value(tensor):
    return float(ops.convert_to_numpy(tensor))


def test_pixel_losses_of_a_constant_offset():
    hr = np.full((2, 4, 4, 3), 0.5, "float32")
    assert value(losses.l1(hr, hr - 0.2)) == pytest.approx(0.2)
    assert value(losses.mse(hr, hr - 0.2)) == pytest.approx(0.04)
    assert value(losses.charbonnier(hr, hr - 0.2, epsilon=0.1)) == pytest.approx(0.05**0.5)
    assert value(losses.charbonnier(hr, hr)) == pytest.approx(1e-3)


def test_total_variation_of_stripes_counts_one_direction():
    stripes = np.tile(np.array([0, 1], "float32"), 4)[None, None, :, None] * np.ones((1, 8, 8, 3), "float32")
    assert value(losses.total_variation(stripes)) == 1


def numpy_similarity(hr, sr, sigma):
    """SSIM's two maps with scipy's filter; reflecting 'constant' borders are renormalised by a filtered mask."""
    radius = int(np.ceil(3 * sigma))

    def blur(x):
        options = {"sigma": (0, sigma, sigma, 0), "radius": (0, radius, radius, 0), "mode": "constant"}
        return ndimage.gaussian_filter(x, **options) / ndimage.gaussian_filter(np.ones_like(x), **options)

    hr, sr = hr.astype("float64"), sr.astype("float64")
    a, b = blur(hr), blur(sr)
    contrast = (2 * (blur(hr * sr) - a * b) + 9e-4) / (blur(hr**2) - a**2 + blur(sr**2) - b**2 + 9e-4)
    return (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4), contrast


def test_structural_losses_follow_zhao_computed_with_scipy():
    hr, sr = GENERATOR.random((2, 2, 40, 36, 3), dtype="float32")
    sr = 0.8 * hr + 0.2 * sr
    luminance, contrast = numpy_similarity(hr, sr, 1.5)
    assert value(losses.ssim(hr, sr)) == pytest.approx(1 - (luminance * contrast).mean(), abs=1e-5)
    product = 1.0
    for sigma in (0.5, 1, 2, 4, 8):
        luminance, contrast = numpy_similarity(hr, sr, sigma)
        product = product * contrast.clip(1e-6)
    structure = 1 - (luminance * product).mean()
    assert value(losses.ms_ssim(hr, sr)) == pytest.approx(structure, abs=1e-5)
    # a constant difference is not changed by a normalised window, up to the border
    flat = np.full((1, 32, 32, 3), 0.5, "float32")
    weighted = value(losses.mix(flat, flat + 0.1, alpha=0.0))
    assert weighted == pytest.approx(0.1, rel=1e-4)  # JAX on a CPU sums 3000 equal numbers 3e-5 too high
    assert value(losses.mix(hr, sr, alpha=1.0)) == pytest.approx(structure, abs=1e-5)


@pytest.mark.parametrize("loss", [losses.ssim, losses.ms_ssim, losses.mix])
def test_structural_losses_are_zero_for_equal_images_and_stay_finite(loss):
    assert value(loss(HR, HR)) == pytest.approx(0, abs=1e-5)
    assert np.isfinite(value(loss(HR, 1 - HR)))


def test_perceptual_averages_the_taps_and_accepts_a_single_map():
    two_taps = lambda images: [images, 2 * images]
    assert value(losses.perceptual(HR, SR, features=two_taps)) == pytest.approx(1.5 * np.abs(HR - SR).mean(), rel=1e-5)
    squared = losses.perceptual(HR, SR, features=lambda images: images, distance=losses.mse)
    assert value(squared) == pytest.approx(np.square(HR - SR).mean(), rel=1e-5)


@pytest.mark.parametrize("target", [1.0, 0.9])
def test_vanilla_is_keras_binary_cross_entropy(target):
    real, fake = GENERATOR.normal(size=(2, 6, 1)).astype("float32") * 3
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    ones = np.ones_like(real)
    generator, discriminator = losses.vanilla(real, fake, real_target=target)
    assert value(generator) == pytest.approx(value(entropy(ones, fake)), rel=1e-5)
    expected = value(entropy(target * ones, real)) + value(entropy(0 * ones, fake))
    assert value(discriminator) == pytest.approx(expected, rel=1e-5)


def test_vanilla_stays_finite_at_extreme_logits():
    generator, discriminator = losses.vanilla(np.float32([[-1e4]]), np.float32([[1e4]]))
    assert value(generator) == 0
    assert value(discriminator) == pytest.approx(2e4)


def test_least_squares_and_hinge_by_hand():
    real, fake = np.float32([[0.5], [2.0]]), np.float32([[-1.0], [0.0]])
    assert [value(x) for x in losses.least_squares(real, fake)] == pytest.approx([2.5, 0.625 + 0.5])
    assert [value(x) for x in losses.hinge(real, fake)] == pytest.approx([0.5, 0.25 + 0.5])


def test_relativistic_average_follows_equations_1_and_2_of_esrgan():
    real, fake = GENERATOR.normal(size=(2, 5, 1))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    relative_real, relative_fake = sigmoid(real - fake.mean()), sigmoid(fake - real.mean())
    discriminator = -np.log(relative_real).mean() - np.log(1 - relative_fake).mean()
    generator = -np.log(1 - relative_real).mean() - np.log(relative_fake).mean()
    received = losses.relativistic_average(real.astype("float32"), fake.astype("float32"))
    assert [value(x) for x in received] == pytest.approx([generator, discriminator], rel=1e-5)


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_adversarial_losses_fall_when_the_player_does_better(name):
    loss = losses.ADVERSARIAL[name]
    low, high = np.full((4, 1), -0.5, "float32"), np.full((4, 1), 0.5, "float32")
    (generator_loses, discriminator_wins), (generator_wins, discriminator_loses) = loss(high, low), loss(low, high)
    assert value(generator_wins) < value(generator_loses)
    assert value(discriminator_wins) < value(discriminator_loses)
