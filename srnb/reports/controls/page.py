"""A piece of HTML with its own script, which runs wherever the piece is shown, once per display."""

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
