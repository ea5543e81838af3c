"""What the precision "auto" stands for, by the flags that Linux shows of a processor."""

import keras
import pytest

from srnb import backend
from srnb.backend import processor

CPUS = {
    "Xeon Gold 6130 (Skylake)": ("GenuineIntel", "avx2 avx512f avx512bw", "float32"),
    "Xeon Platinum 8380H (Cooper Lake)": ("GenuineIntel", "avx2 avx512f avx512_bf16", "float32"),
    "Xeon Platinum 8480 (Sapphire Rapids)": (
        "GenuineIntel",
        "avx512f avx512_bf16 amx_bf16 amx_tile amx_int8",
        "bfloat16",
    ),
    "EPYC 7763 (Zen 3)": ("AuthenticAMD", "avx2", "float32"),
    "EPYC 9654 (Zen 4)": ("AuthenticAMD", "avx2 avx512f avx512_bf16", "bfloat16"),
}


@pytest.fixture
def cpu(monkeypatch):
    """A machine without an accelerator, with TensorFlow."""
    monkeypatch.setattr(backend, "accelerator", lambda: None)
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")


@pytest.mark.parametrize(("vendor", "flags", "precision"), CPUS.values(), ids=CPUS)
def test_auto_is_what_the_processor_multiplies(cpu, monkeypatch, tmp_path, vendor, flags, precision):
    core = f"processor : 0\nvendor_id\t: {vendor}\nflags\t\t: fpu sse2 {flags}\nbugs :\n\n"
    (tmp_path / "cpuinfo").write_text(core * 2)
    can = processor.multiplies_bfloat16(tmp_path / "cpuinfo")
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: can)
    assert backend.precision("auto") == precision


def test_without_linux_nothing_is_assumed(tmp_path):
    assert processor.multiplies_bfloat16(tmp_path / "absent") is False


def test_an_accelerator_has_bfloat16(monkeypatch):
    monkeypatch.setattr(backend, "accelerator", lambda: "NVIDIA H100")
    assert backend.precision("auto") == "bfloat16"


def test_jax_on_a_cpu_would_convert_every_convolution(cpu, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: True)
    assert backend.precision("auto") == "float32"


def test_a_training_goes_on_in_what_it_began_with(cpu, monkeypatch):
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: False)
    assert backend.precision("auto", recorded="bfloat16") == "bfloat16"
    assert backend.precision("float16", recorded="bfloat16") == "float16"  # which the trainer then refuses
