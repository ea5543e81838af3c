"""scenes: what stands beside what."""

import numpy as np

from srnb import evaluation
from srnb.data import images


def test_hr_is_cropped_and_lr_is_made_of_what_is_left(photographs):
    scene = next(evaluation.pictures({}, photographs, scale=4))
    file = images.read(photographs[0][0])
    np.testing.assert_array_equal(scene["hr"], file[:48, :60])
    assert scene["lr"].shape == (12, 15, 3) and scene["sr"]["bicubic"].shape == (48, 60, 3)


def test_photographs_of_one_name_stay_two(photographs, tmp_path):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "photograph0.png"
    twin.write_bytes(photographs[1][0].read_bytes())
    names = [scene["image"] for scene in evaluation.pictures({}, [*photographs[:2], (twin, None)], scale=4)]
    assert names == [f"{tmp_path.name}/photograph0.png", "photograph1", "other/photograph0.png"]
