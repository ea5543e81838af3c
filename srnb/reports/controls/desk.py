"""The network desk: an editable spec with its drawing, its cost and its receptive field on a photograph."""

import functools
import html
import time

import keras
import numpy as np
import yaml

from srnb import models
from srnb.models import diagram, zoo
from srnb.models import spec as specs
from srnb.reports.controls import still
from srnb.reports.controls.pointer import Pointer

GENERATORS = [name for name in zoo.SPECS if "discriminator" not in name and "scale" in zoo.SPECS[name]]
CELL = "text-align:right;padding:2px 0 2px 20px"  # a widget's table has none of the page's style
PLACE = 96  # pixels on a side of the maps that this machine's speed is measured on


class Desk:
    """The state of the desk: `spec` is the last valid spec, resolved, which upscales by the given factor."""

    def __init__(self, spec, scale):
        self.scale = scale
        self.put(spec)

    def put(self, spec):
        """Take a spec, anything that `models.build` takes, and return its cost, see `models.cost`.

        Raises ValueError with the path of a mistake; `spec` is then unchanged.
        """
        spec = models.resolve(spec)
        with keras.StatelessScope(initialize_variables=False):  # variables without values: quick, and draws nothing
            network = models.build(spec)
        models.require_scale(network, self.scale)
        self.drawing, self.cost, self.spec = diagram.draw(spec).svg, models.cost(network), spec
        return self.cost


def show(spec, lr, *, scale):
    """Display a control for editing a spec, and return its `Desk`, whose `spec` the next cells train.

    lr: a photograph as the network's input, (H, W, 3) in [0, 1], on which the receptive field is drawn.
    """
    desk = Desk(spec, scale)
    changes = {"as it is": {}}
    for name, factor in (("blocks", 2), ("blocks", 4), ("width", 2)):
        if isinstance(desk.spec.get(name), int):
            changes[f"{factor} × {name}"] = {name: factor * desk.spec[name]}
    costs = {name: models.cost(desk.spec, **changed) for name, changed in changes.items()}
    fields = {name: field(lr, cost["receptive_field"]) for name, cost in costs.items()}
    still.show(desk.drawing + table(costs, scale) + still.row(fields, width=200), lambda: control(desk, lr))
    return desk


def table(costs, scale):
    """Return an HTML table of networks, name -> `models.cost`, a row for each."""
    rows = []
    for name, cost in costs.items():
        seconds, sees = cost["multiply_adds"] * 1e6 / speed(), cost["receptive_field"]
        cells = [
            html.escape(name),
            f"{cost['parameters']:,}",
            f"{cost['multiply_adds']:,}",
            f"{seconds:.2g} s",
            f"{sees} × {sees}" if sees else "the whole picture",
        ]
        rows.append("<tr>" + "".join(f"<td style='{CELL}'>{cell}</td>" for cell in cells) + "</tr>")
    heads = (
        "",
        "parameters",
        "multiply-adds per pixel",
        "time per megapixel, about",
        f"receptive field in LR (×{scale})",
    )
    head = "".join(f"<th style='{CELL}'>{each}</th>" for each in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


@functools.cache
def speed():
    """Return the multiply-adds per second of this machine in a convolution k3n64s1, the median of five."""
    maps, kernel = np.ones((1, PLACE, PLACE, 64), "float32"), np.ones((3, 3, 64, 64), "float32")
    maps, kernel = (keras.ops.convert_to_tensor(each) for each in (maps, kernel))
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.conv(maps, kernel, padding="same"))
        seconds.append(time.perf_counter() - start)
    return 9 * 64 * 64 * PLACE**2 / np.median(seconds[1:])


def field(lr, side):
    """Return a photograph with the central square marked on which one pixel of the result depends."""
    height, width = lr.shape[:2]
    side = side or 2 * max(height, width)
    box = f'x="{(width - side) / 2}" y="{(height - side) / 2}" width="{side}" height="{side}" fill="none"'
    lines = "".join(
        f'<rect {box} stroke="{ink}" stroke-width="{thick}" vector-effect="non-scaling-stroke"/>'
        for ink, thick in (("#000", 4), ("#fff", 2))
    )
    picture = f'<image href="{still.address(lr)}" width="{width}" height="{height}"/>'
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="receptive field">{picture}{lines}</svg>'


def control(desk, lr):
    """Return the control as a widget."""
    import ipywidgets

    layout = {"width": "330px"}
    network = ipywidgets.Dropdown(
        options=["of your own", *GENERATORS], description="network", layout=layout, value="of your own"
    )
    blocks = ipywidgets.IntSlider(4, min=1, max=32, description="blocks", layout=layout, continuous_update=False)
    width = ipywidgets.IntSlider(
        32, min=8, max=128, step=8, description="width", layout=layout, continuous_update=False
    )
    text = ipywidgets.Textarea(
        _written(desk.spec), layout={"width": "330px", "height": "320px"}, continuous_update=False
    )
    said, drawn = (
        ipywidgets.HTML(),
        ipywidgets.HTML(layout={"flex": "1 1 420px", "max_height": "900px", "overflow": "auto"}),
    )
    place = Pointer(lr, 1)
    writing = []  # not empty while the sliders follow the text

    def follow():
        """Let the sliders stand where the spec has its numbers."""
        writing.append(True)
        for name, slider in (("blocks", blocks), ("width", width)):
            value = desk.spec.get(name)
            slider.disabled = not isinstance(value, int)
            if isinstance(value, int):
                slider.max = max(slider.max, value)
                slider.value = value
        writing.pop()

    def refresh(change=None):
        said.value = "building …"
        if network.value in GENERATORS and text.value != _written(models.resolve(network.value, scale=desk.scale)):
            network.value = "of your own"
        try:
            cost = desk.put(yaml.safe_load(text.value))
        except (ValueError, yaml.YAMLError) as error:
            said.value = still.problem(error) + "<br>The next cells take the last network without a mistake."
            return
        follow()
        drawn.value = desk.drawing
        said.value = table({desk.spec["name"]: cost}, desk.scale)
        place.side = min(cost["receptive_field"] or max(lr.shape), max(lr.shape))

    def chosen(change):
        if network.value in GENERATORS:
            text.value = _written(models.resolve(network.value, scale=desk.scale))

    def slid(change):
        if not writing:
            text.value = _written(desk.spec | {change["owner"].description: change["new"]})

    network.observe(chosen, "value")
    text.observe(refresh, "value")
    for slider in (blocks, width):
        slider.observe(slid, "value")
    refresh()
    asked = ipywidgets.VBox([network, blocks, width, text, place], layout={"width": "350px"})
    return ipywidgets.VBox([said, ipywidgets.HBox([asked, drawn], layout={"flex_flow": "row wrap"})])


def _written(spec):
    return yaml.safe_dump(specs.read(spec), sort_keys=False, allow_unicode=True, width=60)
