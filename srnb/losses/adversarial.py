"""Adversarial losses, `(real_logits, fake_logits) -> (generator_loss, discriminator_loss)`, and two regularisers.

Logits (N, …), never sigmoids. The regularisers are classes: ordinary terms of `(hr, sr)` that carry state.
"""

import math
from functools import partial

import keras
from keras import ops

from srnb import backend
from srnb.losses.pixel import as_float32


def declare(*, relativistic, bounds):
    """Decorate an adversarial loss with its properties.

    relativistic: whether the generator's loss reads the real logits.
    bounds: the discriminator's loss if it is always right, and its lowest loss if it gives every image the same logit;
        None if there are no such values.
    """

    def decorate(loss):
        loss.relativistic, loss.bounds = relativistic, bounds
        return loss

    return decorate


def relativistic(loss):
    """Return whether the generator's part of an adversarial loss may read the real logits.

    A loss without a declaration, including one wrapped in a `partial` or a lambda, is assumed to read them; that costs
    at most one more pass of the discriminator.
    """
    return getattr(loss, "relativistic", True)


def bounds(loss):
    """Return the declared bounds of the discriminator's loss, see `declare`; None if nothing is declared."""
    return getattr(loss, "bounds", None)


@declare(relativistic=False, bounds=(0.0, 2 * math.log(2)))
def vanilla(real_logits, fake_logits, *, real_target=1.0):
    """SRGAN's loss (Ledig et al. 2017) in the non-saturating form: the generator minimises -log D(fake).

    `real_target` below 1 is one-sided label smoothing (Salimans et al. 2016, section 3.4); the fake target stays 0.
    Raises ValueError for one outside (0, 1].
    """
    if not 0 < real_target <= 1:
        raise ValueError(f"real_target must be in (0, 1]. Received: {real_target}")
    generator_loss = _cross_entropy(fake_logits, 1.0)
    return generator_loss, _cross_entropy(real_logits, real_target) + _cross_entropy(fake_logits, 0.0)


@declare(relativistic=False, bounds=(0.0, 0.5))
def least_squares(real_logits, fake_logits):
    """LSGAN with targets 1 and 0 (Mao et al. 2017, equation 9, without its factors of 1/2)."""
    return _squares(fake_logits, 1.0), _squares(real_logits, 1.0) + _squares(fake_logits, 0.0)


@declare(relativistic=False, bounds=(0.0, 2.0))
def hinge(real_logits, fake_logits):
    """Hinge loss, as in SAGAN (Zhang et al. 2018, equation 4)."""
    real_logits, fake_logits = as_float32(real_logits, fake_logits)
    return -ops.mean(fake_logits), _hinge(real_logits) + _hinge(-fake_logits)


@declare(relativistic=False, bounds=None)
def wasserstein(real_logits, fake_logits):
    """WGAN (Arjovsky et al. 2017): the critic estimates the earth mover's distance. Needs a `GradientPenalty`."""
    real_logits, fake_logits = as_float32(real_logits, fake_logits)
    return -ops.mean(fake_logits), ops.mean(fake_logits) - ops.mean(real_logits)


@declare(relativistic=True, bounds=(0.0, 2 * math.log(2)))
def relativistic_average(real_logits, fake_logits):
    """ESRGAN's loss: is a real image more realistic than the average fake, and vice versa (equations 1 and 2).

    Without the factors of 1/2 in the authors' code, which halve the effect of its adversarial weight.
    """
    real, fake = _relative(real_logits, fake_logits)
    generator_loss = _cross_entropy(real, 0.0) + _cross_entropy(fake, 1.0)
    return generator_loss, _cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0)


@declare(relativistic=True, bounds=(0.0, 2.0))
def relativistic_average_least_squares(real_logits, fake_logits):
    """RaLSGAN (Jolicoeur-Martineau 2018): real should lie 1 above the average fake, for the generator 1 below."""
    real, fake = _relative(real_logits, fake_logits)
    return _squares(real, -1.0) + _squares(fake, 1.0), _squares(real, 1.0) + _squares(fake, -1.0)


@declare(relativistic=True, bounds=(0.0, 2.0))
def relativistic_average_hinge(real_logits, fake_logits):
    """RaHingeGAN (Jolicoeur-Martineau 2018): as RaLSGAN, but a distance of more than 1 costs nothing."""
    real, fake = _relative(real_logits, fake_logits)
    return _hinge(-real) + _hinge(fake), _hinge(real) + _hinge(-fake)


