"""What the processor is good at."""

from functools import cache
from pathlib import Path

BFLOAT16 = ("amx_bf16", "avx512_bf16")  # flags of Linux' /proc/cpuinfo


@cache
def multiplies_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Whether the CPU has instructions that multiply bfloat16, as far as Linux tells."""
    path = Path(cpuinfo)
    lines = path.read_text().splitlines() if path.is_file() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return any(flag in flags for flag in BFLOAT16)
