"""Samples that lie side by side come apart alike by the loop and by NumPy, and are read so from files."""

import numpy as np
import pytest
import tifffile

from tests.sources.sources_help import assert_reads, boxes, noise
from tileconv.engines.loops import RUNNING
from tileconv.sources import colours
from tileconv.sources.tiff import TiffSource


@pytest.fixture(autouse=True)
def running(monkeypatch):
    monkeypatch.setattr(colours, "LEAST", 1)
    before = RUNNING.is_set()
    RUNNING.set()
    yield
    if not before:
        RUNNING.clear()


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("samples", [2, 3, 4])
def test_a_part_of_a_segment_lies_in_its_planes_and_nowhere_else(samples, dtype):
    segment = noise((9, 40, samples), dtype)
    segment.flags.writeable = False  # as decoded ones are
    for box in boxes(segment.shape, "zyx", 9):
        part = tuple(map(slice, box.start, box.stop))
        expected = segment[part]
        block = np.zeros((expected.shape[2], expected.shape[0] + 2, expected.shape[1] + 3), dtype)
        colours.place(segment, part, block[:, 1:-1, 2:-1].transpose(1, 2, 0))
        np.testing.assert_array_equal(block[:, 1:-1, 2:-1].transpose(1, 2, 0), expected)
        assert np.count_nonzero(block) == np.count_nonzero(expected)
    part = slice(2, 8), slice(5, 31), slice(0, samples)
    block = np.zeros((samples, 6, 26), dtype)
    colours.place(segment, part, block.transpose(1, 2, 0))
    np.testing.assert_array_equal(block.transpose(1, 2, 0), segment[part])


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("how", [{"tile": (16, 32)}, {"rowsperstrip": 7}, {"tile": (16, 16), "compression": "deflate"}])
def test_files_of_colours(tmp_path, samples, how):
    image = noise((45, 70, samples), "u1")
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", **how)
    assert_reads(TiffSource(tmp_path / "a.tif"), image.transpose(2, 0, 1))