def smoothed_vanilla(real_target):
    """Return `vanilla` with real labels smoothed to `real_target`, below 1, and with the bounds that follow."""
    loss = partial(vanilla, real_target=real_target)
    # a discriminator that knows all says real_target; one that knows nothing says half of it for every picture
    return declare(relativistic=False, bounds=(_entropy(real_target), 2 * _entropy(real_target / 2)))(loss)


ADVERSARIAL = {
    "vanilla": vanilla,
    "least_squares": least_squares,
    "hinge": hinge,
    "wasserstein": wasserstein,
    "relativistic_average": relativistic_average,
    "relativistic_average_least_squares": relativistic_average_least_squares,
    "relativistic_average_hinge": relativistic_average_hinge,
}


class GradientPenalty:
    """WGAN-GP's penalty (Gulrajani et al. 2017, equation 3): mean over samples of (|| grad D(x) ||_2 - 1)^2.

    x = e * hr + (1 - e) * sr with one e from U(0, 1) per sample; the norm is over all values of a sample. For a map of
    logits D is their mean, as in the loss itself. `sr` is detached: only the discriminator is penalised.
    The discriminator runs in inference mode: variables must not change within a gradient, and BatchNorm over the batch
    would make one sample's logit depend on the others (the paper's critic has no BatchNorm).
    """

    def __init__(self, discriminator, *, seed=0):
        self.discriminator = discriminator
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.variables = [self.seed_generator.state]

    def __call__(self, hr, sr):
        hr, sr = as_float32(hr, ops.stop_gradient(sr))
        share = keras.random.uniform((ops.shape(hr)[0], 1, 1, 1), seed=self.seed_generator)
        gradient = backend.gradient(self._score, share * hr + (1 - share) * sr)
        # a discriminator that is still zero has no slope, and the root no gradient there
        norm = ops.sqrt(ops.sum(ops.square(gradient), axis=(1, 2, 3)) + 1e-12)
        return ops.mean(ops.square(norm - 1))

    def _score(self, images):
        [logits] = as_float32(self.discriminator(images, training=False))
        return ops.mean(logits, axis=range(1, len(logits.shape)))


class HistoricalAverage:
    """Summed squared distance of a network's weights from their mean over all calls (Salimans et al. 2016, 3.3).

    The mean includes the present weights, as printed there, so the first call returns 0. Each call updates it once.
    """

    def __init__(self, network):
        self.network = network
        if not network.trainable_variables:
            raise ValueError(f"the network must be built and have trainable variables. Received: {network.name}")
        self.calls = keras.Variable(0, dtype="int32", trainable=False, name="historical_average_calls")
        self.means = [
            keras.Variable(ops.zeros(variable.shape), dtype="float32", trainable=False, name=f"{variable.name}_mean")
            for variable in network.trainable_variables
        ]
        self.variables = [self.calls, *self.means]

    def __call__(self, hr, sr):
        self.calls.assign_add(1)
        calls, total = ops.cast(self.calls, "float32"), 0.0
        for mean, variable in zip(self.means, self.network.trainable_variables, strict=True):
            [weights] = as_float32(variable)
            mean.assign_add((ops.stop_gradient(weights) - mean) / calls)
            total = total + ops.sum(ops.square(weights - ops.convert_to_tensor(mean)))
        return total


def _entropy(probability):
    """Return the entropy in nats of an event of this probability, the minimum of its cross-entropy."""
    return -sum(p * math.log(p) for p in (probability, 1 - probability) if p)


def _cross_entropy(logits, target):
    """Return the binary cross-entropy of logits with one target in [0, 1], in a form that cannot overflow."""
    [logits] = as_float32(logits)
    return ops.mean(ops.softplus(logits) - target * logits)


def _squares(logits, target):
    [logits] = as_float32(logits)
    return ops.mean(ops.square(logits - target))


def _hinge(logits):
    return ops.mean(ops.relu(1 - logits))


def _relative(real_logits, fake_logits):
    """Return each side's logits minus the mean of the other side over the batch, of maps also over all places."""
    real, fake = as_float32(real_logits, fake_logits)
    return real - ops.mean(fake), fake - ops.mean(real)
