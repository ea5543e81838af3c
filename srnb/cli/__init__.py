"""The `srnb` command."""

from srnb.cli import notebooks, sets, networks, evaluate, shipped  # noqa: F401, I001  they add their commands to `main`, in this order
from srnb.cli.command import main

__all__ = ["main"]
