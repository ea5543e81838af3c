"""losses: hand-computed values, scipy, Keras' own cross-entropy, and that every loss moves what it is meant to move."""

import json
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from golden import make_lpips
from keras import ops
from scipy import ndimage

from srnb import backend, losses
from srnb.data import images
from srnb.models import features

pytestmark = pytest.mark.backends
GENERATOR = np.random.default_rng(0)
HR, SR = GENERATOR.random((2, 2, 8, 8, 3), dtype="float32")


def two_maps(images):
    return [ops.relu(images - 0.3), ops.square(images[:, ::2])]


CONTENT = losses.PIXEL | {
    "total_variation": lambda hr, sr: losses.total_variation(sr),
    "perceptual": lambda hr, sr: losses.perceptual(hr, sr, features=two_maps),
    "style": lambda hr, sr: losses.style(hr, sr, features=two_maps),
    "lpips": lambda hr, sr: losses.lpips(hr, sr, features=two_maps, heads=[np.ones(3), np.full(3, 0.5)]),
    "feature_matching": lambda hr, sr: losses.feature_matching(hr, sr, features=two_maps),
    "adaptive_mix": lambda hr, sr: losses.AdaptiveMix(steps=2)(hr, sr),
    "balanced_mix": lambda hr, sr: losses.BalancedMix()(hr, sr),
}


def value(tensor):
    return float(ops.convert_to_numpy(tensor))


def gradient(loss, hr, sr):
    """The gradient of a content loss with respect to `sr`, as the generator meets it."""
    return ops.convert_to_numpy(backend.gradient(lambda x: loss(hr, x), sr))


def compiled(term):
    """The term as the trainer runs it: compiled once, its state given, then called with arrays."""
    step = backend.compile_step(lambda *arrays: term(*arrays), term.variables)

    def run(*arrays):
        result = value(step(*arrays))
        step.sync()
        return result

    return run


def descended(network, term, *arrays):
    """Return the loss and, per weight, the gradient that a compiled training step on `term` follows."""
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(network.trainable_variables)
    state = [*network.variables, *optimizer.variables, *term.variables]
    before = network.get_weights()

    def objective(*arrays):
        loss = term(*arrays)
        return loss, loss

    step = backend.compile_step(lambda *x: backend.minimize(lambda: objective(*x), network, optimizer, state), state)
    loss = value(step(*arrays))
    step.sync()
    return loss, [old - new for old, new in zip(before, network.get_weights(), strict=True)]


@pytest.mark.parametrize("name", CONTENT)
def test_every_content_loss_alone_pushes_the_image_and_stays_finite_where_there_is_nothing_to_push(name):
    received = gradient(CONTENT[name], HR, SR)
    assert np.isfinite(received).all() and np.abs(received).max() > 1e-6
    assert np.isfinite(gradient(CONTENT[name], HR, HR)).all()
    black = np.zeros_like(HR)
    assert np.isfinite(gradient(CONTENT[name], black, black)).all()


