"""The dial between two networks: one detail of a picture and its dot on the perception-distortion plane.

All frames are computed in advance, so it works without a kernel, also in a report.
"""

import html

import numpy as np
from IPython.display import HTML

from srnb import evaluation, models
from srnb.evaluation.metrics import METRICS
from srnb.reports import figures
from srnb.reports.controls import still
from srnb.reports.controls.page import piece

WIDTH, HEIGHT = 340, 280
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 40
STYLE = (
    ".dial{display:flex;flex-wrap:wrap;gap:18px;align-items:flex-end;font:13px/1.5 system-ui,sans-serif}"
    ".dial .frames{flex:0 1 360px;display:flex;flex-wrap:wrap;gap:8px}.dial figure{margin:0}"
    ".dial img{display:block;max-width:100%;height:auto}.dial [hidden]{display:none}.dial .turn{flex-basis:100%}"
    ".dial input{width:min(360px,100%)}.dial svg{flex:0 1 340px;max-width:100%;height:auto;overflow:visible}"
    ".dial text{fill:currentColor;font:11px system-ui,sans-serif}"
)


def detail(scene, ends, *, side=256, count=7):
    """Return the detail of a scene in which two networks differ most, as a `Scene` with bicubic and all blends.

    scene: one with the results of both. ends: name -> network, the one of lower distortion first. side: in pixels of
    HR, less in a small picture. count: number of blends including both ends, named "0%" to "100%".
    """
    top, left, side = evaluation.differing_crops(scene, list(ends), size=side, count=1)[0]
    place = (each // scene.scale * scene.scale for each in (top, left))
    side = side // scene.scale * scene.scale
    rows, columns = (slice(start, start + side) for start in place)
    low = tuple(slice(each.start // scene.scale, each.stop // scene.scale) for each in (rows, columns))
    part = evaluation.Scene(scene.image, scene.lr[low], scene.hr[rows, columns])
    part.upscale("bicubic", lambda lr: evaluation.bicubic(lr, scene.scale))
    blend = None
    for share in np.linspace(0, 1, count):
        blend = models.interpolate(*ends.values(), float(share), into=blend)
        part.upscale(f"{share:.0%}", blend)
    return part


def show(part, *, names):
    """Return the dial of a `detail`; `names` are those of its two networks."""
    table = evaluation.tabulate([part], dataset="detail", metrics=["psnr_y", "lpips_alex"])
    points = evaluation.plane(table, dataset="detail")
    return HTML(f"<style>{STYLE}</style>{piece(_content(part, points, names), kind='dial', script='dial.js')}")


def _content(part, points, names):
    x, y = _axis(points["rmse"], LEFT, WIDTH - RIGHT), _axis(points["lpips_alex"], HEIGHT - BOTTOM, TOP)
    blends = [name for name in part.sr if name != "bicubic"]
    placed = {name: (x(row["rmse"]), y(row["lpips_alex"])) for name, row in points.iterrows()}
    frames, chosen = "", len(blends) // 2
    for name in blends:
        rmse, lpips = points.loc[name]
        note = f"{name} {names[1]}: RMSE {rmse:.2f}, LPIPS {lpips:.4f}"
        across, up = placed[name]
        frames += (
            f'<figure data-name="{html.escape(note)}" data-x="{across:.1f}" data-y="{up:.1f}">'
            f"{still.image(part.sr[name], note, width=360)}<figcaption>{html.escape(note)}</figcaption></figure>"
        )
    line = " ".join(f"{across:.1f},{up:.1f}" for across, up in (placed[name] for name in blends))
    dots = "".join(f'<circle cx="{placed[name][0]:.1f}" cy="{placed[name][1]:.1f}" r="3"/>' for name in blends)
    labels = {"bicubic": "bicubic", blends[0]: names[0], blends[-1]: names[1]}
    words = "".join(_label(*placed[name], text) for name, text in labels.items())
    bicubic = f'<rect x="{placed["bicubic"][0] - 4:.1f}" y="{placed["bicubic"][1] - 4:.1f}" width="8" height="8"/>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    plane = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="LPIPS over RMSE of this detail" '
        f'fill="{figures.INK}"><path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" '
        f'stroke="{figures.INK}"/><polyline points="{line}" fill="none" stroke="{figures.INK}"/>{dots}{bicubic}{words}'
        f'<circle class="now" cx="{placed[blends[chosen]][0]:.1f}" cy="{placed[blends[chosen]][1]:.1f}" r="8" '
        f'fill="{figures.COLOURS[1]}"/><text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">RMSE on Y (grey '
        f'levels), to the left nearer to the truth</text><text transform="translate(12 {HEIGHT / 2}) rotate(-90)" '
        f'text-anchor="middle">{METRICS["lpips_alex"].name}, further down like a photo</text>'
        f"{_ends(points['rmse'], x, True)}{_ends(points['lpips_alex'], y, False)}</svg>"
    )
    slider = f'<input type="range" min="0" max="{len(blends) - 1}" value="{chosen}" aria-label="share of {names[1]}">'
    turn = f'<div class="turn" hidden>{html.escape(names[0])} {slider} {html.escape(names[1])}</div>'
    return f'{turn}<div class="frames">{frames}</div>{plane}'


def _label(across, up, text):
    anchor, shift = ("end", -10) if across > WIDTH - RIGHT - 60 else ("start", 10)
    below = 18 if text == "bicubic" else -8  # which often lies near the truer network
    return f'<text x="{across + shift:.1f}" y="{up + below:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _ends(values, place, across):
    """Return the labels of an axis: its lowest and highest value."""
    labels = ""
    for value in (values.min(), values.max()):
        at = place(value)
        where = f'x="{at:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle"'
        where = where if across else f'x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end"'
        labels += f"<text {where}>{value:.3g}</text>"
    return labels


def _axis(values, low, high):
    """Return the function from values to positions between `low` and `high`, with a margin of a tenth at both ends."""
    span = (values.max() - values.min()) or 1
    room = 0.1 * (high - low)
    return lambda value: low + room + (value - values.min()) / span * (high - low - 2 * room)
