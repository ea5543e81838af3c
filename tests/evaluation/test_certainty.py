"""certainty: how often it says "differs" where nothing does, and small cases by hand."""

import numpy as np
import pytest

from srnb.evaluation import certainty

NULLS = {"normal": np.random.Generator.normal, "heavy tails": np.random.Generator.laplace}


def apart(gains):
    low, high = certainty.interval(gains)
    return ((low > 0) | (high < 0)).mean()


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize(("photographs", "draws"), [(6, 20000), (14, 5000), (100, 4000)])
def test_one_verdict_in_twenty_is_false_where_nothing_differs(photographs, draws, null):
    random = np.random.default_rng(photographs)
    batches = (NULLS[null](random, size=(1000, 1, photographs)) for _ in range(draws // 1000))
    assert 0.04 < np.mean([apart(gains) for gains in batches]) < 0.06


@pytest.mark.parametrize("photographs", [6, 12])
@pytest.mark.parametrize("between_seeds", [0, 0.3, 1])
def test_seeds_that_differ_make_no_more_false_verdicts(photographs, between_seeds):
    random = np.random.default_rng(0)
    sizes = {(3, 1): between_seeds, (1, photographs): 1, (3, photographs): 0.5}
    gains = sum(random.normal(0, sigma, (3000, *size)) for size, sigma in sizes.items())
    assert 0.02 < apart(gains) < 0.06
    if between_seeds == 1:  # without seeds it would be as wrong as one can be
        assert apart(gains.mean(axis=1, keepdims=True)) > 0.12


def test_the_interval_holds_what_sign_flips_do_not_reject():
    gains = np.array([[0.2, 0.5, -0.1, 0.9, 0.4, 0.3, 0.75, 0.05]])
    low, high = certainty.interval(gains, level=1 - 2 * 6 / 2**8)  # its ends are then two subset means, not between
    flips = 1 - 2 * ((np.arange(2**8)[:, None] >> np.arange(8)) & 1)
    for value, inside in ((low - 1e-6, False), (low + 1e-6, True), (high - 1e-6, True), (high + 1e-6, False)):
        means = flips @ (gains[0] - value) / 8
        share = (np.abs(means) >= abs(means[0]) - 1e-12).mean()
        assert (share > 2 * 6 / 2**8) == inside
    means = np.abs(flips @ gains[0])
    assert certainty.p_value(gains) == pytest.approx((means >= means[0] - 1e-12).mean(), abs=2 / 2**8)


def test_p_agrees_with_the_interval_and_has_a_finest_step():
    gains = np.random.default_rng(0).normal(0.4, 1, (500, 2, 7))
    low, high = certainty.interval(gains)
    assert (((low > 0) | (high < 0)) == (certainty.p_value(gains) <= 0.05)).all()
    assert certainty.p_value(np.ones((1, 6))) == certainty.finest(6) == 2 / 64
    assert certainty.p_value(np.ones((1, 50))) == pytest.approx(certainty.finest(50)) == 2e-4
    assert np.isinf(certainty.interval(np.ones((1, 5)))).all() and np.isinf(certainty.interval(np.ones((1, 1)))).all()


def test_holm_by_hand():
    assert certainty.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert certainty.holm([]).tolist() == []
    # of ten questions without an answer, one set of answers in twenty holds a false one
    p_values = np.random.default_rng(0).uniform(size=(4000, 10))
    assert np.mean([certainty.holm(row).min() <= 0.05 for row in p_values]) == pytest.approx(0.05, abs=0.01)
