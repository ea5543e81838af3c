"""The `srnb` command."""

# they add their commands to `main`, in this order
from srnb.cli import notebooks, results, sets, networks, evaluate, shipped  # noqa: F401, I001
from srnb.cli.command import main

__all__ = ["main"]
