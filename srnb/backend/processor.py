"""What the processor is good at."""

from functools import cache
from pathlib import Path

FEW = 4  # maps, RGB and one more: a convolution to so few takes a processor as long as one to 16


@cache
def flags(cpuinfo="/proc/cpuinfo"):
    """Return the names of the CPU's instruction sets as Linux lists them; none on other systems."""
    path = Path(cpuinfo)
    lines = path.read_text().splitlines() if path.is_file() else []
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))


def multiplies_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Return whether Linux lists AMX for bfloat16; False on other systems.

    AVX512-BF16 alone does not pay: a Xeon that has it without AMX trains `gated` in float32 at twice the pace.
    """
    return "amx_bf16" in flags(cpuinfo)
