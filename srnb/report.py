"""A run's folder as one page that opens anywhere."""

from srnb import runs

COLUMNS = ("run", "status", "preset", "backend", "seconds")


def render(run):
    path = run.folder / "report" / "index.html"
    runs.write_text(path, "")
    return path


def summary(run):
    return None


def index(results):
    return runs.collect(results)
