"""states: the listing of runs, a line each."""

from srnb import runs
from srnb.runner import states


def test_a_line_for_each_run_says_how_long_it_took_and_last_where_it_stands(tmp_path):
    complete, pending = {"status": "complete"}, {"status": "pending"}
    runs.Run(tmp_path / "first").update(status="complete", notebooks={}, preset="sample", seconds=3725.2, started="1")
    (tmp_path / "first" / "DONE").touch()
    runs.Run(tmp_path / "ended-early").update(
        status="pending", notebooks={"01_data": complete, "02_pretrain": pending}, preset="srgan", started="2"
    )
    runs.Run(tmp_path / "waiting").update(status="pending", notebooks={"01_data": pending}, started="3")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    heading, *lines = (line.split() for line in states.listing(tmp_path).splitlines())
    assert heading == ["run", "preset", "backend", "time", "status"]
    assert sorted(lines) == [
        ["broken", "damaged"],
        ["ended-early", "srgan", "interrupted"],
        ["first", "sample", "1:02:05", "done"],
        ["waiting", "pending"],
    ]
    (tmp_path / "alone" / "broken").mkdir(parents=True)
    (tmp_path / "alone" / "broken" / "run.json").write_text("{")
    assert states.listing(tmp_path / "alone").split()[-2:] == ["broken", "damaged"]
    heading, line = states.listing(tmp_path, ["first"]).splitlines()
    assert heading.index("status") == line.index("done")
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html").mkdir()  # whose place cannot be written to, like the folder of somebody else
    *rest, said = states.listing(tmp_path, ["first"]).splitlines()
    assert rest == [heading, line] and said.startswith("index.html and runs.csv are as they were: ")
