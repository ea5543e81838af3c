"""Networks as specs that read like the papers' figures: `models.build("srresnet", blocks=4)`."""

from srnb.models.graph import cost, describe, receptive_field, require_patch_size, require_scale, scale
from srnb.models.parser import build
from srnb.models.published import from_published, load_published
from srnb.models.spec import from_parameters, read, resolve
from srnb.models.weights import hashes_of, interpolate, load_weights, save_weights, spec_of, transfer

__all__ = [
    "build",
    "cost",
    "describe",
    "from_parameters",
    "from_published",
    "hashes_of",
    "interpolate",
    "load_published",
    "load_weights",
    "read",
    "receptive_field",
    "require_patch_size",
    "require_scale",
    "resolve",
    "save_weights",
    "scale",
    "spec_of",
    "transfer",
]
