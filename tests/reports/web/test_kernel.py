"""The committed WebAssembly is what its generator writes."""

import pytest

from srnb.reports.web import kernel


@pytest.mark.parametrize("name", kernel.FILES)
def test_bytes_follow_from_the_generator(name):
    assert (kernel.FOLDER / name).read_bytes() == kernel.module(relaxed=kernel.FILES[name])


@pytest.mark.parametrize(
    ("value", "encoded"), [(0, "00"), (63, "3f"), (64, "c000"), (127, "ff00"), (128, "8001"), (8192, "80c000")]
)
def test_constants_are_signed_leb128(value, encoded):
    assert kernel._const(value)[1:].hex() == encoded
