"""From networks to fair numbers.

inference    whole photographs upscaled: tiles, self-ensemble, files
metrics      the distance between two pictures, per image, with its protocol
niqe         the metric that needs no original
scenes       photographs, downscaled and upscaled by each model
costs        what a network costs: parameters, multiply-adds, time, memory
tables       measured scenes: a tidy table, its means, the planes of perception and distortion, of quality and cost
comparison   which model is better, worse, or not distinguishable
certainty    intervals over photographs and seeds, corrected for many questions
ablation     a run and its variants: what they changed, what they measured
archive      ablations that are kept in git, as small tables
maps         where a picture differs from another, and at which frequencies
blind        results in pairs, without names, for people to choose from
crops        the details worth a look
published    what papers report, and whether it may be compared with ours

Importing this package imports no framework.
"""

from srnb.evaluation.ablation import changes, finals, measured, replicas, spread, stages, variants
from srnb.evaluation.comparison import agreement, findings, gains, intervals, sentences, verdicts
from srnb.evaluation.crops import area, differing_crops, failing_crops
from srnb.evaluation.metrics import WITHOUT_ORIGINAL
from srnb.evaluation.published import checked, marked, published_values
from srnb.evaluation.scenes import Scene, bicubic, enlarged_elsewhere, held_out, upscale_pairs
from srnb.evaluation.tables import (
    COLUMNS,
    DEFAULT_METRICS,
    by_image,
    collect,
    cost_plane,
    evaluate,
    in_words,
    plane,
    quality_and_costs,
    readable,
    summary,
    tabulate,
    undominated,
    validate,
)

__all__ = [
    "COLUMNS",
    "DEFAULT_METRICS",
    "WITHOUT_ORIGINAL",
    "Scene",
    "agreement",
    "area",
    "bicubic",
    "by_image",
    "changes",
    "checked",
    "collect",
    "cost_plane",
    "differing_crops",
    "enlarged_elsewhere",
    "evaluate",
    "failing_crops",
    "finals",
    "findings",
    "gains",
    "held_out",
    "in_words",
    "intervals",
    "marked",
    "measured",
    "plane",
    "published_values",
    "quality_and_costs",
    "readable",
    "replicas",
    "sentences",
    "spread",
    "stages",
    "summary",
    "tabulate",
    "undominated",
    "upscale_pairs",
    "validate",
    "variants",
    "verdicts",
]
