"""symptoms: which logs raise an alarm, for each loss, and that it is raised once."""

import pytest

from srnb import losses
from srnb.training import symptoms


def log(**values):
    return [dict(values)] * symptoms.LINES


@pytest.mark.parametrize("name", ["vanilla", "least_squares", "hinge", "relativistic_average"])
def test_a_discriminator_that_knows_all_or_nothing_is_noticed(name):
    loss = losses.ADVERSARIAL[name]
    # the best that a constant verdict reaches, by hand: 2 log 2, 1/2, 2, 2 log 2
    ignorant = {"vanilla": 1.3863, "least_squares": 0.5, "hinge": 2.0, "relativistic_average": 1.3863}[name]
    assert "has won" in symptoms.find(log(discriminator=0.01 * ignorant), loss=loss)[0]
    assert "has given up" in symptoms.find(log(discriminator=ignorant), loss=loss)[0]
    assert symptoms.find(log(discriminator=0.5 * ignorant), loss=loss) == []


def test_a_loss_that_declares_no_bounds_is_left_alone():
    assert symptoms.find(log(discriminator=0.0), loss=lambda real, fake: losses.vanilla(real, fake)) == []


def test_a_critic_without_bounds_is_left_alone():
    assert symptoms.find(log(discriminator=-30.0), loss=losses.ADVERSARIAL["wasserstein"]) == []


def test_label_smoothing_moves_the_scale():
    smooth = losses.adversarial_loss("vanilla", real_target=0.9)
    assert "has won" in symptoms.find(log(discriminator=0.3275), loss=smooth)[0]  # the entropy of 0.9 is 0.3251


def test_colours_that_drift_are_noticed_once_and_only_when_it_lasts():
    drift = log(colour_drift=0.05)
    assert "5 grey levels" in symptoms.find(drift)[0]
    assert symptoms.find(drift[1:]) == []
    assert symptoms.find([*drift, *drift[:1]]) == []
    assert symptoms.find([{"colour_drift": 0.001}, *drift])[0].startswith("colours drift")
