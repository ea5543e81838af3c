"""Views to play with in a notebook: plain HTML where a picture is looked at, so that it lives without a kernel."""

from IPython.display import HTML

from srnb.reports import figures, inspector


def inspect(scenes, *, table=None, **options):
    """Return an inspector of `evaluation.Scene`s, with their values in the tidy `table`; options of `inspector`."""
    notes = {} if table is None else {scene.image: figures.captions(table, scene.image) for scene in scenes}
    return HTML(inspector.inspector({scene.image: scene.pictures for scene in scenes}, notes=notes, **options))
