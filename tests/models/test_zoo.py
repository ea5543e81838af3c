import keras
import numpy as np
import pytest

from srnb import models
from srnb.models import zoo

# papers.md 1, 2, 7, 9, worked out from the papers' figures; SRCNN, patch discriminator: their authors' own counts
TRAINABLE = {
    "srcnn": 8_129,
    "vdsr": 665_921,
    "edsr": 43_089_923,
    "edsr_baseline": 1_517_571,
    "srresnet": 1_550_659,
    "msrresnet": 1_517_571,
    "rrdb": 16_697_987,
    "rrdb_unshuffle": 16_697_987 + 9 * 9 * 64,  # nine more channels in
    "rcan": 15_592_355,
    "srgan_discriminator": 23_565_505,
    "esrgan_discriminator": 14_499_401,
    "unet_sn_discriminator": 4_376_897,
}
TINY = {
    "srcnn": {"width": 4},
    "vdsr": {"width": 4, "blocks": 2},
    "drrn": {"width": 4, "blocks": 2},
    "edsr": {"width": 4, "blocks": 1},
    "edsr_baseline": {"width": 4, "blocks": 1},
    "srresnet": {"width": 4, "blocks": 1},
    "msrresnet": {"width": 4, "blocks": 1},
    "rrdb": {"width": 4, "blocks": 1, "growth": 2},
    "johnson": {"width": 4, "blocks": 1},
    "rcan": {"width": 16, "blocks": 1, "groups": 1},
    "asrgan_generator": {"width": 8, "blocks": 1},
    "compact": {"width": 4, "blocks": 1},
    "gated": {"width": 4, "blocks": 1},
    "srvgg": {"width": 4, "blocks": 1},
}


def run(model, picture, **options):
    return keras.ops.convert_to_numpy(model(picture, **options))


@pytest.mark.parametrize("name", TRAINABLE)
def test_parameters_are_those_of_the_paper(name):
    luma = {"channels": 1} if name in ("srcnn", "vdsr") else {}
    assert models.cost(name, **luma)["trainable"] == TRAINABLE[name]


def test_more_parameter_counts():
    def conv(inputs, maps):
        return 9 * inputs * maps + maps

    for scale in (2, 3, 4):  # twins of compact differ in the last convolution only
        by_hand = conv(3, 48) + 8 * 2 * conv(48, 48) + conv(48, 48) + conv(48, 3 * scale**2)
        assert models.cost("compact", scale=scale)["trainable"] == by_hand
    gate = 64 * 64 + 64
    by_hand = conv(3, 64) + 11 * (2 * conv(64, 64) + gate) + conv(64, 64) + conv(64, 48)
    assert models.cost("gated")["trainable"] == by_hand
    for blocks in (16, 32):  # PReLU has one slope for each map
        by_hand = conv(3, 64) + blocks * conv(64, 64) + (blocks + 1) * 64 + conv(64, 48)
        assert models.cost("srvgg", blocks=blocks)["trainable"] == by_hand
    assert models.cost("srvgg")["trainable"] == 1_213_296
    assert models.cost("rrdb", blocks=16)["trainable"] == 11_662_019
    assert models.cost("srresnet")["parameters"] == 1_554_883  # with BatchNorm's moving statistics
    assert models.cost("srgan_discriminator")["parameters"] == 23_569_217
    # DRRN B1U25: 297K weights, whatever the number of turns; BatchNorm has its own in every turn
    assert models.cost("drrn", channels=1, normalization="none")["trainable"] == 297_216
    # pix2pix counts 2,764,737 without normalisation; BatchNorm adds two numbers for each of 896 maps
    assert models.cost("patch_discriminator", normalization="none")["trainable"] == 2_764_737
    assert models.cost("patch_discriminator")["trainable"] == 2_764_737 + 2 * 896


def test_johnson_by_hand():
    def conv(kernel, inputs, maps):
        return kernel * kernel * inputs * maps + maps

    batch = 2 * 64  # scale and shift
    residual = 2 * (conv(3, 64, 64) + batch)
    for scale, doublings in ((4, 2), (8, 3)):
        by_hand = conv(9, 3, 64) + batch + 4 * residual + doublings * (conv(3, 64, 64) + batch) + conv(9, 64, 3)
        model = models.build("johnson", scale=scale)
        assert sum(np.prod(weight.shape) for weight in model.trainable_variables) == by_hand
        for height, width in ((5, 6), (12, 9)):
            shape = model.compute_output_shape((1, height, width, 3))
            assert shape == (1, height * scale, width * scale, 3)
    picture = 100 * np.random.default_rng(0).standard_normal((1, 7, 9, 3)).astype(np.float32)
    out = run(models.build("johnson", **TINY["johnson"]), picture, training=True)
    assert out.shape == (1, 28, 36, 3) and 0 <= out.min() < out.max() <= 1


