"""Whatever a run names is looked for, read or built before a kernel starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from srnb.runner import chain, preflight, presets
from srnb.training import objectives

OWN = chain.effective(presets.steps(), {})


def networks(asked):
    """Call `preflight.networks` with these parameters changed, in the notebooks that have them."""
    cells = {stem: cell | {name: value for name, value in asked.items() if name in cell} for stem, cell in OWN.items()}
    return preflight.networks(cells, OWN, backend="tensorflow")


def test_vgg19_without_a_network_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    asked = {"feature_network": "vgg19", "perceptual_weight": 1.0, "feature_layers": "block5_conv4"}
    file = tmp_path / "models" / "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(ValueError, match=f"must be in {file}: .* get https://.* elsewhere and put it there") as error:
        networks(asked)
    assert "\n" not in str(error.value)
    assert networks(asked | {"perceptual_weight": 0.0}) == {}


def test_the_networks_of_the_notebooks_need_no_look(monkeypatch):
    monkeypatch.setattr("subprocess.run", None)
    assert networks({}) == {}


def test_a_spec_file_is_found_from_where_its_user_stands_and_not_built_again_until_it_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"scale": 4, "width": 4, "body": "k3n{width*16}s1 shuffle{scale} k3n3s1"}))
    assert networks({"generator": "mine.json"}) == {"generator": str(file)}
    monkeypatch.setattr(sys, "executable", "nothing can be started by this name")
    assert networks({"generator": str(file)}) == {"generator": str(file)}
    os.utime(file, ns=(1, 1))
    with pytest.raises(FileNotFoundError, match="nothing can be started"):
        networks({"generator": str(file)})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"generator": "rrbd"}, r"^spec must name a network: .* \(did you mean 'rrdb'\?\)$"),
        (
            {"generator": "double.yaml", "scale": 4},
            "^a generator must enlarge by the scale of the run, 4. Received: double, which enlarges by 2$",
        ),
        ({"discriminator": "bad.yaml", "discriminator_width": 8}, r"^body\[1\]: no block or layer named 'lrule'"),
        ({"pixel_loss": "l3"}, "^a pixel loss must be one of l1, mse, .* Received: 'l3'$"),
    ],
)
def test_what_cannot_be_built_is_said(tmp_path, monkeypatch, asked, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text('width: 4\nbody: ["k3n{width}s2", "lrule"]\n')
    (tmp_path / "double.yaml").write_text('{name: double, scale: 2, body: "k3n12s1 shuffle2"}')
    with pytest.raises(ValueError, match=message):
        networks(asked)


def test_a_look_that_is_killed_is_said(monkeypatch):
    killed = subprocess.CompletedProcess([], -9, "", "")  # as where memory is short
    monkeypatch.setattr("subprocess.run", lambda *_, **__: killed)
    with pytest.raises(ValueError, match="must be made to be checked"):
        networks({"generator": "edsr", "width": 8})


WORDS = [
    (stem, name)
    for stem, cell in OWN.items()
    for name, value in cell.items()
    if isinstance(value, str) and name not in preflight.ELSEWHERE
]


@pytest.mark.parametrize(("stem", "name"), [word for word in WORDS if word[0] in ("02_pretrain", "03_gan")])
def test_no_word_of_a_training_is_first_read_by_its_notebook(stem, name):
    with pytest.raises(ValueError, match=r"Received: .*nonsense"):
        objectives.require(OWN[stem] | {"lpips_weight": 1.0, name: "nonsense"})


@pytest.mark.parametrize(("stem", "name"), [word for word in WORDS if word[0] == "04_evaluate"])
def test_nor_one_of_what_is_measured(stem, name):
    with pytest.raises((ValueError, FileNotFoundError), match=r"Received: .*nonsense"):
        preflight.measurements({stem: OWN[stem] | {name: "nonsense"}}, OWN)


def test_lists_may_have_spaces_and_folders_are_found_from_where_their_user_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    asked = {"test_sets": "sample, ./mine", "more_metrics": "ssim_y, lpips_vgg", "blends": "0.2, 0.8"}
    settled = preflight.measurements({"04_evaluate": OWN["04_evaluate"] | asked}, OWN)
    assert settled == {"test_sets": f"sample,{tmp_path / 'mine'}"}
    with pytest.raises(ValueError, match=r"^blends must be shares from 0 to 1, such as 0.2,0.8. Received: '1.2'$"):
        preflight.measurements({"04_evaluate": OWN["04_evaluate"] | {"blends": "0.2,1.2"}}, OWN)


def test_a_run_that_names_no_set_takes_none(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    assert chain.settle({"seed": 1}, presets.steps(("05",)), results=tmp_path, backend="tensorflow") == {"seed": 1}


def test_a_cache_that_cannot_be_made_is_said_before_a_kernel_starts(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SRNB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match="set SRNB_CACHE"):
        chain.settle({}, presets.steps(["01"]), results=tmp_path, backend="jax")
