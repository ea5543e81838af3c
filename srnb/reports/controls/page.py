"""A piece of page with a script of its own, which runs wherever it is shown, once for each time that it is."""

import uuid

from srnb.reports import inspector


def piece(content, *, kind, script):
    """Return HTML: `content` in a <div> of a class, and the function in templates/`script` called with that <div>."""
    key = f"p{uuid.uuid4().hex[:10]}"
    source = (inspector.TEMPLATES / script).read_text("utf-8").strip()
    return (
        f'<div class="{kind}" id="{key}">{content}'
        f'<script>document.querySelectorAll("#{key}:not([data-lives])").forEach((root)=>'
        f'{{root.dataset.lives="";({source})(root)}})</script></div>'
    )
