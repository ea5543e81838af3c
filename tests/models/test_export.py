import keras
import numpy as np
import pytest
from click.testing import CliRunner

from srnb import models
from srnb.cli import main
from srnb.models import export

TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture(scope="module")
def network():
    """Bilinear skip, pixel shuffle, nearest: what makes sizes dynamic."""
    spec = {"scale": 2, "body": {"add": "k3n8s1 prelu nearest2 k3n12s1 shuffle2 k3n3s2", "skip": "bilinear"}}
    return models.build(spec)


def pictures():
    return [np.random.default_rng(0).random((1, height, 9, 3), dtype=np.float32) for height in (6, 11)]


def check(network, run):
    for picture in pictures():
        np.testing.assert_allclose(run(picture), keras.ops.convert_to_numpy(network(picture)), atol=1e-4)


def test_saved_model_takes_any_size(network, tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    for _ in range(2):  # once more over the first
        export.write(network, tmp_path / "net", format="saved_model")
    loaded = tensorflow.saved_model.load(tmp_path / "net")
    check(network, lambda picture: loaded.serve(picture).numpy())
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


@pytest.mark.skipif(not TENSORFLOW, reason="Keras writes LiteRT from TensorFlow only")
def test_litert_takes_any_size(network, tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    export.write(network, tmp_path / "net.tflite", format="litert")
    interpreter = tensorflow.lite.Interpreter(str(tmp_path / "net.tflite"))

    def run(picture):
        entry, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        interpreter.resize_tensor_input(entry, picture.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry, picture)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    check(network, run)


@pytest.mark.skipif(not TENSORFLOW, reason="Keras writes ONNX through tf2onnx here")
def test_onnx_takes_any_size(network, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs the extra `export`")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")
    network = keras.models.clone_model(network)  # as after loading: not called yet
    export.write(network, tmp_path / "net.onnx", format="onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    check(network, lambda picture: session.run(None, {session.get_inputs()[0].name: picture})[0])


def test_what_cannot_be_exported(network, tmp_path):
    known = "onnx, saved_model, litert, safetensors"
    with pytest.raises(ValueError, match=rf"format must be one of {known}. Received: 'pdf'"):
        export.write(network, tmp_path / "net.pdf", format="pdf")
    with pytest.raises(ValueError, match=r"an export as onnx must end in .onnx"):
        export.write(network, tmp_path / "net", format="onnx")
    with pytest.raises(ValueError, match=r"an export as safetensors must end in .safetensors"):
        export.write(network, tmp_path / "net.weights.h5", format="safetensors")
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="must go to a new path or over an earlier export"):
        export.write(network, tmp_path / "mine", format="saved_model")
    with pytest.raises(ValueError, match="an export as saved_model is a folder and must not end like a file"):
        export.write(network, tmp_path / "net.onnx", format="saved_model")


@pytest.mark.skipif(not TENSORFLOW, reason="Keras writes ONNX through tf2onnx here")
def test_packages_that_are_missing_are_named_with_what_installs_them(network, tmp_path, monkeypatch):
    monkeypatch.setitem(export.NEEDED, "onnx", ("keras", "nowhere_to_be_found"))
    with pytest.raises(ValueError, match=r"uv pip install nowhere_to_be_found\. Received: no nowhere_to_be_found$"):
        export.write(network, tmp_path / "net.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


def test_the_format_is_that_of_the_path():
    paths = {"a/net.onnx": "onnx", "net.tflite": "litert", "net.safetensors": "safetensors", "a.b/net": "saved_model"}
    assert {path: export.format_of(path) for path in paths} == paths
    with pytest.raises(ValueError, match=r"must end in .onnx, .tflite, .safetensors, or be a folder .* Received: n.h5"):
        export.format_of("n.h5")


def test_a_full_disk_is_said_in_a_line(small_disk):
    large = models.build({"scale": 2, "body": "k3n96s1 k3n256s1 k3n12s1 shuffle2"})  # more than a megabyte of weights
    with pytest.raises(OSError, match=f"No space left on device: '{small_disk / 'net'}'"):
        export.write(large, small_disk / "net", format="saved_model")
    assert not list(small_disk.iterdir())


def test_the_command_takes_the_format_from_the_path(tmp_path):
    command = ["export", "--model", "compact", "--out"]
    result = CliRunner().invoke(main, [*command, str(tmp_path / "x.safetensors")])
    assert result.exit_code == 0 and models.spec_of(tmp_path / "x.safetensors")["name"] == "compact"
    result = CliRunner().invoke(main, [*command, str(tmp_path / "x.pth")])
    assert result.exit_code == 1 and "an export must end in .onnx" in result.output
    result = CliRunner().invoke(main, [*command, str(tmp_path / "x.onnx"), "--format", "safetensors"])
    assert result.exit_code == 1 and "an export as safetensors must end in .safetensors" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
