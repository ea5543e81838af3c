"""Networks as specs that read like the papers' figures: `models.build("srresnet", blocks=4)`."""

from srnb.models.graph import cost, describe, receptive_field
from srnb.models.parser import build
from srnb.models.spec import resolve

__all__ = ["build", "cost", "describe", "receptive_field", "resolve"]
