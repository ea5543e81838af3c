"""optimizers: schedules against formulas, Adam's options against hand-made steps."""

import keras
import numpy as np
import pytest

from srnb.training import optimizers

pytestmark = pytest.mark.backends


def rates(steps, *arguments, **options):
    schedule = optimizers.schedule(*arguments, steps=steps, **options)
    return [float(schedule(step)) for step in range(steps)]


def test_constant_is_the_number_itself():
    assert optimizers.schedule("constant", 1e-4, steps=10) == 1e-4


def test_step_makes_exactly_as_many_updates_at_each_rate_as_the_paper_says():
    # SRGAN, section 3.2: 10^5 updates at 1e-4, then at 1e-5; here 3 and 3
    assert rates(6, "step", 1e-4, milestones=[3], factor=0.1) == pytest.approx([1e-4] * 3 + [1e-5] * 3)
    assert rates(6, "step", 1.0, milestones=[2, 4]) == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25])


def test_cosine_falls_to_the_lowest_and_restarts():
    half = [0.1 + 0.9 * (1 + np.cos(np.pi * step / 4)) / 2 for step in range(4)]
    assert rates(4, "cosine", 1.0, lowest=0.1) == pytest.approx(half, rel=1e-5)
    assert rates(8, "cosine", 1.0, lowest=0.1, cycles=2) == pytest.approx(half + half, rel=1e-5)


def test_a_cosine_begins_again_where_an_earlier_training_ended():
    first, again = rates(4, "cosine", 1.0), rates(10, "cosine", 1.0, restarts=[4])
    assert again[:4] == first
    assert again[4:] == pytest.approx(rates(6, "cosine", 1.0))
    assert again[4] == first[0] == 1.0


def test_warmup_climbs_from_zero_under_any_schedule():
    assert rates(5, "constant", 1.0, warmup=4) == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    plain = rates(8, "cosine", 1.0)
    assert rates(8, "cosine", 1.0, warmup=2) == pytest.approx([plain[0] / 2, *plain[1:]])


def test_sweep_grows_in_equal_factors():
    assert rates(4, "sweep", 1.0, lowest=1e-3) == pytest.approx([1e-3, 1e-2, 1e-1, 1], rel=1e-4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "linear"}, "constant, step, cosine or sweep"),
        ({"learning_rate": 0}, "positive"),
        ({"lowest": 2}, "lowest"),
        ({"name": "step"}, "milestones belong"),
        ({"milestones": [3]}, "milestones belong"),
        ({"name": "step", "milestones": [3, 2]}, "growing"),
        ({"name": "sweep"}, "above zero"),
        ({"restarts": [8]}, "restarts must be"),
        ({"name": "constant", "restarts": [2]}, "restarts must be"),
    ],
)
def test_what_makes_no_schedule_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        optimizers.schedule(**{"name": "cosine", "learning_rate": 1.0, "steps": 8} | arguments)


def test_clipping_bounds_the_norm_of_all_gradients_together():
    variables = [keras.Variable([0.0]), keras.Variable([0.0])]
    optimizer = optimizers.adam(1.0, beta_1=0.0, beta_2=0.0, clip_norm=1e-7)  # next to Adam's epsilon of 1e-7
    optimizer.build(variables)
    optimizer.apply([np.float32([3.0]), np.float32([4.0])], variables)
    moved = [-float(np.asarray(variable.value)[0]) for variable in variables]
    assert moved == pytest.approx([0.6 / 1.6, 0.8 / 1.8], rel=1e-3)


@pytest.mark.parametrize("options", [{"precision": "float8"}, {"accumulate": 0}, {"clip_norm": -1.0}])
def test_what_makes_no_optimizer_is_refused(options):
    with pytest.raises(ValueError, match="must"):
        optimizers.adam(1e-3, **options)
