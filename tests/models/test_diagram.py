"""What a drawing shows; how it looks is for eyes."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from srnb.models import diagram, zoo


def texts(spec, **overrides):
    root = ElementTree.fromstring(diagram.draw(spec, **overrides)._repr_svg_())
    return ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_generator_is_folded_and_its_skips_are_arcs():
    shown = texts("srresnet")
    assert "residual × 16" in shown and shown.count("k3n64s1  batch  prelu") == 1  # a block is drawn once
    assert shown.count("+") == 2 and {"2H × 2W", "4H × 4W"} <= set(shown)
    with_skip = texts("srresnet", blocks=3, skip="bilinear")
    assert "residual × 3" in with_skip and with_skip.count("+") == 3 and "bilinear4" in with_skip


def test_blocks_within_blocks_factors_and_concatenations():
    shown = texts("rrdb")
    assert {"rrdb × 23", "rdb × 3", "grow × 4", "‖"} <= set(shown) and shown.count("× 0.2") == 2


def test_a_discriminator_ends_in_numbers():
    shown = texts("srgan_discriminator")
    assert {"H/2 × W/2", "H/16 × W/16", "adaptive6  flatten", "dense1", "a number"} <= set(shown)


def test_gates_shared_weights_and_networks_as_layers():
    gate = {
        "name": "a < b",
        "scale": 2,
        "body": [{"multiply": "globalaverage sigmoid"}, {"model": "srcnn"}, "nearest2"],
    }
    shown = texts(gate)
    assert {"a < b", "×", "network srcnn", "2H × 2W"} <= set(shown)  # the gate itself has no size
    assert "unit × 25, same weights" in texts("drrn")


@pytest.mark.parametrize("name", zoo.SPECS)
def test_every_network_is_drawn_within_its_frame_for_any_ground(name):
    svg = diagram.draw(name).svg
    left, top, width, height = map(float, re.search(r'viewBox="([^"]*)"', svg)[1].split())
    for x, y, wide, high in re.findall(r'<rect x="([^"]*)" y="([^"]*)" width="([^"]*)" height="([^"]*)"', svg):
        if "rotate" not in svg:
            assert left <= float(x) and float(x) + float(wide) <= left + width
            assert top <= float(y) and float(y) + float(high) <= top + height
    assert not re.search(r"#000|#fff|black|white", svg)


def test_a_wrong_spec_is_refused_with_its_path():
    with pytest.raises(ValueError, match=r"body: no value named 'widht' \(did you mean 'width'\?\)"):
        diagram.draw({"width": 4, "body": "k3n{widht}s1"})
    with pytest.raises(ValueError, match=r"where\.a: a block must not be a part of itself"):
        diagram.draw({"where": {"a": "relu a"}, "body": "a"})
