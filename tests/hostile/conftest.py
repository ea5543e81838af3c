"""The hostile round: `pytest -m slow tests/hostile`, about 100 starts of a notebook, alone on a machine.

It shows that no command ends in a traceback or a hang, and that no run has half a file, a second writer or a number
that differs from the undisturbed run. Small disks need root.
"""

import pytest
import tiny


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """A results folder with the finished run `tiny` and its variation; tests work on copies."""
    folder = tmp_path_factory.mktemp("whole")
    command = ["run", "--preset", tiny.preset(folder), "--grid", "smoke", "--results", folder / "results"]
    status, output = tiny.srnb(*command, folder=folder)
    assert status == 0, output
    return folder / "results"
