"""From networks to fair numbers.

inference    whole photographs up: tiles, self-ensemble, files
metrics      how far one picture is from another, per image, with the protocol
scenes       photographs made small, and what each model makes of them
tables       scenes measured: a tidy table, its means, the perception-distortion plane
comparison   what is better, worse, or not to be told apart
crops        the details worth a look
published    what papers print, and whether it may stand beside ours

Nothing in here imports a framework before a network is used.
"""

from srnb.evaluation.comparison import bootstrap
from srnb.evaluation.crops import area, differing_crops, failing_crops
from srnb.evaluation.published import marked, published_values
from srnb.evaluation.scenes import Scene, bicubic, held_out, upscale_pairs
from srnb.evaluation.tables import COLUMNS, DEFAULT_METRICS, evaluate, plane, summary, tabulate, validate

__all__ = [
    "COLUMNS",
    "DEFAULT_METRICS",
    "Scene",
    "area",
    "bicubic",
    "bootstrap",
    "differing_crops",
    "evaluate",
    "failing_crops",
    "held_out",
    "marked",
    "plane",
    "published_values",
    "summary",
    "tabulate",
    "upscale_pairs",
    "validate",
]
