"""The table of docs/inputs.md has every file that other programs write, and none came out as another."""

from pathlib import Path

from tests.sources.other_programs import TABLE
from tests.sources.other_writers import WRITERS

PAGE = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text("utf-8")
REFUSED = {"vips-lab.tif"}


def rows():
    lines = PAGE.partition(TABLE)[2].partition("\n\n")[0].splitlines()
    return {line.split("`")[1]: [cell.strip() for cell in line.split("|")[1:-1]] for line in lines}


def test_the_page_has_every_file():
    files = {file for file in WRITERS if "{}" not in file}
    assert len(files) > 20
    assert files <= set(rows())


def test_axes_sizes_and_channels_come_out_as_they_were_found():
    assert {file for file, row in rows().items() if row[-1] != "the same"} == REFUSED
