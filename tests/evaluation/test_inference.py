"""inference: tiles and turns must not change a picture, whatever its size."""

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from srnb import models, runs
from srnb.cli import main
from srnb.data import images, png, resize
from srnb.evaluation import inference, metrics
from srnb.models import forward


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    network = models.build("srresnet", blocks=1, width=4, scale=2)
    for variable in network.trainable_variables:  # away from their initial zeros and ones
        variable.assign_add(keras.random.normal(variable.shape, stddev=0.05, seed=1))
    return network


@pytest.fixture(scope="module")
def lr():
    return np.random.default_rng(0).random((61, 97, 3), dtype="float32")


def test_without_tiles_it_is_the_network_clipped(network, lr):
    expected = keras.ops.convert_to_numpy(network(lr[None], training=False))[0].clip(0, 1)
    sr = inference.upscale(network, lr, tile=0)
    assert sr.dtype == np.float32 and sr.shape == (122, 194, 3)
    np.testing.assert_allclose(sr, expected, atol=1e-5)  # a compiled network rounds in another order


@pytest.mark.parametrize(("tile", "batch_size"), [(16, 1), (16, 3), (40, 2), (61, 1)])
def test_tiles_that_cover_the_receptive_field_change_nothing(network, lr, tile, batch_size):
    whole = inference.upscale(network, lr, tile=0)
    tiled = inference.upscale(network, lr, tile=tile, batch_size=batch_size)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)  # the issue allows 1/255


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_with_strides_takes_any_size_and_tiles_change_nothing(lr, channels):
    keras.utils.set_random_seed(0)
    inner = {"add": "maxpool2 k3n4s1 nearest2 k3n4s1"}
    body = ["k3n4s1 prelu", {"add": ["k3n4s2 prelu", inner, "k4n4s1/2 prelu"]}, "k3n{4*channels}s1 shuffle2"]
    network = models.build({"scale": 2, "channels": channels, "body": body})
    whole = inference.upscale(network, lr, tile=0)
    assert whole.shape == (122, 194, 3)
    for options in ({"tile": 16}, {"tile": 27, "batch_size": 2}, {"memory": 100_000}):
        np.testing.assert_allclose(inference.upscale(network, lr, **options), whole, atol=1e-5)
    if channels == 3:  # 61 and 97 pixels are cells of four and a row and a column of them in part
        padded = np.pad(lr, [(0, 3), (0, 3), (0, 0)], "symmetric")
        expected = keras.ops.convert_to_numpy(network(padded[None]))[0, :122, :194]
        np.testing.assert_allclose(whole, expected.clip(0, 1), atol=1e-5)
    assert inference.upscale(network, lr[:1, :2]).shape == (2, 4, 3)


def test_a_network_on_folded_pixels_takes_any_size_and_tiles_change_nothing(lr):
    network = models.build("rrdb_unshuffle", width=4, blocks=1, growth=2)
    whole = inference.upscale(network, lr, tile=0)
    expected = keras.ops.convert_to_numpy(network(np.pad(lr, [(0, 1), (0, 1), (0, 0)], "symmetric")[None]))
    np.testing.assert_allclose(whole, expected[0, :122, :194].clip(0, 1), atol=1e-5)
    for options in ({"tile": 17}, {"tile": 30, "batch_size": 2}):
        np.testing.assert_allclose(inference.upscale(network, lr, **options), whole, atol=1e-5)


def test_the_receptive_field_is_not_larger_than_it_must_be(network, lr):
    whole = inference.upscale(network, lr, tile=0)
    radius = models.receptive_field(network) // 2
    short = inference.upscale(network, lr, tile=16, overlap=max(radius - inference.BLEND, 0))
    assert np.abs(short - whole).max() > 1e-5


def test_a_network_that_sees_everything_takes_the_picture_whole(lr):
    inputs = keras.Input((None, None, 3))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    network = keras.Model(inputs, keras.layers.UpSampling2D(2)(keras.layers.Subtract()([inputs, mean])))
    whole = inference.upscale(network, lr, tile=0)
    np.testing.assert_allclose(inference.upscale(network, lr, tile=16), whole, atol=1e-6)
    assert np.abs(inference.upscale(network, lr, tile=16, overlap=0) - whole).max() > 1e-3


