"""What a run was made with can be told and kept as JSON."""

import json
import sys

from srnb import provenance


def test_versions_and_machine():
    assert provenance.versions()["python"] == sys.version.split()[0]
    assert provenance.machine()["cores"] >= 1
    json.dumps([provenance.versions(), provenance.machine(), provenance.git_state()])
