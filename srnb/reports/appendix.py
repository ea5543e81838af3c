"""Executed notebooks as the appendix of a report: folded, without what only their author needs."""

import base64
import html
import io
import re

import nbformat
from latex2mathml.converter import convert
from PIL import Image

from srnb import progress
from srnb.reports import embedded

PROGRESS = re.compile(r"^(?P<title>.*?) ?\d+/\d+( · .*)?$")  # a line of `progress.Progress` in a batch
ASIDES = re.compile(r"^\*\*(To try|Next):\*\*|in JupyterLab, edit them here")  # to someone who has the notebook open
VIEWS = ("inspector", "training", "compare")  # the last is the slider of earlier runs
EMPTY = re.compile(r"<tbody>\s*</tbody>")


def cells(copy, stem, *, templates, above=None):
    """Return an executed notebook as HTML, and its headings for the table of contents as (id, title, level).

    An id is made of the stem and the words of the heading, so that links outlive the run. Of progress the last line is
    kept, and tables without rows are dropped. Pictures keep the caption and the alternative text of their figure.
    above: (caption, alternative text) -> number, for the figures of the article; these are referred to, not repeated.
    """
    from nbconvert import HTMLExporter

    notebook = nbformat.read(copy, 4)
    notebook.metadata.pop("widgets", None)
    formulas, section = [], stem
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            titles = re.findall(r"^#+ +(.+)$", cell.source, re.MULTILINE)
            section = titles[-1] if titles else section
            kept = [part for part in cell.source.split("\n\n") if not ASIDES.search(part)]
            cell.source = without_formulas("\n\n".join(kept), formulas)
        if "outputs" in cell:
            cell.outputs = [each for each in map(_static, _joined(cell.outputs)) if each is not None]
            for output in cell.outputs:
                _embed_pictures(output, section, above or {})
    exporter = HTMLExporter(
        template_name="lab",
        template_file="notebook.html.j2",
        extra_template_paths=[str(templates)],
        embed_images=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = re.sub(r"FORMULA(\d+)END", lambda match: formulas[int(match[1])], body)
    body = re.sub(r"<pre(?=[ >])", '<pre tabindex="0"', body)  # what scrolls must be within reach of the keyboard
    body = re.sub(r"<th[^>]*>(\s|&nbsp;)*</th>", "<td></td>", body)
    headings, taken = [], set()

    def heading(match):
        title = html.unescape(re.sub(r"<[^>]+>|¶", "", match[2])).strip()
        words = re.sub(r"\W+", "-", re.sub(r"^\d+ · ", "", title).lower()).strip("-")
        name, number = f"{stem}-{words}"[:60].rstrip("-"), 2
        while name in taken:
            name, number = f"{stem}-{words}"[:56] + f"-{number}", number + 1
        taken.add(name)
        level = int(match[1])
        headings.append((name, title, level))
        return f'<h{level + 2} id="{name}">{match[2]}</h{level + 2}>'  # below the appendix's own heading

    return re.sub(r"<h([1-4])(?: [^>]*)?>(.*?)</h\1>", heading, body, flags=re.DOTALL), headings


def _joined(outputs):
    """Return outputs with consecutive streams of the same name joined."""
    joined = []
    for output in outputs:
        before = joined[-1] if joined else None
        if before and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            joined.append(output)
    return joined


def _static(output):
    """Return an output without what needs a kernel, None if nothing is left."""
    if output.output_type == "stream":
        lines, kept = output.text.split("\n"), []
        for line in lines:
            title = (match := PROGRESS.match(line)) and match["title"]
            if title and kept and (before := PROGRESS.match(kept[-1])) and before["title"] == title:
                kept.pop()
            kept.append(progress.without_time_left(line))
        output.text = "\n".join(kept)
        return output if output.text.strip() else None
    data = output.get("data", {})
    data.pop("application/vnd.jupyter.widget-view+json", None)  # dead without a kernel
    if EMPTY.search(data.get("text/html", "")) or any(f'class="{view}"' in data.get("text/html", "") for view in VIEWS):
        return None  # the same pictures and curves stand in the report itself
    return output if any(data.values()) or "data" not in output else None


def _embed_pictures(output, section, above):
    data = output.get("data", {})
    if "image/svg+xml" in data:  # in the page itself, where its label is read and its width is the page's
        data["text/html"] = data.pop("image/svg+xml")
    if "image/png" in data:
        picture = Image.open(io.BytesIO(base64.b64decode(data.pop("image/png"))))
        given = output.get("metadata", {}).get("image/png", {})
        if number := above.get((given.get("caption"), given.get("alt"))):
            data["text/html"] = f'<p><a href="#figure-{number}">Figure {number}</a></p>'
            return
        alternative = html.escape(given.get("alt") or f"Figure of the section “{section}”")
        caption = f"<figcaption>{html.escape(given['caption'])}</figcaption>" if given.get("caption") else ""
        image = f'<img alt="{alternative}" src="{embedded.webp(picture, quality=80)}">'
        data["text/html"] = f"<figure>{image}{caption}</figure>"


def without_formulas(source, formulas):
    """Return Markdown with a placeholder for each formula and append its MathML to `formulas`; code is left alone."""

    def replaced(match):
        formulas.append(convert(match[1] or match[2], display="block" if match[1] else "inline"))
        return f"FORMULA{len(formulas) - 1}END"

    parts = re.split(r"(```.*?```|`[^`\n]*`)", source, flags=re.DOTALL)
    formula = r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\d$])"
    parts[::2] = [re.sub(formula, replaced, part, flags=re.DOTALL) for part in parts[::2]]
    return "".join(parts)