def test_a_network_with_channel_attention_is_exact_or_refused(lr):
    keras.utils.set_random_seed(0)
    network = models.build("rcan", groups=1, blocks=1, width=8, reduction=4, scale=2)
    whole = inference.upscale(network, lr)
    body, tail = forward.halves(network)
    enough = body.memory(61 * 97)
    assert tail.memory(61 * 97) > enough  # behind the enlargement it goes in tiles
    np.testing.assert_allclose(inference.upscale(network, lr, memory=enough), whole, atol=1e-5)
    np.testing.assert_allclose(inference.upscale(network, lr, memory=enough, tile=16), whole, atol=1e-5)
    with pytest.raises(ValueError, match=r"looks at all of it at once: about 54x54 pixels .* Received: 97x61"):
        inference.upscale(network, lr, memory=enough // 2)


@pytest.mark.parametrize("memory", [1, 10**5, 10**6, 10**7])
def test_memory_decides_on_tiles_which_change_nothing(network, lr, memory):
    whole = inference.upscale(network, lr, tile=0)
    np.testing.assert_allclose(inference.upscale(network, lr, memory=memory), whole, atol=1e-5)
    rows, columns = (count for (windows, _) in _tiles(network, lr.shape[:2], memory) for count in [len(windows)])
    assert (rows * columns > 1) == (memory < 10**7)


def _tiles(network, shape, memory):
    return inference._Network(network, "float32", memory).tiles(shape, None, None)


def test_tiles_cost_little_up_to_twelve_megapixels():
    paper = models.build("srresnet")
    for memory in (2**30, 4 * 2**30):
        for shape in ((750, 1000), (866, 866), (433, 1732)):
            (rows, height), (columns, width) = _tiles(paper, shape, memory)
            assert len(rows) * height * len(columns) * width <= 1.25 * shape[0] * shape[1]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles for each shape")
def test_pictures_of_many_sizes_are_traced_once(network, caplog):
    for side in range(16, 32):
        inference.upscale(network, np.zeros((side, 2 * side, 3), "float32"))
    assert not [record for record in caplog.records if "retracing" in record.getMessage()]
    assert all(half.run.experimental_get_tracing_count() == 1 for half in forward.halves(network))


def test_short_overlaps_fade_instead_of_leaving_a_seam():
    def shifted(batch):  # each window comes out in another brightness: the worst seam
        return np.full((*batch.shape[:1], *(2 * n for n in batch.shape[1:3]), 3), batch.mean(), "float32")

    ramp = np.linspace(0, 1, 64, dtype="float32")[None, :, None].repeat(64, 0).repeat(3, 2)
    sr = inference.upscale(shifted, ramp, tile=16, overlap=0)
    steps = np.abs(np.diff(sr[..., 0], axis=1))
    assert sr.max() - sr.min() > 0.5 and steps.max() < 0.04  # four plateaus 0.25 apart, each step spread over 16 pixels


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 90), (33, 2)])
def test_any_size_is_possible(network, shape):
    lr = np.random.default_rng(1).random((*shape, 3), dtype="float32")
    whole = inference.upscale(network, lr, tile=0)
    assert whole.shape == (2 * shape[0], 2 * shape[1], 3)
    np.testing.assert_allclose(inference.upscale(network, lr, tile=16), whole, atol=1e-5)


def test_the_ensemble_is_the_mean_over_eight_orientations(network, lr):
    lr = lr[:20, :30]
    expected = 0
    for flipped in (False, True):
        for turns in range(4):
            turned = np.rot90(lr.transpose(1, 0, 2) if flipped else lr, turns)
            answer = keras.ops.convert_to_numpy(network(turned[None].copy(), training=False))[0]
            answer = np.rot90(answer, -turns)
            expected = expected + (answer.transpose(1, 0, 2) if flipped else answer) / 8
    sr = inference.upscale(network, lr, ensemble=True)
    np.testing.assert_allclose(sr, expected.clip(0, 1), atol=1e-5)
    np.testing.assert_allclose(inference.upscale(network, lr, ensemble=True, tile=16), sr, atol=1e-5)


def test_strips_come_from_top_to_bottom_and_progress_is_told(network, lr):
    seen = []
    strips = list(inference.strips(network, lr, tile=16, progress=lambda done, total: seen.append((done, total))))
    assert len(strips) == 4 and max(len(strip) for strip in strips) < 61
    np.testing.assert_array_equal(np.concatenate(strips), inference.upscale(network, lr, tile=16))
    assert seen == [(number, 28) for number in range(1, 29)]


def test_the_network_keeps_its_weights_and_still_works(network, lr):
    before = [keras.ops.convert_to_numpy(variable) for variable in network.variables]
    strips = inference.strips(network, lr, tile=16)
    next(strips)
    network(lr[None, :8, :8])  # used by someone else between two strips
    list(strips)
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)