@pytest.mark.parametrize("name", CONTENT)
def test_content_losses_of_half_precision_are_computed_in_single(name):
    hr, sr = (ops.cast(x, "bfloat16") for x in (HR, SR))
    expected = CONTENT[name](ops.cast(hr, "float32"), ops.cast(sr, "float32"))
    received = CONTENT[name](ops.cast(hr, "float32"), sr)
    assert keras.backend.standardize_dtype(received.dtype) == "float32" and received.shape == ()
    assert value(received) == pytest.approx(value(expected), rel=1e-2)  # `two_maps` itself is computed in bfloat16


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_adversarial_losses_of_half_precision_are_computed_in_single(name):
    logits = ops.cast(GENERATOR.normal(size=(2, 300, 1)), "bfloat16")
    received = losses.ADVERSARIAL[name](logits[0], logits[1])
    expected = losses.ADVERSARIAL[name](*(ops.cast(side, "float32") for side in (logits[0], logits[1])))
    assert [value(x) for x in received] == pytest.approx([value(x) for x in expected], rel=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: losses.charbonnier(HR, SR, epsilon=0),
        lambda: losses.ssim(HR, SR, sigma=0.0),
        lambda: losses.ms_ssim(HR, SR, sigmas=()),
        lambda: losses.mix(HR, SR, sigmas=(1.0, -1.0)),
        lambda: losses.mix(HR, SR, sigmas=(8.0, 1.0)),
        lambda: losses.mix(HR, SR, alpha=1.5),
        lambda: losses.AdaptiveMix(steps=0),
        lambda: losses.AdaptiveMix(steps=5, alpha=(0.5, 84)),
        lambda: losses.AdaptiveMix(steps=5, sigma=(2.0, 0.1)),
        lambda: losses.BalancedMix(decay=1.0),
        lambda: losses.BalancedMix(bounds=(0.0, 1.0)),
        lambda: losses.BalancedMix(sigmas=(0.0,)),
        lambda: losses.vanilla(HR, SR, real_target=0.0),
        lambda: losses.pixel_loss("l3", steps=1),
        lambda: losses.HistoricalAverage(keras.Sequential([keras.layers.Dense(1)])),
    ],
)
def test_a_value_that_would_train_something_else_is_refused(make):
    with pytest.raises(ValueError, match=r"must .*Received"):
        make()


def test_pixel_losses_go_by_name_and_a_mix_with_state_is_new_each_time():
    assert losses.pixel_loss("charbonnier", steps=7) is losses.charbonnier
    first, second = (losses.pixel_loss("adaptive_mix", steps=7) for _ in range(2))
    assert first is not second and first.steps == 7
    assert isinstance(losses.pixel_loss("balanced_mix", steps=7), losses.BalancedMix)


def test_pixel_losses_of_a_constant_offset():
    hr = np.full((2, 4, 4, 3), 0.5, "float32")
    assert value(losses.l1(hr, hr - 0.2)) == pytest.approx(0.2)
    assert value(losses.mse(hr, hr - 0.2)) == pytest.approx(0.04)
    assert value(losses.charbonnier(hr, hr - 0.2, epsilon=0.1)) == pytest.approx(0.05**0.5)
    assert value(losses.charbonnier(hr, hr)) == pytest.approx(1e-3)


def test_psnr_is_averaged_over_images_as_benchmarks_do_it():
    hr = np.full((2, 4, 4, 3), 0.5, "float32")
    offsets = np.array([0.1, 0.01], "float32")[:, None, None, None]
    assert value(losses.psnr(hr, hr + offsets)) == pytest.approx(-(20 + 40) / 2, abs=1e-3)
    assert value(losses.psnr(hr, hr)) == pytest.approx(-80)


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


def mixed(alpha, largest):
    """The plain mix with windows up to `largest`, written out."""
    sigmas = [0.5 * (largest / 0.5) ** (scale / 4) for scale in range(5)]
    return value(losses.mix(HR, SR, alpha=alpha, sigmas=sigmas))


def test_the_schedule_changes_the_compiled_mix_and_holds_its_end():
    loss = compiled(losses.AdaptiveMix(steps=4, alpha=(0.2, 0.6), sigma=(2.0, 8.0)))
    expected = [mixed(0.2, 2), mixed(0.3, 3.5), mixed(0.4, 5), mixed(0.5, 6.5), mixed(0.6, 8), mixed(0.6, 8)]
    assert expected[4] == pytest.approx(value(losses.mix(HR, SR, alpha=0.6)), rel=1e-6)  # largest 8: Zhao's five
    assert len({round(each, 4) for each in expected}) == 5
    assert [loss(HR, SR) for _ in expected] == pytest.approx(expected, rel=1e-5)
    shortest = compiled(losses.AdaptiveMix(steps=1, alpha=(0.6, 0.2), sigma=(8.0, 2.0)))
    expected = [mixed(0.6, 8), mixed(0.2, 2), mixed(0.2, 2)]
    assert [shortest(HR, SR) for _ in expected] == pytest.approx(expected, rel=1e-5)


