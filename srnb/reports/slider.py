"""A before/after slider as plain HTML: pictures inside, no script file, no kernel, no network.

Drag anywhere on the picture, or use the arrow keys; choose what is on either side and how far to zoom in. While zoomed,
the picture follows the pointer.
"""

import base64
import html
import io
import uuid

import numpy as np
from PIL import Image

from srnb.data import images

STYLE = """
.compare{--x:50%;--z:1;--px:50%;--py:50%;display:block;max-width:100%;margin:0;font:14px/1.4 system-ui,sans-serif}
.compare .stage{position:relative;width:min(100%,78vh*var(--a));aspect-ratio:var(--a);margin:auto;
  overflow:hidden;border-radius:8px;background:#8882;line-height:0}
.compare .side{position:absolute;inset:0;overflow:hidden;clip-path:inset(0 calc(100% - var(--x)) 0 0)}
.compare .side+.side{clip-path:inset(0 0 0 var(--x))}
.compare i{position:absolute;inset:0;background-size:100% 100%;image-rendering:var(--r,auto);print-color-adjust:exact;
  transform:scale(var(--z));transform-origin:var(--px) var(--py)}
.compare .line{position:absolute;top:0;bottom:0;left:var(--x);width:2px;margin-left:-1px;background:#fff;
  box-shadow:0 0 4px #000a;pointer-events:none}
.compare .line::after{content:"\\2194";position:absolute;top:50%;left:50%;width:34px;height:34px;margin:-17px;
  border-radius:50%;background:#fffd;color:#222;box-shadow:0 1px 5px #0007;font:20px/34px system-ui;text-align:center}
.compare .stage input{position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;cursor:ew-resize}
.compare .stage:focus-within .line::after{outline:3px solid #3b82f6}
.compare .choices{display:flex;flex-wrap:wrap;gap:8px 18px;justify-content:space-between;margin-top:10px}
.compare fieldset{border:0;padding:0;margin:0;min-width:0;display:flex;align-items:center;flex-wrap:wrap}
.compare legend{float:left;padding:0;margin-right:8px;opacity:.7}
.compare label{position:relative;padding:3px 10px;border:1px solid #8886;margin-left:-1px;cursor:pointer}
.compare label:first-of-type{border-radius:6px 0 0 6px;margin-left:0}
.compare label:last-of-type{border-radius:0 6px 6px 0}
.compare label input{position:absolute;opacity:0}
.compare label:has(:checked){background:#3b82f6;border-color:#3b82f6;color:#fff}
.compare label:has(:focus-visible){outline:2px solid #3b82f6;outline-offset:2px}
@media print{.compare .choices{display:none}}
"""


def slider(pictures, *, left=None, right=None, largest=900):
    """Return the HTML of a slider over `pictures`, name -> (H, W, 3) in [0, 1]; all show one scene, LR smaller.

    left, right: names shown first, by default the first and the last but one: with bicubic, pretrained, gan, HR, that
    is bicubic against gan. largest: the middle of `largest` pixels is kept of bigger pictures.
    """
    names = list(pictures)
    if len(names) < 2:
        raise ValueError(f"a slider must have two pictures at least. Received: {names}")
    left, right = left or names[0], right or names[-2 if len(names) > 2 else -1]
    key = f"c{uuid.uuid4().hex[:10]}"
    full = max((picture.shape[:2] for picture in pictures.values()), key=lambda shape: shape[0])
    factor = full[0] // min(picture.shape[0] for picture in pictures.values())
    window = [min(largest, size) // factor * factor for size in full]
    corner = [(size - kept) // 2 // factor * factor for size, kept in zip(full, window, strict=True)]  # on LR's grid
    sources = [_data_uri(_part(picture, corner, window, full[0] // len(picture))) for picture in pictures.values()]
    shown = "".join(
        ",".join(
            f"#{key}:has([name={key}{side}][value='{number}']:checked) .side:nth-of-type({place}) i"
            for place, side in ((1, "l"), (2, "r"))
        )
        + f"{{background-image:url({source}){';image-rendering:pixelated' * (picture.shape[0] < full[0])}}}"
        for number, (source, picture) in enumerate(zip(sources, pictures.values(), strict=True))
    )
    zooms = "".join(
        f'<label><input type="radio" name="{key}z" {"checked" * (zoom == 1)} '
        f"onchange=\"const s=this.closest('.compare').style;s.setProperty('--z','{zoom}');"
        f"s.setProperty('--r','{'pixelated' if zoom > 2 else 'auto'}')\">{zoom}×</label>"
        for zoom in (1, 2, 4, 8)
    )
    follow = (
        "if(!event.buttons){const b=this.getBoundingClientRect(),s=this.parentNode.style;"
        "s.setProperty('--px',(event.clientX-b.left)/b.width*100+'%');"
        "s.setProperty('--py',(event.clientY-b.top)/b.height*100+'%')}"
    )
    return (
        f'<div class="compare" id="{key}"><style>{STYLE}{shown}</style>'
        f'<div class="stage" style="--a:{window[1] / window[0]:.4f}" onpointermove="{follow}">'
        '<div class="side"><i></i></div><div class="side"><i></i></div><span class="line"></span>'
        '<input type="range" min="0" max="100" step="0.1" value="50" aria-label="where the two pictures meet" '
        "oninput=\"this.closest('.compare').style.setProperty('--x',this.value+'%')\"></div>"
        f'<div class="choices">{_choice("left", key + "l", names, left)}'
        f"<fieldset><legend>zoom</legend>{zooms}</fieldset>{_choice('right', key + 'r', names, right)}</div></div>"
    )


def _choice(title, group, names, chosen):
    labels = "".join(
        f'<label><input type="radio" name="{group}" value="{number}" {"checked" * (name == chosen)}>'
        f"{html.escape(name)}</label>"
        for number, name in enumerate(names)
    )
    return f"<fieldset><legend>{title}</legend>{labels}</fieldset>"


def _part(picture, corner, window, scale):
    """Return what a picture, `scale` times smaller than the scene, shows of the window of the scene at `corner`."""
    (top, left), (height, width) = ([each // scale for each in pair] for pair in (corner, window))
    return picture[top : top + height, left : left + width]


def _data_uri(picture):
    """Return a picture as WebP of quality 95, which no eye tells from the file, a tenth of its size."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(images.to_uint8(picture))).save(file, "WEBP", quality=95, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