@pytest.mark.parametrize("options", [{"tile": 0}, {"tile": 16}, {"tile": 16, "ensemble": True}])
def test_a_network_of_one_channel_gets_luma_and_chroma_is_bicubic(lr, options):
    lr = 0.45 + 0.1 * lr  # far from black and white: nothing is clipped
    network = models.build("vdsr", channels=1, scale=2, width=4, blocks=1)
    network.set_weights([0.1 * weight for weight in network.get_weights()])
    assert models.scale(network) == 2
    sr = inference.upscale(network, lr, **options)
    assert sr.shape == (122, 194, 3) and sr.dtype == np.float32
    luma = metrics.luma(255 * lr.astype("float64")).astype("float32") / 255
    if "ensemble" not in options:
        expected = keras.ops.convert_to_numpy(network(luma[None]))[0]
        np.testing.assert_allclose(metrics.luma(255 * sr.astype("float64")) / 255, expected, atol=1e-5)
    chroma = (sr @ inference.YCBCR.T)[..., 1:]
    np.testing.assert_allclose(chroma, resize.imresize((lr @ inference.YCBCR.T)[..., 1:], 2), atol=1e-5)

    network.set_weights([weight * 0 for weight in network.get_weights()])  # its bicubic skip alone is left
    inside = slice(4, -4)  # imresize mirrors the picture at its edge
    bicubic = resize.imresize(lr, 2)[inside, inside]
    np.testing.assert_allclose(inference.upscale(network, lr, **options)[inside, inside], bicubic, atol=1e-5)


def test_what_cannot_be_upscaled_is_refused(network):
    for bad in (np.zeros((8, 8), "float32"), np.zeros((8, 8, 4), "float32"), np.zeros((0, 8, 3), "float32")):
        with pytest.raises(ValueError, match="lr must have shape"):
            inference.upscale(network, bad)
    with pytest.raises(ValueError, match="float"):
        inference.upscale(network, np.zeros((8, 8, 3), "uint8"))
    for options in ({"tile": 4}, {"tile": -1}, {"overlap": -1}, {"batch_size": 0}, {"memory": 0}):
        with pytest.raises(ValueError, match="tile must"):
            inference.upscale(network, np.zeros((8, 8, 3), "float32"), **options)
    with pytest.raises(ValueError, match="finite"):
        inference.upscale(lambda batch: batch * np.nan, np.ones((8, 8, 3), "float32"))


# ------------------------------------------------------------------------------------------------ files


@pytest.fixture(scope="module")
def run(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "little"
    record = runs.Run(folder)
    record.update(generator=models.resolve("srresnet", blocks=1, width=4, scale=2))
    models.save_weights(network, record.weights / "pretrained.weights.h5")
    return folder


def photo(mode):
    """Return a Pillow picture of 40x30 pixels in a mode, with a transparent left half where the mode has that."""
    random = np.random.default_rng(2)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (30, 40), dtype="uint16"))
    picture = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype="uint8")).convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(Image.fromarray(np.repeat(np.where(np.arange(40) < 20, 0, 255)[None], 30, 0).astype("uint8")))
    return picture


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_files_keep_their_channels(network, tmp_path, mode):
    photo(mode).save(tmp_path / "photo.png")
    inference.upscale_file(network, tmp_path / "photo.png", tmp_path / "large.png", tile=16)
    with Image.open(tmp_path / "large.png") as large:
        assert (large.mode, large.size) == (mode, (80, 60))
        if mode in ("LA", "RGBA"):  # bicubic has a step of one sign, an overshoot clipped, and the ends untouched
            alpha = np.asarray(large.getchannel("A"))
            assert (alpha[:, :34] == 0).all() and (alpha[:, 46:] == 255).all()
    if mode == "RGB":
        expected = images.to_uint8(inference.upscale(network, images.read(tmp_path / "photo.png"), tile=0))
        np.testing.assert_allclose(images.to_uint8(images.read(tmp_path / "large.png")), expected, atol=1)


def test_sixteen_bits_are_kept_in_colour(network, tmp_path):
    lr = np.random.default_rng(3).random((20, 25, 3))
    images.write(tmp_path / "photo.png", lr, bits=16)
    inference.upscale_file(network, tmp_path / "photo.png", tmp_path / "large.png")
    expected = inference.upscale(network, images.read(tmp_path / "photo.png"))
    assert np.abs(images.read(tmp_path / "large.png") - expected).max() < 1e-4  # 8 bit would be off by up to 2e-3


def test_what_is_invisible_does_not_bleed_into_what_is_not(tmp_path):
    picture = np.full((16, 16, 4), 200, "uint8")
    picture[:, :8] = 0  # transparent black beside opaque grey
    Image.fromarray(picture).save(tmp_path / "photo.png")

    def blurred(batch):
        mean = (batch + np.roll(batch, 1, 2) + np.roll(batch, -1, 2)) / 3
        return mean.repeat(2, 1).repeat(2, 2)

    inference.upscale_file(blurred, tmp_path / "photo.png", tmp_path / "large.png", overlap=2)
    large = np.asarray(Image.open(tmp_path / "large.png"))
    assert (large[..., :3] == 200).all()


