import json
import re

import keras
import numpy as np
import pytest
import yaml

from srnb import models
from srnb.models import zoo

SMALL = {
    "name": "small",
    "scale": 2,
    "blocks": 2,
    "width": 4,
    "where": {"residual": {"add": "k3n{width}s1 relu k3n{width}s1", "scale": 0.5}},
    "body": [
        "k3n{width}s1 prelu",
        {"add": [{"repeat": "residual", "times": "{blocks}"}, "k3n{width}s1"]},
        {"upscale": "k3n{width*factor*factor}s1 shuffle{factor}", "by": "{scale}"},
        "k3n{channels}s1",
    ],
}


def run(model, *shape):
    picture = np.random.default_rng(0).random(shape, dtype=np.float32)
    return keras.ops.convert_to_numpy(model(picture))


def test_a_spec_builds_a_named_network_for_any_size():
    model = models.build(SMALL)
    assert model.name == "small"
    assert run(model, 1, 5, 7, 3).shape == (1, 10, 14, 3)
    assert run(model, 2, 4, 3, 3).shape == (2, 8, 6, 3)


def test_layers_are_named_after_their_blocks():
    names = [layer.name for layer in models.build(SMALL).layers]
    assert {"conv", "prelu", "residual1.conv", "residual1.conv_2", "residual2.add", "upscale1.shuffle"} <= set(names)


def test_a_scaled_residual_is_worked_out_by_hand():
    model = models.build({"body": {"add": "k1n3s1", "scale": 0.2}})
    picture = np.random.default_rng(0).random((1, 2, 2, 3), dtype=np.float32)
    kernel, bias = (keras.ops.convert_to_numpy(variable) for variable in model.variables)
    expected = picture + 0.2 * (picture @ kernel[0, 0] + bias)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(picture)), expected, atol=1e-6)


def test_concat_keeps_the_input_in_front():
    out = run(models.build({"body": {"concat": "k3n5s1 relu"}}), 1, 4, 4, 3)
    assert out.shape == (1, 4, 4, 8)
    np.testing.assert_array_equal(out[..., :3], np.random.default_rng(0).random((1, 4, 4, 3), dtype=np.float32))


@pytest.mark.parametrize("maps", [1, 3])
def test_a_gate_is_worked_out_by_hand(maps):
    spec = {"body": {"multiply": f"k1n{maps}s1 sigmoid"}}
    model = models.build(spec)
    picture = np.random.default_rng(0).random((1, 2, 2, 3), dtype=np.float32)
    kernel, bias = (keras.ops.convert_to_numpy(variable) for variable in model.variables)
    expected = picture / (1 + np.exp(-(picture @ kernel[0, 0] + bias)))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(picture)), expected, atol=1e-6)
    assert models.cost(spec)["parameters"] == 4 * maps and models.cost(spec)["receptive_field"] == 1


def test_a_gate_sees_and_skips_what_its_entries_say():
    gate = {"body": {"multiply": "k3n3s1 k3n3s1 sigmoid", "skip": "k7n3s1"}}
    assert models.cost(gate)["receptive_field"] == 7  # the larger of both ways
    with pytest.raises(ValueError, match=r"body: must multiply by one channel or as many as it gets, 3. Received: 2"):
        models.build({"body": {"multiply": "k1n2s1"}})
    with pytest.raises(ValueError, match=r"body.skip: must be an entry that the gate multiplies"):
        models.build({"body": {"multiply": "k1n3s1", "skip": "none"}})
    with pytest.raises(ValueError, match=r"body.skip: must be an entry that stands in front"):
        models.build({"body": {"concat": "k1n3s1", "skip": "none"}})