def test_switches_add_nothing_where_they_are_off():
    off = {"srresnet": {"attention": "none", "residual_scale": 1.0}, "srgan_discriminator": {"attention": "none"}}
    for name, values in off.items():
        assert values.items() <= zoo.SPECS[name].items()
        kinds = {type(layer).__name__ for layer in models.build(name, width=4).layers}
        assert not kinds & {"FlexibleSelfAttention", "Rescaling"}
    kinds = [type(layer).__name__ for layer in models.build("rrdb", **TINY["rrdb"], residual_scale=1.0).layers]
    assert "Rescaling" not in kinds and kinds.count("Add") == 3 + 1 + 1
    plain = models.build("esrgan_discriminator", width=4, normalization="none")
    assert "BatchNormalization" not in {type(layer).__name__ for layer in plain.layers}


def test_the_residual_scale_is_that_of_every_block():
    model = models.build("srresnet", width=4, blocks=2, residual_scale=0.2)
    assert [layer.scale for layer in model.layers if type(layer).__name__ == "Rescaling"] == [0.2] * 2
    model = models.build("rrdb", **TINY["rrdb"])
    assert [layer.scale for layer in model.layers if type(layer).__name__ == "Rescaling"] == [0.2] * (3 + 1)


def test_attention_stands_where_asrgan_has_it():
    attention = "flexible_attention(pool=4)"
    generator = models.build("srresnet", width=64, blocks=1, attention=attention)
    layer = generator.get_layer("flexible_attention")
    assert layer.output.shape[-1] == 64 and layer.input is generator.get_layer("add").output
    discriminator = models.build("srgan_discriminator", width=64, attention=attention)
    layer = discriminator.get_layer("flexible_attention")
    behind = [each.name for each in discriminator.layers].index("flexible_attention")
    convolutions = [each for each in discriminator.layers[:behind] if type(each).__name__ == "Conv2D"]
    assert len(convolutions) == 6 and layer.output.shape[-1] == 256
    added = 2 * 256 * 256 // 8 + 256 * 256 + 1  # query and key of C/8, value of C, gamma
    assert discriminator.count_params() - models.build("srgan_discriminator", width=64).count_params() == added


def test_receptive_fields():
    assert models.cost("patch_discriminator")["receptive_field"] == 70  # "70x70", Isola et al. 2017
    body = {"body": zoo.SPECS["vdsr"]["body"][1], "width": 2, "blocks": 19}
    assert models.cost(body)["receptive_field"] == 41  # VDSR on the enlarged picture
    assert models.cost("rcan", **TINY["rcan"])["receptive_field"] is None
    with pytest.raises(
        ValueError, match=r"rcan must have a bounded receptive field. Received: a network with attention"
    ):
        models.receptive_field(models.build("rcan", **TINY["rcan"]))


