"""docs/inputs.md is the table of what files declare, and every row of it is true of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.sources.declared import Seen, table
from tests.sources.declared_fits import FITS
from tests.sources.declared_pictures import PICTURES
from tests.sources.declared_tiff import PLACE, TIFF, geo
from tests.sources.declared_zarr import ZARR

ROWS = [*TIFF, *PICTURES, *FITS, *ZARR]
PAGE = Path(__file__).parents[2] / "docs" / "inputs.md"


def test_the_page_has_the_rows():
    assert table(ROWS) in PAGE.read_text("utf-8"), "python -m tests.sources.test_declared writes them anew"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.format}: {row.declares[:40]}")
def test_row(row, tmp_path):
    seen = Seen(row.write(tmp_path))
    if row.does.startswith("refused"):
        assert row.says in seen.refusal()
    elif row.says:
        assert any(row.says in note for note in seen.info.notes), seen.info.notes
        assert row.says in seen.plan()
    if row.look:
        row.look(seen)
    elif not row.does.startswith("refused"):
        np.testing.assert_array_equal(seen.result()[...], seen.stored())


def test_the_place_moves_with_the_first_pixel(tmp_path):
    seen = Seen(geo(*PLACE)(tmp_path))
    grown = seen.result(stages=[{"op": "box", "size": {"y": 3, "x": 5}, "extent": "full"}])
    assert grown.attrs["spatial:transform"] == [10, 0, 480, 0, -20, 920]
    again = Seen(seen.path.with_name("out.ome.zarr"))
    assert again.info.georeference.transform == (10, 0, 480, 0, -20, 920)
    assert again.info.georeference.crs == "EPSG:32633"


if __name__ == "__main__":
    before, _, rest = PAGE.read_text("utf-8").partition("| format |")
    PAGE.write_text(before + table(ROWS) + "\n\n" + rest.partition("\n\n")[2], "utf-8")
