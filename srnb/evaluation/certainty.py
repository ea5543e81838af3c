"""The uncertainty of a mean difference: intervals over photographs and seeds, for one question or many.

`gains` are differences between two models on the same photographs, shape (..., seeds, photographs).

The interval over photographs contains every value that a sign-flip test would not reject: under the hypothesis that
gains are symmetric around a value, each could as well lie on the other side of it (Fisher 1935). Its ends are quantiles
of the means of all subsets of the gains (Hartigan 1969), or of a seeded sample of them beyond `EXACT` photographs.
It interpolates between such means: with six photographs the test alone has the levels 3.1 % and 6.3 %, and none
between. Seeds are too few for flips. Their contribution to the variance of the mean (two-way analysis of variance,
photographs crossed with seeds) widens the interval by Student's t (Zou and Donner 2008: squared half-widths add).
"""

import numpy as np
from scipy import special

EXACT = 13  # photographs up to which all subsets are taken
DRAWN = 9999


def interval(gains, *, level=0.95, seed=0):
    """Return the ends (low, high) of the interval, each of shape (...), infinite if there are too few photographs."""
    return _ends(gains, _subset_means(gains, seed), np.full(np.shape(gains)[:-2], 1 - level))


def p_value(gains, *, seed=0):
    """Return the smallest 1 - level at which `interval` excludes zero, shape (...), at least `finest`."""
    means, steps = _subset_means(gains, seed), 40
    low, high = np.zeros(gains.shape[:-2]), np.ones(gains.shape[:-2])
    for _ in range(steps):
        middle = (low + high) / 2
        left, right = _ends(gains, means, middle)
        apart = (left > 0) | (right < 0)
        low, high = np.where(apart, low, middle), np.where(apart, middle, high)
    return np.maximum(high, finest(gains.shape[-1]))


def finest(photographs):
    """Return the smallest possible p-value with so many photographs: two of all combinations of signs."""
    return 2 / (2**photographs if photographs <= EXACT else DRAWN + 1)


def holm(p_values):
    """Return p-values adjusted for all questions together by the step-down method of Holm 1979."""
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(np.minimum(p_values[order] * np.arange(len(order), 0, -1), 1))
    return adjusted


def _subset_means(gains, seed):
    """Return the sorted means over subsets of photographs, of gains averaged over seeds: shape (..., subsets)."""
    count = gains.shape[-1]
    if count <= EXACT:
        chosen = (np.arange(1, 2**count)[:, None] >> np.arange(count)) & 1
    else:
        chosen = np.random.default_rng(seed).integers(2, size=(DRAWN, count))
        chosen[chosen.sum(axis=1) == 0] = 1
    return np.sort(gains.mean(axis=-2) @ (chosen / chosen.sum(axis=1, keepdims=True)).T, axis=-1)


def _ends(gains, means, error):
    """Return both ends of the interval that misses with a probability of `error`, shape (...)."""
    rank = error[..., None] / 2 * (means.shape[-1] + 1)  # of an end among the means, from 1 on
    below = np.clip(np.floor(rank).astype(int) - 1, 0, means.shape[-1] - 2)
    share = rank - 1 - below

    def end(ordered):
        first, second = (np.take_along_axis(ordered, place, axis=-1) for place in (below, below + 1))
        return np.where(rank < 1 - 1e-9, -np.inf, first + share * (second - first))[..., 0]

    mean, seeds = gains.mean(axis=(-2, -1)), _seeds_share(gains, error)
    low, high = end(means), -end(-means[..., ::-1])
    return mean - np.hypot(mean - low, seeds), mean + np.hypot(high - mean, seeds)


def _seeds_share(gains, error):
    """Return the half-width of the interval that is due to seeds alone, shape (...); 0 for one seed."""
    seeds, photographs = gains.shape[-2:]
    if seeds == 1:
        return 0.0
    by_seed, by_photograph = gains.mean(axis=-1, keepdims=True), gains.mean(axis=-2, keepdims=True)
    rest = gains - by_seed - by_photograph + gains.mean(axis=(-2, -1), keepdims=True)
    noise = (rest**2).sum(axis=(-2, -1)) / max((seeds - 1) * (photographs - 1), 1)
    between = photographs * by_seed[..., 0].var(axis=-1, ddof=1)
    variance = np.maximum(between - noise, 0) / (seeds * photographs)
    return special.stdtrit(seeds - 1, 1 - error / 2) * np.sqrt(variance)