def changed_by_one_pixel(model, side):
    """The rows of the output that a pixel in the middle of a black picture changes, brighter or darker.

    Without biases a black picture gives exactly nothing, so that rounding, which depends on where a value lies in
    memory, changes no row; with positive kernels nothing cancels, and what a ReLU cuts off for one sign it lets through
    for the other.
    """
    for weight in model.trainable_variables:
        value = np.abs(keras.ops.convert_to_numpy(weight)) + 0.01
        weight.assign(0 * value if weight.name in ("bias", "beta") else value)
    pictures = np.zeros((3, side, side, 3), np.float32)
    pictures[1:, side // 2, side // 2] = [[1], [-1]]
    out = run(model, pictures)
    assert not out[0].any()
    return np.nonzero(np.abs(out[1:]).max((0, 2, 3)))[0], out.shape[1] // side


@pytest.mark.parametrize("name", ["srcnn", "vdsr", "srresnet", "msrresnet"])
def test_the_receptive_field_is_what_one_pixel_changes(name):
    model = models.build(name, **TINY[name], scale=3 if name == "srcnn" else 2)
    field = models.receptive_field(model)
    side = field + 4
    rows, scale = changed_by_one_pixel(model, side)
    rows = rows // scale  # pixels of the input they are part of
    assert max(side // 2 - rows.min(), rows.max() - side // 2) == field // 2


def test_a_bounded_field_covers_what_one_pixel_changes_behind_strides():
    model = models.build("unet_sn_discriminator", width=2)
    field = models.receptive_field(model)
    side = 8 * (field // 8 + 2)
    rows, _ = changed_by_one_pixel(model, side)
    reach = max(side // 2 - rows.min(), rows.max() - side // 2)
    assert field // 4 < reach <= field // 2


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("scale", [3, 8])  # 2 and 4 are built elsewhere in this file
def test_generators_enlarge_any_size(name, scale):
    model = models.build(name, **TINY[name], scale=scale)
    picture = np.random.default_rng(0).random((1, 5, 6, 3), dtype=np.float32)
    out = run(model, picture)
    assert out.shape == (1, 5 * scale, 6 * scale, 3) and np.isfinite(out).all()


@pytest.mark.parametrize("name", [name for name in zoo.SPECS if "discriminator" in name])
def test_discriminators_take_any_patch(name):
    model = models.build(name, width=2)
    for side in (32, 48):
        out = run(model, np.random.default_rng(0).random((2, side, side, 3), dtype=np.float32), training=True)
        assert out.shape[0] == 2 and out.shape[-1] == 1 and np.isfinite(out).all()
    if name == "unet_sn_discriminator":
        assert out.shape == (2, 48, 48, 1)


def test_patches_that_strides_do_not_divide_are_refused_with_those_near_that_fit():
    for name in ("srgan_discriminator", "asrgan_discriminator", "patch_discriminator"):
        models.require_patch_size(name, 100, width=2)
    models.require_patch_size("srresnet", 84, 4, blocks=1)
    meeting = {"name": "meeting", "scale": 2, "body": ["k3n4s1", {"add": "k3n4s2 k4n4s1/2"}, "k3n12s1 shuffle2"]}
    growing = meeting | {"body": "k3n4s2 k4n4s1/2 k3n12s1 shuffle2"}  # 9 pixels of LR become 20
    folding = {**zoo.SPECS["rrdb_unshuffle"], **TINY["rrdb"]}
    for spec, scale, fits, wrong, near in (
        ("unet_sn_discriminator", 1, 96, 100, "96 and 104"),
        *((spec, 2, 16, 18, "16 and 20") for spec in (meeting, growing, folding)),
        (folding | {"unshuffle": 3}, 2, 12, 14, "12 and 18"),
    ):
        models.require_patch_size(spec, fits, scale)
        with pytest.raises(
            ValueError, match=rf"must suit the strides of \w+\. Received: {wrong} pixels; {near} would$"
        ):
            models.require_patch_size(spec, wrong, scale)
    with pytest.raises(ValueError, match=r"maps that meet in wrong must have one size\. Received: .*\(32, 32, 3\)"):
        models.require_scale({"name": "wrong", "scale": 2, "body": {"add": "k3n48s1 shuffle4", "skip": "bilinear"}}, 2)


@pytest.mark.parametrize("name", ["srresnet", "edsr_baseline", "msrresnet", "rcan", "compact", "srvgg"])
def test_a_constant_picture_shows_no_grid_at_the_start(name):
    """ICNR: away from the border every pixel of the output is the same (peers.md T22)."""
    model = models.build(name, **TINY[name])
    border = 4 * (models.cost(name, **TINY[name])["receptive_field"] or 21) // 2 + 4
    out = run(model, np.full((1, 24, 24, 3), 0.5, np.float32))[0, border:-border, border:-border]
    assert out.size and np.ptp(out, axis=(0, 1)).max() < 1e-5


def test_starting_weights_follow_the_papers():
    model = models.build("rrdb", blocks=2, width=32, growth=16)
    kernel = model.get_layer("rrdb1.rdb2.grow3.conv").kernel
    expected = 0.1 * np.sqrt(2 / (9 * kernel.shape[2]))  # He et al. 2015, times 0.1
    assert np.std(keras.ops.convert_to_numpy(kernel)) == pytest.approx(expected, rel=0.05)
    slope = models.build("srresnet", **TINY["srresnet"]).get_layer("prelu").alpha
    assert slope.shape == (1, 1, 4)  # shared over the picture
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(slope), 0.25)


def test_the_bilinear_skip_is_the_whole_picture_when_the_rest_is_silent():
    model = models.build("srresnet", **TINY["srresnet"], skip="bilinear")
    last = model.get_layer("conv_3")
    last.set_weights([weight * 0 for weight in last.get_weights()])
    picture = np.random.default_rng(0).random((1, 6, 6, 3), dtype=np.float32)
    expected = keras.ops.convert_to_numpy(keras.ops.image.resize(picture, (24, 24), interpolation="bilinear"))
    np.testing.assert_allclose(run(model, picture)[0, 4:-4, 4:-4], expected[0, 4:-4, 4:-4], atol=1e-5)
