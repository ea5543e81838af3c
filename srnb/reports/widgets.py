"""Views to play with in JupyterLab; in a batch each becomes a twin that needs no kernel."""

import os

import anywidget
import traitlets
from IPython.display import HTML

from srnb.reports import slider


class Compare(anywidget.AnyWidget):
    """The before/after slider as a widget, so that Python can change its pictures; see `compare`."""

    _esm = """
    function render({ model, el }) {
      const draw = () => { el.innerHTML = model.get("html"); };
      draw();
      model.on("change:html", draw);
    }
    export default { render };
    """
    html = traitlets.Unicode().tag(sync=True)

    def show(self, pictures, **options):
        """Show other pictures: name -> (H, W, 3) in [0, 1]."""
        self.html = slider.slider(pictures, **options)


def compare(pictures, **options):
    """Return a before/after slider over `pictures`, name -> (H, W, 3) in [0, 1], options as `slider.slider`.

    It is a `Compare` widget where someone watches, plain HTML in a batch: a widget is blank without its kernel.
    """
    if os.environ.get("SRNB_HEADLESS") == "1":
        return HTML(slider.slider(pictures, **options))
    widget = Compare()
    widget.show(pictures, **options)
    return widget