def balance(hr, sr):
    """The alpha at which both terms of the mix have gradients of one norm."""
    terms = (partial(losses.mix, alpha=alpha) for alpha in (1.0, 0.0))
    structure, difference = (np.linalg.norm(gradient(term, hr, sr)) for term in terms)
    alpha = difference / (structure + difference)
    assert alpha * structure == pytest.approx((1 - alpha) * difference)
    return alpha


def test_the_balanced_mix_gives_both_terms_gradients_of_one_norm_and_follows_slowly():
    term = losses.BalancedMix(decay=0.75)
    loss = compiled(term)
    first, second = balance(HR, SR), balance(HR, 0.5 * HR)
    assert abs(first - second) > 0.01
    assert loss(HR, SR) == pytest.approx(value(losses.mix(HR, SR, alpha=first)), rel=1e-4)
    assert value(term.alpha) == pytest.approx(first, rel=1e-4)
    loss(HR, 0.5 * HR)
    assert value(term.alpha) == pytest.approx(0.75 * first + 0.25 * second, rel=1e-4)
    assert first > 0.5
    bounded = losses.BalancedMix(bounds=(0.1, 0.5))
    bounded(HR, SR)
    assert value(bounded.alpha) == 0.5


def test_perceptual_averages_the_taps_and_accepts_a_single_map():
    two_taps = lambda images: [images, 2 * images]
    assert value(losses.perceptual(HR, SR, features=two_taps)) == pytest.approx(1.5 * np.abs(HR - SR).mean(), rel=1e-5)
    squared = losses.perceptual(HR, SR, features=lambda images: images, distance=losses.mse)
    assert value(squared) == pytest.approx(np.square(HR - SR).mean(), rel=1e-5)


def test_style_compares_gram_matrices_and_not_places():
    def gram(x):
        flat = x.reshape(len(x), -1, 3).astype("float64")
        return np.swapaxes(flat, 1, 2) @ flat / flat[0].size

    expected = np.square(gram(HR) - gram(SR)).sum((1, 2)).mean()
    assert value(losses.style(HR, SR, features=lambda x: x)) == pytest.approx(expected, rel=1e-4)
    assert value(losses.style(HR, SR, features=lambda x: [x, x])) == pytest.approx(2 * expected, rel=1e-4)
    assert value(losses.style(HR, HR[:, ::-1], features=lambda x: x)) == pytest.approx(0, abs=1e-9)


def test_lpips_of_a_batch_is_the_mean_of_the_packages_numbers():
    golden = json.loads((Path(__file__).parents[1] / "golden" / "lpips.json").read_text())["alex"][:3]
    hr, sr = (images.from_uint8(np.stack(side)) for side in zip(*make_lpips.pairs()[:3], strict=True))
    taps = features.lpips_taps("alexnet")
    network, heads = features.build("alexnet", taps), features.lpips_heads("alexnet")
    received = losses.lpips(hr, sr, features=network, heads=heads)
    assert value(received) == pytest.approx(np.mean(golden), abs=1e-5)


def test_feature_matching_compares_batch_means():
    difference = (HR - SR).astype("float64").mean(0)
    received = losses.feature_matching(HR, SR, features=lambda x: x)
    assert value(received) == pytest.approx(np.square(difference).sum(), rel=1e-4)
    assert value(losses.feature_matching(HR, HR[::-1], features=two_maps)) == pytest.approx(0, abs=1e-9)


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


@pytest.mark.parametrize("name", [name for name in losses.ADVERSARIAL if name.startswith("relativistic")])
def test_maps_of_logits_are_relative_to_the_mean_over_all_places(name):
    """As in BasicSR: with a mean at each place, a batch of one would be compared with the other picture only there."""
    real, fake = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 1)).astype("float32")
    maps = losses.ADVERSARIAL[name](real, fake)
    single = losses.ADVERSARIAL[name](real.reshape(-1, 1), fake.reshape(-1, 1))
    assert [value(each) for each in maps] == pytest.approx([value(each) for each in single], rel=1e-5)


