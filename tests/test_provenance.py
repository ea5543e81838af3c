"""What a run was made with can be told and kept as JSON."""

import json
import subprocess
import sys

from srnb import provenance


def test_versions_and_machine():
    assert provenance.versions()["python"] == sys.version.split()[0]
    assert provenance.machine()["cores"] >= 1
    json.dumps([provenance.versions(), provenance.machine(), provenance.git_state()])


def test_a_command_that_hangs_is_left_out(monkeypatch):
    def hang(command, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr("subprocess.run", hang)
    assert provenance.git_state() == {"commit": None, "dirty": None}
    assert provenance.machine()["gpus"] == []
