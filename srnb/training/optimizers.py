"""Learning-rate schedules and optimizers by name, as in a parameters cell."""

import keras
import numpy as np
from keras.optimizers import schedules

# precision of a run -> Keras dtype policy: variables stay float32, networks compute in the lower precision
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def schedule(name, learning_rate, *, steps, warmup=0, milestones=(), factor=0.5, cycles=1, restarts=(), lowest=0.0):
    """Return a Keras learning-rate schedule over `steps` updates, or `learning_rate` itself if it is constant.

    constant   `learning_rate` throughout
    step       multiplied by `factor` after each of `milestones` updates: ESRGAN halves after 50k, 100k, 200k and 300k
    cosine     half a cosine down to `lowest`, `cycles` times, each from `learning_rate` on (SGDR, Loshchilov and Hutter
               2017; MSRResNet has 4 cycles and 1e-7)
    sweep      exponentially from `lowest` up to `learning_rate`: the learning-rate range test (Smith 2017)

    restarts: updates at which a finished cosine starts again, where `steps` of a finished training were raised.
    warmup: updates over which a factor rises from 0 to 1, on top of the schedule.
    Raises ValueError for unknown names and for numbers that do not make a schedule.
    """
    if name not in ("constant", "step", "cosine", "sweep"):
        raise ValueError(f"a schedule must be constant, step, cosine or sweep. Received: {name!r}")
    if not (learning_rate > 0 and steps >= 1 and cycles >= 1 and warmup >= 0 and 0 <= lowest <= learning_rate):
        raise ValueError(
            "learning_rate must be positive, steps and cycles at least 1, warmup not negative, and lowest in "
            f"[0, learning_rate]. Received: {learning_rate}, {steps}, {cycles}, {warmup} and {lowest}"
        )
    ends = [*restarts, steps]
    if restarts and (name != "cosine" or ends != sorted(set(ends)) or ends[0] < 1):
        raise ValueError(
            f"restarts must be growing numbers below the {steps} steps of a cosine. Received: {restarts} for {name}"
        )
    milestones = list(milestones)
    if milestones != sorted(set(milestones)) or (milestones and milestones[0] < 1):
        raise ValueError(f"milestones must be growing numbers of updates from 1 on. Received: {milestones}")
    if (name == "step") != bool(milestones):
        raise ValueError(f"milestones belong to the schedule step, and only to it. Received: {name}, {milestones}")

    rate = learning_rate
    if name == "step":
        values = [learning_rate * factor**count for count in range(len(milestones) + 1)]
        # Keras keeps a value up to and including its boundary, counted from 0
        rate = schedules.PiecewiseConstantDecay([milestone - 1 for milestone in milestones], values)
    elif name == "cosine":
        begins = [0, *restarts]
        parts = [_cosine(learning_rate, end - begin, cycles, lowest) for begin, end in zip(begins, ends, strict=True)]
        rate = Succession(parts, begins) if restarts else parts[0]
    elif name == "sweep":
        if not lowest:
            raise ValueError("a sweep must start above zero. Received: lowest=0")
        rate = schedules.ExponentialDecay(lowest, 1, (learning_rate / lowest) ** (1 / max(steps - 1, 1)))
    return WarmUp(rate, warmup) if warmup else rate


def _cosine(learning_rate, steps, cycles, lowest):
    options = {"alpha": lowest / learning_rate}
    if cycles > 1:
        return schedules.CosineDecayRestarts(learning_rate, -(-steps // cycles), t_mul=1.0, **options)
    return schedules.CosineDecay(learning_rate, steps, **options)


def policy(precision):
    """Return the Keras dtype policy of a precision: float32, bfloat16 or float16. Raises ValueError."""
    if precision not in POLICIES:
        raise ValueError(f"precision must be one of {', '.join(POLICIES)}. Received: {precision!r}")
    return POLICIES[precision]


def adam(learning_rate, *, beta_1=0.9, beta_2=0.99, clip_norm=0.0, accumulate=1, precision="float32"):
    """Return Adam. The betas 0.9 and 0.99 are those of ESRGAN's released code; papers use Keras' 0.999 or are silent.

    learning_rate: a number or a schedule, which counts all steps, including those that only accumulate.
    clip_norm: maximum global norm of the gradients, 0 for no clipping.
    accumulate: number of steps whose gradients are averaged for one update.
    precision: "float16" adds a loss scale, which is halved when a gradient overflows and doubled after 2000 good steps.
    """
    policy(precision)
    if accumulate < 1 or clip_norm < 0:
        raise ValueError(
            f"accumulate must be at least 1 and clip_norm not negative. Received: {accumulate} and {clip_norm}"
        )
    optimizer = keras.optimizers.Adam(
        learning_rate,
        beta_1=beta_1,
        beta_2=beta_2,
        global_clipnorm=clip_norm or None,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "float16" else optimizer


def rates(optimizer, updates=None):
    """Return {update: learning rate}; an update is a number from 0 as text, as in JSON.

    By default 101 of those so far, evenly spread, or all: equal rates show that two schedules have agreed up to now
    except between two of these, whatever comes later.
    """
    rate, count = _schedule_of(optimizer)
    if updates is None:
        updates = np.unique(np.linspace(0, count - 1, min(count, 101)).round().astype(int))
    return {str(update): float(rate(int(update)) if callable(rate) else rate) for update in updates}


def has_ended(optimizer):
    """Return whether the schedule of an optimizer has ended at a rate of zero."""
    rate, count = _schedule_of(optimizer)
    return callable(rate) and float(rate(count)) == 0


def _schedule_of(optimizer):
    """Return the rate or schedule of an optimizer, and how many steps have passed as the schedule counts them."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # Keras shows only the present rate, and without the steps that accumulate
    return optimizer._learning_rate, int(keras.ops.convert_to_numpy(optimizer._iterations))


class Succession(schedules.LearningRateSchedule):
    """Schedules in succession: `parts[i]` holds from update `begins[i]` on, until the next begins."""

    def __init__(self, parts, begins):
        self.parts, self.begins = parts, begins

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rate = self.parts[0](step)
        for part, begin in zip(self.parts[1:], self.begins[1:], strict=True):
            rate = keras.ops.where(step < begin, rate, part(keras.ops.maximum(step - begin, 0.0)))
        return rate


class WarmUp(schedules.LearningRateSchedule):
    """A rate or schedule multiplied by min(1, update / steps), with updates counted from 1."""

    def __init__(self, rate, steps):
        self.rate, self.steps = rate, steps

    def __call__(self, step):
        rate = self.rate(step) if callable(self.rate) else self.rate
        return rate * keras.ops.minimum(1.0, (keras.ops.cast(step, "float32") + 1) / self.steps)