def test_wasserstein_and_the_relativistic_pairs_by_hand():
    real, fake = np.float32([[0.5], [2.5]]), np.float32([[-1.0], [0.0]])  # means 1.5 and -0.5
    # real less the mean fake: 1, 3; fake less the mean real: -2.5, -1.5
    assert [value(x) for x in losses.wasserstein(real, fake)] == pytest.approx([0.5, -2.0])
    squares = [(4 + 16) / 2 + (12.25 + 6.25) / 2, (0 + 4) / 2 + (2.25 + 0.25) / 2]
    received = losses.relativistic_average_least_squares(real, fake)
    assert [value(x) for x in received] == pytest.approx(squares)
    received = losses.relativistic_average_hinge(real, fake)
    assert [value(x) for x in received] == pytest.approx([(2 + 4) / 2 + (3.5 + 2.5) / 2, 0])


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_adversarial_losses_fall_when_the_player_does_better(name):
    loss = losses.ADVERSARIAL[name]
    low, high = np.full((4, 1), -0.5, "float32"), np.full((4, 1), 0.5, "float32")
    (generator_loses, discriminator_wins), (generator_wins, discriminator_loses) = loss(high, low), loss(low, high)
    assert value(generator_wins) < value(generator_loses)
    assert value(discriminator_wins) < value(discriminator_loses)


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_only_the_relativistic_generators_read_the_real_logits(name):
    loss = losses.ADVERSARIAL[name]
    fake = np.float32([[0.1], [0.2]])
    reads = value(loss(fake + 1, fake)[0]) != value(loss(fake - 1, fake)[0])
    assert reads == losses.relativistic(loss)


def critic(weights, activation="linear"):
    network = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Activation(activation), keras.layers.Flatten()])
    network.add(keras.layers.Dense(1, use_bias=False))
    network.set_weights([weights.reshape(48, 1)])
    return network


def test_gradient_penalty_of_a_linear_critic_is_that_of_its_weights_norm():
    weights = GENERATOR.normal(size=48).astype("float32")
    norm = np.linalg.norm(weights)
    network = critic(weights)
    loss, [moved] = descended(network, losses.GradientPenalty(network), HR[:, :4, :4], SR[:, :4, :4])
    assert loss == pytest.approx((norm - 1) ** 2, rel=1e-5)
    assert moved[:, 0] == pytest.approx(2 * (norm - 1) * weights / norm, rel=1e-3, abs=1e-4)
    assert not gradient(losses.GradientPenalty(network), HR[:, :4, :4], SR[:, :4, :4]).any()  # the image stays


def test_gradient_penalty_of_a_quadratic_critic_follows_its_weights():
    weights, x = GENERATOR.normal(size=48).astype("float32"), HR[:, :4, :4]
    network = critic(weights, ops.square)
    loss, [moved] = descended(network, losses.GradientPenalty(network), x, x)  # all points between x and x are x
    flat = x.reshape(2, 48).astype("float64")
    norms = np.linalg.norm(2 * weights * flat, axis=1, keepdims=True)  # the slope of sum of w x^2 is 2 w x
    assert loss == pytest.approx(np.square(norms - 1).mean(), rel=1e-5)
    expected = (2 * (norms - 1) * 4 * weights * flat**2 / norms).mean(0)
    assert moved[:, 0] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_gradient_penalty_stands_at_points_between_that_its_state_determines():
    network = critic(np.full(48, 0.5 / 48**0.5, "float32"), ops.square)  # slope e between 1 and 0: penalty (e - 1)^2
    ones = np.ones((1, 4, 4, 3), "float32")
    term = losses.GradientPenalty(network, seed=3)
    run = compiled(term)
    start = [variable.numpy().copy() for variable in term.variables]
    shares = [1 - run(ones, 0 * ones) ** 0.5 for _ in range(4)]
    assert len({round(share, 4) for share in shares}) == 4 and 0 <= min(shares) < max(shares) < 1
    for variable, old in zip(term.variables, start, strict=True):
        variable.assign(old)
    assert [1 - run(ones, 0 * ones) ** 0.5 for _ in range(4)] == shares
    # each sample has its own: with one share for all, the mean over many would vary as much as a single one does
    many = [run(np.repeat(ones, 64, 0), np.zeros((64, 4, 4, 3), "float32")) for _ in range(4)]
    assert many == pytest.approx([1 / 3] * 4, abs=0.15)


