"""Try it: a photograph, one's own or given, upscaled by a network or a blend of two, in the inspector."""

import base64
import html
import io
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from srnb import models, runs, shipped
from srnb.data import images, resize
from srnb.evaluation import inference
from srnb.reports import inspector
from srnb.reports.controls import still
from srnb.reports.controls.pointer import Pointer, square

WIDTH = {"width": "310px"}
LARGEST = 60_000_000  # pixels of a photograph taken here; `srnb upscale` has no such limit


def known(results):
    """Return {name: argument of `inference.ends`}: the networks that ship, then those of the runs in a folder."""
    trained = {run.name: run.folder for run in runs.find(results) if run.generators()}
    return {name: name for name in shipped.names()} | trained


def show(photographs, networks, *, network=None, share=1.0, side=80):
    """Display a control that upscales a square of a photograph and, on request, the whole of it.

    photographs: files, the first of which is shown; uploads are added. networks: name -> argument of `inference.ends`,
    or its result, name -> network. network: the one selected at first, by default the first. share: of the second end
    in a blend, in [0, 1]. side: of the square, in pixels of the photograph. Raises ValueError for another network.
    """
    if network and network not in networks:
        raise ValueError(f"network must be one of {', '.join(networks)}. Received: {network!r}")
    trial = Trial(photographs, networks, side=side)
    network = network or next(iter(networks))
    shares = (0.0, 0.5, 1.0) if len(trial.ends(network)) == 2 else (1.0,)
    photograph = trial.photograph(next(iter(trial.files)))
    height, width = photograph.shape[:2]
    crop = photograph[square(height, width, (width // 2, height // 2), side)]
    pictures = trial.before(network, crop) | {
        trial.label(network, share): trial.enlarge(network, share, crop) for share in shares
    }
    still.show(still.row(pictures), lambda: control(trial, network, share))


class Trial:
    """The state of the control: files, networks, and cached results."""

    def __init__(self, photographs, networks, *, side):
        self.files = {Path(path).name: Path(path) for path in photographs}
        self.networks, self.side = networks, side
        self.loaded, self.mixed, self.shares, self.read = {}, {}, {}, (None, None)

    def photograph(self, name):
        """Return a photograph, which stays decoded until another one is asked for."""
        if self.read[0] != name:
            self.read = name, images.read(self.files[name], max_pixels=LARGEST)
        return self.read[1]

    def ends(self, name):
        """Return the one or two ends of a network, loaded once."""
        if name not in self.loaded:
            chosen = self.networks[name]
            self.loaded[name] = chosen if isinstance(chosen, dict) else inference.ends(chosen)
        return self.loaded[name]

    def network(self, name, share):
        """Return a network, blended if it has two ends. All blends use the same network, which is compiled once."""
        ends = list(self.ends(name).values())
        if len(ends) == 1:
            return ends[0]
        if self.shares.get(name) != share:  # elsewhere on the photograph the blend is the same
            self.mixed[name] = models.interpolate(*ends, share, into=self.mixed.get(name))
            self.shares[name] = share
        return self.mixed[name]

    def label(self, name, share):
        """Return the name of a blend."""
        ends = list(self.ends(name))
        first, last = (end if name in ends else f"{name} {end}" for end in (ends[0], ends[-1]))
        return last if first == last or share == 1 else first if share == 0 else f"{share:.0%} {last}"

    def before(self, name, crop):
        """Return LR and bicubic of a square."""
        factor = models.scale(next(iter(self.ends(name).values())))
        return {"LR": crop, "bicubic": np.clip(resize.imresize(crop, factor), 0, 1)}

    def enlarge(self, name, share, crop):
        return inference.upscale(self.network(name, share), crop)


def control(trial, network, share):
    """Return the control as a widget."""
    import ipywidgets

    photograph = ipywidgets.Dropdown(options=list(trial.files), description="photo", layout=WIDTH)
    upload = ipywidgets.FileUpload(accept="image/*", description="your own photo …", layout=WIDTH)
    chosen = ipywidgets.Dropdown(options=list(trial.networks), value=network, description="network", layout=WIDTH)
    blend = ipywidgets.FloatSlider(share, min=0, max=1, step=0.05, description="blend", layout=WIDTH)
    between = ipywidgets.HTML()  # the networks at the ends of the slider
    whole = ipywidgets.Button(description="enlarge all of it")
    said, looked = ipywidgets.HTML(), ipywidgets.Output(layout={"flex": "1 1 420px", "min_height": "520px"})
    place = Pointer(trial.photograph(photograph.value), trial.side)
    results = {}  # network -> label and picture, of the square that is looked at
    asked_for = [None]

    def refresh(change=None):
        now = photograph.value, place.centre, chosen.value, blend.value
        if now == asked_for[0]:
            return
        if not asked_for[0] or now[:2] != asked_for[0][:2]:
            results.clear()
        asked_for[0] = now
        try:
            said.value, start = "enlarging …", time.perf_counter()
            crop = place.cut(trial.photograph(photograph.value))
            name, ends = chosen.value, list(trial.ends(chosen.value))
            blend.disabled = len(ends) == 1
            names = f"0: {html.escape(ends[0])}, 1: {html.escape(ends[-1])}"
            between.value = "" if blend.disabled else f"<small>{names}</small>"
            label, picture = trial.label(name, blend.value), trial.enlarge(name, blend.value, crop)
            seconds = time.perf_counter() - start
            results.pop(name, None)
            for other in [each for each, (_, earlier) in results.items() if earlier.shape != picture.shape]:
                del results[other]  # of another scale
            results[name] = label, picture
            shown = trial.before(name, crop) | dict(results.values())
            looked.outputs = (_output(inspector.inspector({label: shown}, right=label, keep="trial")),)
            said.value = f"{html.escape(label)}, {seconds:.2f} s · {_download(picture, photograph.value)}"
        except (ValueError, OSError) as error:
            said.value = still.problem(error)

    def another(change):
        try:
            place.put(trial.photograph(photograph.value), trial.side)
        except (ValueError, OSError) as error:
            said.value = still.problem(error)
        else:
            refresh()

    def received(change):
        for file in upload.value:
            path = Path(tempfile.mkdtemp()) / Path(file["name"]).name
            path.write_bytes(bytes(file["content"]))
            try:
                images.read(path, max_pixels=LARGEST)
            except ValueError as error:
                said.value = still.problem(error)
                continue
            trial.files[path.name] = path
            photograph.options = list(trial.files)
            photograph.value = path.name

    def enlarge_all(button):
        source = trial.files[photograph.value]
        model = trial.network(chosen.value, blend.value)
        target = Path(f"{source.stem}_x{models.scale(model)}.png")
        whole.disabled = True
        try:
            progress = lambda done, total: setattr(said, "value", f"enlarging {source.name}: {done / total:.0%}")
            inference.upscale_file(model, source, target, progress=progress)
            said.value = ""
            name = html.escape(target.name)
            looked.outputs += (
                _output(f'<a href="{name}" download>{name}</a>, written to {html.escape(str(Path.cwd()))}'),
            )
        except (ValueError, OSError) as error:
            said.value = still.problem(error)
        finally:
            whole.disabled = False

    for widget in (chosen, blend):
        widget.observe(refresh, "value")
    place.observe(refresh, "centre")
    photograph.observe(another, "value")
    upload.observe(received, "value")
    whole.on_click(enlarge_all)
    refresh()
    asked = ipywidgets.VBox([photograph, upload, place, chosen, blend, between, whole, said], layout={"width": "340px"})
    return ipywidgets.HBox([asked, looked], layout={"flex_flow": "row wrap"})


def _output(text):
    return {"output_type": "display_data", "data": {"text/html": text, "text/plain": ""}, "metadata": {}}


def _download(picture, name):
    file = io.BytesIO()
    Image.fromarray(np.asarray(images.to_uint8(picture))).save(file, "PNG", compress_level=1)
    address = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return f'<a download="{html.escape(Path(name).stem)}-detail.png" href="{address}">download</a>'
