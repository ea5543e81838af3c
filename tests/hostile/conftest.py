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
