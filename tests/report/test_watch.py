"""Events as JSON and the log, as the command line writes them."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from execute.resume_help import ONE, poisoned, write_spec

from tileconv import cli
from tileconv.report.watch import Events, watch

DOCS = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
KEYS = {
    name: set(keys.split())
    for name, _, keys in re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", DOCS, re.M)
    if name != "event"
}
IMAGE = np.ones((32, 48), np.uint8)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run ``tileconv run`` in a folder of its own; return its exit code, stdout, and the events among the lines."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["tileconv", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        lines = err.splitlines()
        return ended.value.code or 0, out, [json.loads(line) for line in lines if line[0] == "{"], lines

    return run


def test_events_tell_a_run_from_begin_to_end_and_nothing_else_is_said(tmp_path, call):
    write_spec(tmp_path, ONE, image=IMAGE)
    code, out, events, lines = call("run", "p.yaml", "--progress", "json", "--json")
    begun, *tiles, finished = events
    assert (code, len(lines)) == (0, len(events))
    assert (begun["event"], begun["tiles"], begun["kept"], begun["pixels"]) == ("begun", 6, 0, 32 * 48)
    assert {event["event"] for event in tiles} <= {"tile", "waiting"}
    assert (tiles[-1]["done"], tiles[-1]["tiles"], tiles[-1]["seconds_left"]) == (6, 6, 0)
    assert (finished["event"], finished["exit_code"], finished["report"]) == ("finished", 0, json.loads(out))
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_a_tile_that_fails_and_what_ends_the_run_are_events(tmp_path, call):
    write_spec(tmp_path, ONE, image=poisoned((32, 48), at=(20, 40)), missing={"rule": "error"})
    code, out, events, lines = call("run", "p.yaml", "--progress", "json", "--keep-going", "--log", "run.log")
    failed = [event["text"] for event in events if event["event"] == "failed"]
    assert (code, out, len(failed)) == (3, "", 1)
    assert "1 missing pixels" in failed[0]
    assert (events[-1]["event"], events[-1]["exit_code"]) == ("finished", 3)
    assert failed[0].removesuffix(".") in events[-1]["error"]
    assert lines[len(events)].startswith("error: ")
    log = Path("run.log").read_text()
    assert f"failed: {failed[0]}" in log
    assert "finished, exit code 3: " in log


def test_every_event_has_the_keys_that_are_documented(capsys):
    with watch("json", None) as progress:
        assert isinstance(progress, Events)
        progress.begin_batch(2)
        progress.begin(2, 20, kept=1)
        progress.resumed("kept 1 tile")
        progress.waiting("compiling")
        progress.tile(10)
        progress.failed("tile 1")
        progress.lost("worker a")
        progress.image("o.zarr", "failed", "why")
        progress.note("slow")
        progress.finished(0, {"report": {}})
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {event["event"] for event in events} == KEYS.keys() - {"stopping"}
    for event in events:
        named = set(re.findall(r"`(\w+)`", " ".join(KEYS[event["event"]])))
        assert event.keys() - {"event", "time"} <= named
        assert named - {"error", "report"} <= event.keys()


def test_of_many_tiles_few_are_told(capsys):
    with watch("json", None) as progress:
        progress.begin(10_000, 10_000)
        for _ in range(10_000):
            progress.tile(1)
    told = [json.loads(line)["done"] for line in capsys.readouterr().err.splitlines()[1:]]
    assert len(told) < 100
    assert told[-1] == 10_000


def test_a_log_is_appended_with_times_and_holds_warnings(tmp_path, call, recwarn):
    write_spec(tmp_path, ONE, image=IMAGE)
    code, _, _, lines = call("run", "p.yaml", "--progress", "none", "--log", "run.log")
    assert (code, lines) == (0, [])
    first = Path("run.log").read_text()
    with watch("none", Path("run.log")) as progress, warnings.catch_warnings(record=True):
        progress.note("two\nlines")
    shown = warnings.showwarning
    with watch("none", Path("run.log")):
        assert warnings.showwarning is not shown
        warnings.showwarning("old", DeprecationWarning, "a.py", 1)
    assert warnings.showwarning is shown
    log = Path("run.log").read_text()
    assert log.startswith(first)
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S", line) for line in log.splitlines())
    assert [line[25:] for line in log.removeprefix(first).splitlines()] == [
        "note: two",
        "lines",
        "warning: DeprecationWarning: old",
    ]


def test_a_log_that_cannot_be_opened_is_refused(tmp_path, call):
    write_spec(tmp_path, ONE, image=IMAGE)
    code, _, _, lines = call("run", "p.yaml", "--log", str(tmp_path / "no" / "run.log"))
    assert code == 1
    assert "run.log: cannot write: No such file or directory" in lines[0]
    assert not (tmp_path / "o.zarr").exists()
