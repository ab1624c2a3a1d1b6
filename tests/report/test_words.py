"""What a person reads of plans and runs: notes, disk, numbers of tiles, rates and whose memory it is."""

import io

import numpy as np
import pytest
import tifffile
from properties.runs_help import pipeline, plan_of, run
from rich.console import Console

from tileconv.report.explain import explain, rate_text
from tileconv.report.terminal import TerminalProgress, summary

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
    console = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr("tileconv.report.terminal.EVERY_S", 0.0)
    with TerminalProgress(console) as progress:
        progress.begin(1, 1)
        progress.tile(1)
    line = console.file.getvalue()
    assert line.startswith("1 of 1 tile, ")
    assert not line.startswith("1 of 1 tile, 0 Mpx/s")


def test_the_plan_counts_and_names_the_stores_between_passes():
    image = np.zeros((1024, 1024), np.uint8)
    one = words(plan_of(pipeline([BLUR]), image))
    assert "disk     4.0 MiB before compression, " in one
    assert ", 1 tile: " in one
    three = words(plan_of(pipeline([BLUR, WRAPS, BLUR, WRAPS]), image))
    expected = "4.0 MiB before compression and 8.0 MiB beside it while it runs (out.zarr.pass0, out.zarr.pass1), "
    assert expected in three
