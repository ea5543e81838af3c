"""Networks as specs that read like the papers' figures: `models.build("srresnet", blocks=4)`."""

from srnb.models import layers  # noqa: F401  registers the layers, so that Keras can load saved networks
from srnb.models.parser import build
from srnb.models.spec import resolve

__all__ = ["build", "resolve"]
