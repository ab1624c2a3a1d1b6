"""What is on the disk while a run is under way: pixels before the journal's word, done after all, no chunk invented."""

import numpy as np
import pytest
import strategies
from properties.runs_help import pipeline, tiled, windows, write_tiff

import tileconv
from tileconv.errors import SourceError
from tileconv.progress import Progress

BOX = {"op": "box", "size": 3}
TWO = [{"op": "sobel", "component": "x"}, {"op": "gaussian", "sigma": 1, "border": "wrap"}]
"""Two passes of nine tiles: the second wraps."""


class Watch(Progress):
    """Looks at the disk whenever a tile is said to be done."""

    def __init__(self, look):
        self.look, self.tiles = look, 0

    def tile(self, pixels):
        self.tiles += 1
        self.look(self.tiles)


@pytest.fixture
def source(tmp_path):
    return write_tiff(tmp_path / "a.tif", strategies.pixels((130, 150), "uint16", 0), tile=64)


def spec_of(stages, source, tmp_path, **run):
    return tiled(stages, 64, input_={"path": source}, output={"path": str(tmp_path / "o.zarr")}, run=run)


@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_a_tile_that_is_in_the_journal_is_stored(tmp_path, source, method):
    def look(_):
        said = (tmp_path / "o.zarr.tileconv" / "journal").read_bytes().count(b'"event":"done"')
        stored = sum(file.name.isdigit() and file.is_file() for file in (tmp_path / "o.zarr/0/c").rglob("*"))
        assert 0 < said <= stored

    watch = Watch(look)
    tileconv.run(spec_of([BOX], source, tmp_path, workers=1, halo_method=method), progress=watch)
    assert watch.tiles >= 6


def test_done_is_said_when_all_is_done(tmp_path, source):
    done = tmp_path / "o.zarr.tileconv" / "done"
    spec = spec_of([BOX], source, tmp_path)
    watch = Watch(lambda _: done.exists() and pytest.fail("done is said while tiles are made"))
    tileconv.run(spec, progress=watch)
    assert done.exists()
    (tmp_path / "o.zarr/0/c/1/1").unlink()
    tileconv.run(spec, progress=watch)
    assert watch.tiles == 10
    assert done.exists()


def test_a_lost_chunk_of_an_intermediate_result_is_never_zeros(tmp_path, source):
    """It is lost when the first pass has made its nine tiles, before the second reads them."""

    def look(tiles):
        if tiles == 9:
            (tmp_path / "o.zarr.pass0/c/1/1").unlink()

    with pytest.raises(SourceError, match="not stored"):
        tileconv.run(spec_of(TWO, source, tmp_path), progress=Watch(look))


@pytest.mark.parametrize("rows", [None, 16])
def test_missing_pixels_are_counted_once_whatever_the_tile(rows):
    image = strategies.pixels((40, 50), "float32", 1)
    image[[0, 15, 16, 39], [49, 15, 16, 17]] = np.nan
    spec = pipeline([BOX], missing={"rule": "propagate"}) if rows is None else None
    spec = spec or tiled([BOX], rows, missing={"rule": "propagate"})
    assert windows(spec, image)[1].missing == 4
