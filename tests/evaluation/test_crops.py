"""crops: the place that matters is found."""

import numpy as np

from srnb import evaluation


def test_crops_find_the_place_and_stay_apart():
    hr = np.zeros((64, 80, 3), "float32")
    model = hr.copy()
    model[40:56, 10:26] = 1
    model[4:20, 60:76] = 0.5
    scene = evaluation.Scene("black", hr[::4, ::4], hr, sr={"bicubic": hr, "model": model})
    assert evaluation.differing_crops(scene, size=16, count=2) == [(40, 10, 16), (4, 60, 16)]
    assert evaluation.failing_crops(scene, "model", size=16, count=1) == [(40, 10, 16)]
    assert evaluation.differing_crops(scene, size=500, count=1)[0][2] == 64
    assert len(evaluation.differing_crops(scene, size=40, count=3)) == 2  # no room for a third beside them
    assert len(evaluation.failing_crops(scene, "model", size=500, count=3)) == 1


def test_only_pictures_that_are_shown_choose_the_place():
    hr = np.zeros((64, 80, 3), "float32")
    sr = {name: hr.copy() for name in ("bicubic", "one", "other")}
    sr["bicubic"][0:16, 0:16] = 1
    sr["other"][40:56, 10:26] = 0.2
    scene = evaluation.Scene("black", hr[::4, ::4], hr, sr=sr)
    assert evaluation.differing_crops(scene, size=16, count=1) == [(0, 0, 16)]
    (box,) = evaluation.differing_crops(scene, ["one", "other"], size=16, count=1)
    assert box == (40, 10, 16) and scene.sr["other"][evaluation.area(box)].min() == np.float32(0.2)
    assert evaluation.differing_crops(scene, ["bicubic", "HR"], size=16, count=1) == [(0, 0, 16)]
