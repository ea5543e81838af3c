"""Adversarial losses, `(real_logits, fake_logits) -> (generator_loss, discriminator_loss)`, and two restraints.

Logits (N, …), never sigmoids. The restraints, two classes, are ordinary terms of `(hr, sr)` that carry state.
"""

import math
from functools import partial

import keras
from keras import ops

from srnb import backend
from srnb.losses.pixel import as_float32


def declare(*, relativistic, bounds):
    """Decorate an adversarial loss with its properties.

    relativistic: whether the generator's part reads the real logits.
    bounds: the discriminator's loss if it knows all, and the least if it cannot tell real from fake and gives every
        picture the same logit; None where neither exists.
    """

    def decorate(loss):
        loss.relativistic, loss.bounds = relativistic, bounds
        return loss

    return decorate


def relativistic(loss):
    """Whether the generator's part of an adversarial loss may read the real logits.

    One without a declaration, also a declared one wrapped in a `partial` or a lambda, is taken to read them, which
    costs a pass of the discriminator at most.
    """
    return getattr(loss, "relativistic", True)


def bounds(loss):
    """Return the declared bounds of the discriminator's loss, see `declare`; None if nothing is declared."""
    return getattr(loss, "bounds", None)


@declare(relativistic=False, bounds=(0.0, 2 * math.log(2)))
def vanilla(real_logits, fake_logits, *, real_target=1.0):
    """SRGAN's loss, the generator's part non-saturating: -log D(fake).

    `real_target` below 1 is one-sided label smoothing (Salimans et al., section 3.4); the fake target stays 0.
    """
    if not 0 < real_target <= 1:
        raise ValueError(f"real_target must be in (0, 1]. Received: {real_target}")
    generator_loss = _cross_entropy(fake_logits, 1.0)
    return generator_loss, _cross_entropy(real_logits, real_target) + _cross_entropy(fake_logits, 0.0)


@declare(relativistic=False, bounds=(0.0, 0.5))
def least_squares(real_logits, fake_logits):
    """LSGAN with targets 1 and 0 (Mao et al., equation 9, without its halves)."""
    return _squares(fake_logits, 1.0), _squares(real_logits, 1.0) + _squares(fake_logits, 0.0)


@declare(relativistic=False, bounds=(0.0, 2.0))
def hinge(real_logits, fake_logits):
    """Hinge loss, as in SAGAN."""
    real_logits, fake_logits = as_float32(real_logits, fake_logits)
    return -ops.mean(fake_logits), _hinge(real_logits) + _hinge(-fake_logits)


@declare(relativistic=False, bounds=None)
def wasserstein(real_logits, fake_logits):
    """The critic's estimate of the earth mover's distance (Arjovsky et al. 2017); it needs a `GradientPenalty`."""
    real_logits, fake_logits = as_float32(real_logits, fake_logits)
    return -ops.mean(fake_logits), ops.mean(fake_logits) - ops.mean(real_logits)


@declare(relativistic=True, bounds=(0.0, 2 * math.log(2)))
def relativistic_average(real_logits, fake_logits):
    """ESRGAN's loss: is this real more real than the average fake, and the other way round (equations 1 and 2).

    Without the halves of the authors' code, which make its adversarial weight count half.
    """
    real, fake = _relative(real_logits, fake_logits)
    generator_loss = _cross_entropy(real, 0.0) + _cross_entropy(fake, 1.0)
    return generator_loss, _cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0)


@declare(relativistic=True, bounds=(0.0, 2.0))
def relativistic_average_least_squares(real_logits, fake_logits):
    """RaLSGAN (Jolicoeur-Martineau 2018): real stands 1 above the average fake; the generator wants the reverse."""
    real, fake = _relative(real_logits, fake_logits)
    return _squares(real, -1.0) + _squares(fake, 1.0), _squares(real, 1.0) + _squares(fake, -1.0)


@declare(relativistic=True, bounds=(0.0, 2.0))
def relativistic_average_hinge(real_logits, fake_logits):
    """RaHingeGAN (Jolicoeur-Martineau 2018): as RaLSGAN, but whoever is 1 above has done enough."""
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

    x = e * hr + (1 - e) * sr with one e from U(0, 1) for each sample; the norm is over all numbers of a sample. Of a
    map of logits the mean is D, as in the loss itself. `sr` is detached: the penalty is the discriminator's alone.
    The discriminator runs in inference mode. Nothing may change within a gradient, and BatchNorm over the batch would
    let one sample's logit depend on the others, which leaves no gradient of a sample: the paper's critic has none.
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
    """Squared distance of a network's weights from their mean over all calls so far, summed (Salimans et al., 3.3).

    The mean includes the present weights, as printed there: the first call gives 0. It moves once for each call.
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
    """Entropy in nats of an event, which is the least cross-entropy of its probability."""
    return -sum(p * math.log(p) for p in (probability, 1 - probability) if p)


def _cross_entropy(logits, target):
    """Binary cross-entropy with one target in [0, 1] for all logits, in the form that never overflows."""
    [logits] = as_float32(logits)
    return ops.mean(ops.softplus(logits) - target * logits)


def _squares(logits, target):
    [logits] = as_float32(logits)
    return ops.mean(ops.square(logits - target))


def _hinge(logits):
    return ops.mean(ops.relu(1 - logits))


def _relative(real_logits, fake_logits):
    """Each logit less the mean of the other side over the batch."""
    real, fake = as_float32(real_logits, fake_logits)
    return real - ops.mean(fake, axis=0, keepdims=True), fake - ops.mean(real, axis=0, keepdims=True)