def test_png_strips_are_read_back(tmp_path):
    random = np.random.default_rng(4)
    for channels in (1, 2, 3, 4):
        picture = random.random((23, 17, channels))
        png.write(tmp_path / "strips.png", iter(np.split(picture, [5, 6, 20])))
        back = np.asarray(Image.open(tmp_path / "strips.png")).reshape(23, 17, channels)
        np.testing.assert_array_equal(back, images.to_uint8(picture))
    with pytest.raises(ValueError, match="one width"):
        png.write(tmp_path / "other.png", iter([np.zeros((2, 3, 3)), np.zeros((2, 4, 3))]))
    assert [path.name for path in tmp_path.iterdir()] == ["strips.png"]  # nothing half-made is left


def test_a_run_gives_its_newest_generator(run, network, lr, tmp_path):
    expected = inference.upscale(network, lr, tile=0)
    for path in (run, run / "weights" / "pretrained.weights.h5"):
        np.testing.assert_array_equal(inference.upscale(inference.load(path), lr, tile=0), expected)
    with pytest.raises(FileNotFoundError, match="must hold weights/gan"):
        inference.load(tmp_path)
    (tmp_path / "lost.weights.h5").write_bytes((run / "weights" / "pretrained.weights.h5").read_bytes())
    with pytest.raises(ValueError, match=r"run\.json"):
        inference.load(tmp_path / "lost.weights.h5")


def test_a_file_is_told_by_its_ending(tmp_path):
    (tmp_path / "net.pth").write_text("no weights")
    with pytest.raises(ValueError, match="must be a PyTorch file of tensors"):
        inference.load(tmp_path / "net.pth")
    with pytest.raises(FileNotFoundError, match="a model must be"):
        inference.load(tmp_path / "net.h5")


def test_an_exported_file_is_a_network_wherever_it_lies(run, network, lr, tmp_path):
    exported = tmp_path / "elsewhere" / "net.safetensors"
    exported.parent.mkdir()
    command = ["export", "--model", str(run), "--format", "safetensors", "--out", str(exported)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(
        inference.upscale(inference.load(exported), lr, tile=0), inference.upscale(network, lr, tile=0)
    )
    photo("RGB").save(tmp_path / "photo.png")
    command = ["upscale", str(tmp_path / "photo.png"), "--model", str(exported), "--out", str(tmp_path)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert Image.open(tmp_path / "photo_x2.png").size == (80, 60)


def test_a_file_without_a_network_is_refused(network, tmp_path):
    bare, odd = tmp_path / "bare.safetensors", tmp_path / "odd.safetensors"
    models.save_weights(network, bare)
    with pytest.raises(ValueError, match=r"must hold the weights of a generator: .* weights, first batch"):
        inference.load(bare)
    models.save_weights(network, odd, spec="srresnet")
    with pytest.raises(ValueError, match=r"its spec must be an object\. Received: str"):
        inference.load(odd)
    models.save_weights(network, odd, spec={"body": 5})
    with pytest.raises(ValueError, match=r"the spec of .*odd\.safetensors must be that of a network. Received: body:"):
        inference.load(odd)
    models.save_weights(network, odd, spec=models.resolve("srresnet", blocks=2, width=4, scale=2))
    with pytest.raises(ValueError, match="must have the same weights"):
        inference.load(odd)
    odd.write_bytes(odd.read_bytes()[:999])
    with pytest.raises(ValueError, match="a weight file must be whole"):
        inference.load(odd)


def test_the_command_does_what_it_can_and_names_the_rest(run, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    photo("RGB").save(photos / "good.png")
    photo("L").save(photos / "good.jpg")
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "lost.png").symlink_to("nowhere")
    command = ["upscale", str(photos), str(tmp_path / "none.png"), "--model", str(run), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, [*command, str(tmp_path / "links")])
    assert result.exit_code == 1
    assert "4 not done" in result.output and "Traceback" not in result.output and "lost.png" in result.output
    assert "broken.png" in result.output and "none.png" in result.output and "another photo" in result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good_x2.png"]
    result = CliRunner().invoke(main, [*command[:1], str(photos / "good.jpg"), *command[3:]])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, ["upscale", str(photos), "--model", "nothing", "--out", str(tmp_path)])
    assert result.exit_code == 1 and "nothing" in result.output


def test_the_command_says_what_it_wrote_and_overwrites_no_photo(run, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    photo("RGB").save(photos / "a.png")
    photo("L").save(photos / "b.png")
    command = ["upscale", str(photos), "--model", str(run), "--out"]
    result = CliRunner().invoke(main, [*command, str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    written = [tmp_path / "out" / f"{name}_x2.png" for name in "ab"]
    assert result.stdout.splitlines() == [f"{path} · 80x60 · little" for path in written]
    photo("RGB").save(photos / "b_x2.png")
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    for arguments in ([*command, str(photos)], [*command, str(tmp_path / "out" / ".." / "photos")]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1 and "no PHOTO may be overwritten" in result.output
        assert "b_x2.png, which" in result.output
        assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