def test_gradient_penalty_moves_the_discriminator_and_not_its_statistics():
    convolution, logits = keras.layers.Conv2D(4, 3, activation="tanh"), keras.layers.Conv2D(1, 3, use_bias=False)
    normalization = keras.layers.BatchNormalization(center=False)  # an offset has no part in a slope
    network = keras.Sequential([keras.Input((8, 8, 3)), convolution, normalization, logits])  # a map of logits
    statistics = [variable.numpy().copy() for variable in network.non_trainable_variables]
    loss, moved = descended(network, losses.GradientPenalty(network), HR, SR)
    assert np.isfinite(loss) and np.abs(moved[0]).max() > 0
    for variable, old in zip(network.non_trainable_variables, statistics, strict=True):
        assert np.array_equal(variable.numpy(), old)


def test_gradient_penalty_of_a_critic_without_any_slope_is_finite():
    network = critic(np.zeros(48, "float32"))
    loss, [moved] = descended(network, losses.GradientPenalty(network), HR[:, :4, :4], SR[:, :4, :4])
    assert loss == pytest.approx(1, abs=1e-5) and np.isfinite(moved).all()


def test_historical_average_is_the_distance_from_the_mean_of_all_weights_so_far():
    network = critic(np.zeros(48, "float32"))
    term = losses.HistoricalAverage(network)
    history = []
    for factor in (1.0, 3.0, -2.0):
        weights = factor * np.arange(48, dtype="float32").reshape(48, 1) / 48
        network.set_weights([weights])
        history.append(weights)
        loss, [moved] = descended(network, term, HR, SR)
        distance = weights - np.mean(history, axis=0)
        assert loss == pytest.approx(np.square(distance).sum(), rel=1e-5, abs=1e-9)
        assert moved == pytest.approx(2 * distance, abs=1e-5)
    assert value(term.calls) == 3


def test_an_adversarial_loss_is_named_and_only_vanilla_smooths_its_labels():
    assert losses.adversarial_loss("hinge") is losses.hinge
    real, fake = np.float32([[1.0]]), np.float32([[-1.0]])
    assert not losses.relativistic(losses.adversarial_loss("vanilla", real_target=0.9))
    smooth = [value(x) for x in losses.adversarial_loss("vanilla", real_target=0.9)(real, fake)]
    assert smooth == [value(x) for x in losses.vanilla(real, fake, real_target=0.9)]
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        losses.adversarial_loss("vanilla", real_target=1.2)
    with pytest.raises(ValueError, match="must be one of vanilla"):
        losses.adversarial_loss("hing")
    with pytest.raises(ValueError, match="every loss but vanilla"):
        losses.adversarial_loss("hinge", real_target=0.9)


@pytest.mark.parametrize("name", [*losses.ADVERSARIAL, "smoothed"])
def test_bounds_are_those_that_a_search_over_logits_finds(name):
    smoothed = losses.adversarial_loss("vanilla", real_target=0.8)
    loss = losses.ADVERSARIAL.get(name, smoothed)
    logits = [-40.0, *np.linspace(-3, 3, 25), 40.0, np.log(4.0), np.log(2 / 3)]  # with those of 0.8 and of half of it

    def discriminator(real, fake):
        return value(loss(np.full((1, 1), real, "float32"), np.full((1, 1), fake, "float32"))[1])

    if losses.bounds(loss) is None:  # more is always better
        assert discriminator(40.0, -40.0) < discriminator(20.0, -20.0) - 1
        return
    perfect, ignorant = losses.bounds(loss)
    assert min(discriminator(real, fake) for real in logits for fake in (-40.0, 0.0, 1.0)) == pytest.approx(
        perfect, abs=1e-6
    )
    assert min(discriminator(logit, logit) for logit in logits) == pytest.approx(ignorant, rel=1e-5)
