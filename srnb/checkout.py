"""Where the folders of a checkout are. The package is installed in place, so they stand beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
RESULTS = ROOT / "results"
DATA = ROOT / "data"


def presets(notebooks=NOTEBOOKS):
    """Return the folder of the presets that belong to a folder of notebooks."""
    return Path(notebooks) / "presets"


def grids(notebooks=NOTEBOOKS):
    """Return the folder of the grids that belong to a folder of notebooks."""
    return presets(notebooks) / "grids"
