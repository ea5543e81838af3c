"""Networks are read and built before a kernel starts."""

import json
import os
import sys

import pytest

from srnb.runner import preflight

OWN = {"generator": "srresnet", "discriminator": "srgan_discriminator"}
SAMPLE = OWN | {"blocks": 4, "width": 32, "normalization": "batch", "skip": "bilinear", "residual_scale": 0.0}


def test_vgg19_without_a_network_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    asked = SAMPLE | {"feature_network": "vgg19", "perceptual_weight": 1.0}
    file = tmp_path / "models" / "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(ValueError, match=f"must be in {file}: .* get https://.* elsewhere and put it there") as error:
        preflight.networks(asked, OWN)
    assert "\n" not in str(error.value)
    assert preflight.networks(asked | {"perceptual_weight": 0.0}, OWN) == {}


def test_the_networks_of_the_notebooks_need_no_look(monkeypatch):
    monkeypatch.setattr("subprocess.run", None)
    assert preflight.networks(SAMPLE, OWN) == {}


def test_a_network_that_was_built_is_not_built_again_until_its_file_changes(tmp_path, monkeypatch):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"scale": 4, "width": 4, "body": "k3n{width*16}s1 shuffle{scale} k3n3s1"}))
    asked = SAMPLE | {"generator": str(file)}
    preflight.networks(asked, OWN)
    monkeypatch.setattr(sys, "executable", "nothing can be started by this name")
    assert preflight.networks(asked, OWN) == {"generator": str(file)}
    os.utime(file, ns=(1, 1))
    with pytest.raises(FileNotFoundError, match="nothing can be started"):
        preflight.networks(asked, OWN)


def test_a_spec_file_is_found_from_where_its_user_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(
        json.dumps({"scale": 4, "width": 4, "body": "k3n{width*16}s1 shuffle{scale} k3n3s1"})
    )
    assert preflight.networks(SAMPLE | {"generator": "mine.json"}, OWN) == {"generator": str(tmp_path / "mine.json")}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"generator": "rrbd"}, r"^spec must name a network: .* \(did you mean 'rrdb'\?\)$"),
        (
            {"generator": "double.yaml", "scale": 4},
            "^a generator must enlarge by the scale of the run, 4. Received: double, which enlarges by 2$",
        ),
        ({"discriminator": "bad.yaml", "discriminator_width": 8}, r"^body\[1\]: no block or layer named 'lrule'"),
    ],
)
def test_what_cannot_be_built_is_said(tmp_path, monkeypatch, asked, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text('width: 4\nbody: ["k3n{width}s2", "lrule"]\n')
    (tmp_path / "double.yaml").write_text('{name: double, scale: 2, body: "k3n12s1 shuffle2"}')
    with pytest.raises(ValueError, match=message):
        preflight.networks(SAMPLE | asked, OWN)