@pytest.mark.parametrize(
    "body, shape",
    [
        ("k3n4s2", (1, 3, 4, 4)),
        ("k4n4s1/2", (1, 12, 16, 4)),
        ("k3n4s1(spectral=true, bias=false)", (1, 6, 8, 4)),
        ("k4n4s1/2(spectral=true)", (1, 12, 16, 4)),
        ("nearest2 k3n4s1", (1, 12, 16, 4)),
        ("bilinear3", (1, 18, 24, 3)),
        ("maxpool2 averagepool(size=2)", (1, 2, 2, 3)),
        ("adaptive5 flatten dense7 lrelu(0.2) dense1", (1, 1)),
        ("k3n8s1 attention flexible_attention(pool=2) channel_attention(reduction=4)", (1, 6, 8, 8)),
        ("globalaverage minibatch(kernels=4, dimensions=2)", (1, 7)),
        ("virtual_batch batch none tanh", (1, 6, 8, 3)),
        ({"rescale": {"scale": 2, "offset": [1, 2, 3]}}, (1, 6, 8, 3)),
    ],
)
def test_words(body, shape):
    assert run(models.build({"body": body}), 1, 6, 8, 3).shape == shape


def test_a_word_with_its_arguments_as_a_dict():
    picture = np.ones((1, 1, 1, 3), np.float32)
    out = models.build({"body": {"rescale": {"scale": 2, "offset": [1, 2, 3]}}})(picture)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(out)[0, 0, 0], [3, 4, 5])


def test_shared_repeats_have_one_set_of_weights():
    body = {"repeat": "batch k3n3s1", "times": 3}
    assert models.cost({"body": body})["trainable"] == 3 * (84 + 6)
    assert models.cost({"body": {**body, "shared": True}})["trainable"] == 84 + 3 * 6  # BatchNorm: each turn its own
    network = {"repeat": {"model": {"body": "k3n3s1"}}, "times": 3, "shared": True}
    assert models.cost({"body": network})["parameters"] == 84


def test_kept_tensors_are_recalled_and_returned():
    spec = {"body": ["k3n4s1 keep(first) relu", {"add": "k3n4s1", "skip": "recall(first)"}, "keep(last)"]}
    out = models.build({**spec, "outputs": ["first", "last"]})(np.ones((1, 4, 4, 3), np.float32))
    assert set(out) == {"first", "last"}


def test_overrides_replace_parameters_of_the_same_kind():
    assert run(models.build(SMALL, scale=3, width=2), 1, 4, 4, 3).shape == (1, 12, 12, 3)
    assert models.resolve(SMALL, scale=3)["scale"] == 3
    assert SMALL["scale"] == 2
    with pytest.raises(ValueError, match=r"overrides of small must be among .*blocks.*'blcks' \(did you mean 'blocks'"):
        models.build(SMALL, blcks=3)
    with pytest.raises(ValueError, match=r"width must be an integer, like 4. Received: 'wide'"):
        models.build(SMALL, width="wide")


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_a_resolved_spec_makes_the_same_network_from_a_file(tmp_path, kind):
    spec = models.resolve("rrdb", blocks=1, width=4, growth=2, scale=2)
    dump = json.dumps if kind == "json" else yaml.safe_dump
    (tmp_path / f"spec.{kind}").write_text(dump(spec))
    model = models.build(tmp_path / f"spec.{kind}")
    assert models.resolve(str(tmp_path / f"spec.{kind}")) == spec
    assert model.get_config() == models.build("rrdb", blocks=1, width=4, growth=2, scale=2).get_config()


