"""What a person reads of plans and runs: notes, disk, numbers of tiles, rates and whose memory it is."""

import io
import re
import signal
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from properties.runs_help import pipeline, plan_of, run
from rich.console import Console

import tileconv
from tileconv.errors import Interrupted
from tileconv.progress import Notebook, Progress, watching
from tileconv.report.explain import explain
from tileconv.report.terminal import TerminalProgress, summary
from tileconv.shown import rate_text

BLUR = {"op": "gaussian", "sigma": 1}
WRAPS = {"op": "gaussian", "sigma": 1, "border": "wrap"}
"""After another stage it needs a pass of its own."""


def words(plan):
    console = Console(file=io.StringIO(), width=1000)
    console.print(explain(plan))
    return console.file.getvalue()


def test_the_summary_says_what_is_known_of_the_input(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((3, 20, 30), np.uint8), photometric="minisblack")
    _, report = run(pipeline([BLUR]), tmp_path / "a.tif", tmp_path)
    (note,) = report.notes
    assert "taken as z" in note
    assert note in summary(report).splitlines()
    assert report.as_json()["notes"] == (note,)


def test_the_summary_counts_in_words_and_names_whose_memory_it_is(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((20, 30), np.uint8))
    _, report = run(pipeline([BLUR]), tmp_path / "a.tif", tmp_path)
    text = summary(report)
    assert " in 1 tile, " in text
    assert " 0 Mpx/s" not in text
    assert "peak memory of this process" in text
    _, report = run(pipeline([BLUR], run={"tile": 16}, output={"chunks": 16}), tmp_path / "a.tif", tmp_path)
    assert " in 4 tiles, " in summary(report)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.0, "0"),
        (0.00001234, "0.000012"),
        (0.0456, "0.046"),
        (2.34, "2.3"),
        (12.3, "12"),
        (345.6, "346"),
        (12345.6, "12,346"),
    ],
)
def test_rates_have_two_digits_that_count(rate, expected):
    assert rate_text(rate) == f"{expected} Mpx/s"


def test_progress_without_a_terminal_shows_slow_rates(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("tileconv.report.terminal.EVERY_S", 0.0)
    with TerminalProgress(stream) as progress:
        progress.begin(1, 1)
        progress.tile(1)
    line = stream.getvalue()
    assert line.startswith("1 of 1 tile, ")
    assert not line.startswith("1 of 1 tile, 0 Mpx/s")


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


def test_a_bar_begins_where_the_run_was_and_says_what_it_waits_for(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    with TerminalProgress(screen) as progress:
        progress.begin(3, 300, kept=7)
        progress.waiting("compiling loops")
        progress._bar.refresh()
        text = screen.getvalue()
        assert "7/10" in text
        assert "compiling loops" in text
        progress.tile(100)
        progress._bar.refresh()
    text = screen.getvalue().removeprefix(text)
    assert "8/10" in text
    assert "compiling" not in text


def test_a_note_beside_a_bar_is_one_line_as_it_is(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    screen = Screen()
    with TerminalProgress(screen) as progress:
        progress.begin(3, 300)
        progress.note("[a] " + "long " * 30 + "line")
    assert "note: [a] " + "long " * 30 + "line" in screen.getvalue()


def test_without_a_terminal_lines_count_kept_tiles_too_and_nobody_hears_of_waiting(monkeypatch):
    stream = io.StringIO()
    with TerminalProgress(stream) as progress:
        progress.begin(3, 300, kept=7)
        progress.waiting("compiling loops")
        assert stream.getvalue() == ""
        monkeypatch.setattr("tileconv.report.terminal.EVERY_S", 0.0)
        progress.tile(100)
    assert stream.getvalue().startswith("8 of 10 tiles, ")


class Handle:
    """Where a notebook shows things."""

    def __init__(self):
        self.shown = []

    def update(self, data, *, raw):
        self.shown.append(data["text/plain"])


@pytest.fixture
def notebook(monkeypatch):
    handle = Handle()
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=lambda *_, **__: handle))
    monkeypatch.setattr(Notebook, "EVERY_S", 0.0)
    return handle


def test_a_notebook_shows_how_far_a_run_is(tmp_path, notebook):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((20, 30), np.uint8))
    spec = pipeline([BLUR], run={"tile": 16, "workers": 1}, output={"chunks": 16})
    run(spec, tmp_path / "a.tif", tmp_path)
    *_, before, last = notebook.shown
    assert before.startswith("3 of 4 tiles, ")
    assert last.startswith("4 of 4 tiles, ")
    assert watching(None).begin(1, 1, 0) is None
    mine = Progress()
    assert watching(mine) is mine


