"""What the processor can do fast."""

from functools import cache
from pathlib import Path

BFLOAT16 = ("amx_bf16", "avx512_bf16")  # flags of Linux' /proc/cpuinfo


@cache
def multiplies_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Return whether Linux lists instructions of the CPU that multiply bfloat16; False on other systems."""
    path = Path(cpuinfo)
    lines = path.read_text().splitlines() if path.is_file() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return any(flag in flags for flag in BFLOAT16)