@pytest.mark.parametrize(
    "entry, message",
    [
        (
            {"repeat": "resdual", "times": 2},
            r".repeat: no block or layer named 'resdual'; blocks: residual \(did you mean",
        ),
        ({"repeat": "residual", "times": 0}, r".times: must be a whole number from 1. Received: 0"),
        ({"repeat": "residual", "tims": 1}, r": must have one of the keys add, concat"),
        ({"add": ["relu", "k3n{widht}s1"]}, r".add\[1\]: no value named 'widht' \(did you mean 'width'\?\)"),
        ({"add": "k3n1s1"}, r": must add as many channels as it gets, 3. Received: 1"),
        ({"add": "relu", "scale": "x"}, r".scale: must be a number. Received: 'x'"),
        ({"model": "srresnt"}, r".model: .*did you mean 'srresnet'"),
        ("k3n{width/3}s1", r": \{width/3\} must divide without rest"),
        ("lrelu(slop=3)", r": lrelu.*arguments must be among slope"),
        ("lrelu(0.2", r": must be words with arguments in parentheses"),
        ("shuffle2", r": shuffle2 cannot take .*multiple of 4. Received: 3"),
        ("flatten dense1", r": dense1 cannot take"),
        ("recall(there)", r": nothing is kept as 'there'"),
        (3, r": must be a string, a list or a dict. Received: 3"),
    ],
)
def test_errors_name_the_path(entry, message):
    with pytest.raises(ValueError, match=r"^body\[4\]" + message):
        models.build({**SMALL, "body": [*SMALL["body"], entry]})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"where": {"residual": "nonsense"}}, r"^where.residual: no block or layer named 'nonsense'"),
        ({"where": {"relu": "k3n3s1"}}, r"^where: a block must not have the name of a layer"),
        (
            {"where": {"residual": ["relu", {"add": "residual"}]}},
            r"^where.residual: a block must not be a part of itself",
        ),
        ({"where": "residual"}, r"^where must be a dict. Received: 'residual'"),
        ({"widths": [1, 2]}, r"^widths must be a number or a string"),
        ({"conv": {"biass": False}}, r"^body\[0\]: k3n4s1 .* arguments must be among"),
        ({"outputs": ["there"]}, r"^outputs: nothing is kept as 'there'"),
    ],
)
def test_errors_in_other_keys(change, message):
    with pytest.raises(ValueError, match=message):
        models.build({**SMALL, **change})


def test_what_is_no_spec():
    with pytest.raises(ValueError, match="spec must name a network: srcnn"):
        models.build("nothing")
    with pytest.raises(ValueError, match="must have a 'body'"):
        models.build({"name": "empty"})
    with pytest.raises(ValueError, match="plain data"):
        models.build({"body": {"add": keras.layers.ReLU()}})
    with pytest.raises(FileNotFoundError):
        models.build("missing.yaml")