def test_a_notebook_says_that_a_run_stops(tmp_path, notebook, monkeypatch, capsys):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((20, 30), np.uint8))
    spec = pipeline([BLUR], run={"tile": 16, "workers": 1}, output={"chunks": 16})
    once = iter([signal.SIGINT])
    monkeypatch.setattr(Notebook, "tile", lambda *_: [signal.raise_signal(number) for number in once])
    with pytest.raises(Interrupted, match="interrupted: "):
        run(spec, tmp_path / "a.tif", tmp_path)
    assert capsys.readouterr().err == "note: stopping after 1 tile; Ctrl-C again ends at once\n"


def test_elsewhere_a_run_from_python_says_nothing():
    assert type(watching(None)) is Progress


def test_plans_and_reports_are_short_and_have_a_table(tmp_path):
    tifffile.imwrite(tmp_path / "<a>.tif", np.ones((20, 30), np.uint8))
    _, report = run(pipeline([BLUR, BLUR]), tmp_path / "<a>.tif", tmp_path)
    plan = tileconv.plan(pipeline([BLUR, BLUR], input_={"path": str(tmp_path / "<a>.tif")}))
    assert re.fullmatch(r"<Plan: y=20 x=30, float32, 2 stages, 1 tile, \d+\.\d MiB>", repr(plan))
    assert re.fullmatch(r"<Report: \S+, 1 tile made, 0 kept, \d+\.\d s>", repr(report))
    for shown in (plan, report):
        table = shown._repr_html_()
        assert table.startswith("<table><tr><th>")
        assert all(f"<th>{name}</th>" in table for name in ("output", "tiles", "memory", "time"))
        assert "<a>" not in table
    assert "about 1 s" in plan._repr_html_()


def test_the_plan_says_how_long_it_takes():
    small, large = (plan_of(pipeline([BLUR]), np.zeros((n, n), np.uint8)) for n in (256, 4096))
    assert small.seconds < large.seconds
    assert small.as_json()["seconds"] == small.seconds
    assert "time     about 1 s, and on the first run some seconds more for compiling" in words(small)
    away = plan_of(pipeline([BLUR], run={"executor": "tcp://there:8786"}), np.zeros((256, 256), np.uint8))
    assert "of one thread's time on the cluster" in words(away)


def test_the_plan_counts_and_names_the_stores_between_passes():
    image = np.zeros((1024, 1024), np.uint8)
    one = words(plan_of(pipeline([BLUR]), image))
    assert "disk     4.0 MiB before compression, " in one
    assert ", 1 tile: " in one
    three = words(plan_of(pipeline([BLUR, WRAPS, BLUR, WRAPS]), image))
    expected = "4.0 MiB before compression and 8.0 MiB beside it while it runs (out.zarr.pass0, out.zarr.pass1), "
    assert expected in three


def test_a_plan_names_the_programs_that_its_storage_shuts_out():
    image, chunks = np.zeros((300, 300), np.uint8), {"chunks": 64}
    usual = words(plan_of(pipeline([BLUR], output=chunks), image))
    assert "25 of 16.0 KiB before compression, one chunk each; blosc lz4 bitshuffle level 1, crc32c" in usual
    assert "not for GDAL before 3.13, and rasterio with it: output.checksum: none\n" in usual
    shards = words(plan_of(pipeline([BLUR], output=chunks | {"shards": 128, "checksum": "none"}), image))
    assert "9 of 64.0 KiB before compression, shards of 128 x 128; " in shards
    assert "not for GDAL before 3.13, and rasterio with it: output.shards: none\n" in shards
    assert "not for" not in words(plan_of(pipeline([BLUR], output=chunks | {"format": "0.4"}), image))
