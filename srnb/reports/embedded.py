"""Pictures, drawings and files embedded in a page as data addresses, so that nothing is fetched."""

import base64
import io


def webp(picture, *, quality):
    """Return a PIL picture as a data address of WebP, a fraction of a PNG, so that a report fits into a mail."""
    file = io.BytesIO()
    if picture.mode not in ("RGB", "RGBA"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.save(file, "WEBP", quality=quality)
    return address(file.getvalue(), "image/webp")


def svg(figure):
    """Return a matplotlib figure as a data address of SVG, sharp at any zoom, with its text as text."""
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return address(file.getvalue(), "image/svg+xml")


def address(content, kind):
    """Return bytes of the media type `kind` as a data address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