@pytest.mark.parametrize("content", [b"body: [k3n4s1", b"\xff\xfe\0", b"a: b: c", b"\t- body"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "damaged.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"^a spec file must be YAML or JSON\. Received: .*damaged\.yaml: .+$"):
        models.build(tmp_path / "damaged.yaml")


def test_a_gan_is_made_of_its_parts_without_copies(tmp_path):
    generator = models.build(SMALL)
    discriminator = models.build("srgan_discriminator", width=2, grid=1)
    gan = models.build(
        {
            "name": "gan",
            "body": [{"model": "g"}, "keep(sr)", {"model": "d"}, "keep(logits)"],
            "outputs": ["sr", "logits"],
        },
        parts={"g": generator, "d": discriminator},
    )
    assert gan.get_layer("small") is generator
    before = run_gan(gan)
    models.save_weights(generator, tmp_path / "g.safetensors")
    generator.set_weights([weight * 0 for weight in generator.get_weights()])
    assert np.all(run_gan(gan)["sr"] == 0)  # the parts are in the GAN, not copies of them
    models.load_weights(generator, tmp_path / "g.safetensors")
    np.testing.assert_array_equal(run_gan(gan)["logits"], before["logits"])

    discriminator.trainable = False
    assert len(gan.trainable_variables) == len(generator.trainable_variables)
    discriminator.trainable = True
    assert len(gan.trainable_variables) == len(generator.trainable_variables) + len(discriminator.trainable_variables)

    inner = models.build({"body": [{"model": "srresnet", "with": {"blocks": 1, "width": 4}}, {"model": SMALL}]})
    assert run(inner, 1, 3, 3, 3).shape == (1, 24, 24, 3)
    with pytest.raises(ValueError, match="must be left out for a built model"):
        models.build({"body": {"model": "g", "with": {"width": 3}}}, parts={"g": generator})


def run_gan(gan):
    picture = np.random.default_rng(0).random((2, 8, 9, 3), dtype=np.float32)
    return {name: keras.ops.convert_to_numpy(value) for name, value in gan(picture).items()}


def test_describe_prints_every_layer_and_the_sums(capsys):
    models.describe(SMALL, blocks=3)
    text = capsys.readouterr().out
    assert "residual1 … residual3, 3 equal blocks" in text
    assert re.search(r"k3n16s1 +H × W × 16 +592 ", text) and "2H × 2W × 4" in text
    parameters = 112 + 4 + 3 * 2 * 148 + 148 + 592 + 111
    assert f"small: {parameters:,} parameters, {parameters:,} of them trained; receptive field 21 x 21" in text


def test_multiply_adds_are_those_of_the_paper():
    assert models.cost("vdsr", channels=1)["multiply_adds"] == 9 * 64 + 18 * 9 * 64 * 64 + 9 * 64
    assert models.cost("srcnn", channels=1)["multiply_adds"] == 8032  # 9-1-5: its weights without biases
    head = models.cost("srgan_discriminator")
    assert head["multiply_adds_per_picture"] == 6 * 6 * 512 * 1024 + 1024 and head["receptive_field"] is None


@pytest.fixture
def bfloat16():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(policy)


GATED_LAST = {"body": "k3n16s1 k3n12s1 shuffle2 channel_attention(1)", "blocks": 1}
ENDS = ["srresnet", "compact", SMALL, GATED_LAST, "asrgan_generator", "srgan_discriminator", "asrgan_discriminator"]


@pytest.mark.parametrize("spec", ENDS)
def test_what_a_network_in_bfloat16_gives_is_not_rounded_to_it(bfloat16, spec):
    keras.utils.set_random_seed(1)  # gates of exactly a half would change no digit
    discriminator = str(spec).endswith("discriminator")
    network = models.build(spec, **({} if discriminator else {"blocks": 1}))
    side = 96 if discriminator else 12
    given = network(np.random.default_rng(0).random((2, side, side, 3), np.float32))
    assert network.layers[1].compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(network.output.dtype) == "float32"
    assert keras.backend.standardize_dtype(given.dtype) == "float32"
    rounded = keras.ops.cast(keras.ops.cast(given, "bfloat16"), "float32")
    assert np.mean(keras.ops.convert_to_numpy(given != rounded)) > 0.9


def test_in_bfloat16_a_skip_is_that_of_float32(bfloat16):
    network = models.build("compact", blocks=1)
    kernel = network.get_layer("conv_3").kernel
    kernel.assign(np.zeros(kernel.shape))
    lr = np.random.default_rng(0).integers(256, size=(1, 12, 12, 3)).astype(np.float32) / 255
    skip = network.get_layer("bilinear")(lr)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(network(lr)), keras.ops.convert_to_numpy(skip))
    levels = keras.ops.convert_to_numpy(skip) * 255
    assert abs(levels.mean() - lr.mean() * 255) < 0.1


def test_zoo_specs_are_plain_data():
    for name, spec in zoo.SPECS.items():
        assert json.loads(json.dumps(spec)) == spec and spec["name"] == name and spec["paper"]


def test_parameters_that_a_network_does_not_have_are_left_out_and_named():
    sample = {"blocks": 4, "width": 32, "normalization": "batch", "skip": "bilinear", "residual_scale": 0.0}
    spec, left_out = models.from_parameters("rrdb", scale=2, attention="", **sample)
    assert left_out == ["normalization", "skip"]  # empty and 0 were not asked for
    assert spec == models.resolve("rrdb", scale=2, blocks=4, width=32)
    spec, left_out = models.from_parameters("srresnet", scale=4, **sample)
    assert left_out == [] and spec["skip"] == "bilinear" and spec["residual_scale"] == 1.0
