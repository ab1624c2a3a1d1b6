"""Pictures: right means, right contrast, bounded reads."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tileconv.errors import GeometryError, SinkError, SourceError
from tileconv.images import ImageInfo
from tileconv.report.picture import smallest_level, write_picture


class Recorded:
    """A source in memory that remembers how many pixels each read took."""

    def __init__(self, array, axes="yx", chunks=None, nodata=None):
        self.array = np.asarray(array)
        self.info = ImageInfo(self.array.shape, axes, self.array.dtype, chunks or self.array.shape, nodata=nodata)
        self.reads = []

    def read(self, box):
        self.reads.append(box.size)
        return self.array[box.within(self.info.box)].copy()


def picture(tmp_path, source, **options):
    write_picture(source, tmp_path / "p.png", **options)
    with Image.open(tmp_path / "p.png") as image:
        return np.asarray(image)


def means_by_loops(array, step):
    height, width = (math.ceil(n / step) for n in array.shape)
    return np.array(
        [
            [array[r * step : (r + 1) * step, c * step : (c + 1) * step].astype(float).mean() for c in range(width)]
            for r in range(height)
        ]
    )


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_pixels_are_means_of_squares_stretched_between_percentiles(tmp_path_factory, height, width, max_px, seed):
    array = np.random.default_rng(seed).integers(0, 60000, (height, width)).astype("uint16")
    found = picture(tmp_path_factory.mktemp("p"), Recorded(array), max_px=max_px)
    expected = means_by_loops(array, math.ceil(max(height, width) / max_px))
    assert max(found.shape) <= max_px
    low, high = np.percentile(expected, [0.5, 99.5])
    if low < high:
        stretched = np.clip((expected - low) / (high - low), 0, 1) * 255
        np.testing.assert_allclose(found, stretched, atol=0.51)
    else:
        assert found.shape == expected.shape


@pytest.mark.parametrize("chunks", [(1, 4500), (4500, 1), (256, 256), (4500, 4500)])
def test_a_large_image_is_read_in_parts_each_pixel_once(tmp_path, chunks):
    rows, columns = np.ogrid[:4500, :4400]
    source = Recorded(((rows // 9) * 3 + columns // 11).astype("uint16"), chunks=chunks)
    found = picture(tmp_path, source, max_px=90)
    assert max(source.reads) <= 2**21
    assert sum(source.reads) == source.array.size
    expected = means_by_loops(source.array, 50)
    low, high = np.percentile(expected, [0.5, 99.5])
    np.testing.assert_allclose(found, np.clip((expected - low) / (high - low), 0, 1) * 255, atol=0.51)


@pytest.mark.parametrize(
    ("shapes", "max_px", "chosen"),
    [
        ([(4096, 4000), (2048, 2000), (1024, 1000), (512, 500)], 1024, 2),
        ([(4097, 4000), (2049, 2000), (1025, 1000), (513, 500)], 1024, 1),  # of level 2 there would be 513 pixels
        ([(5000, 4000), (2500, 2000), (1250, 1000)], 1000, 1),
        ([(5000, 4000), (2500, 2000), (1250, 1000)], 5000, 0),
        ([(5, 400, 400), (3, 200, 200)], 50, 0),  # a plane of it is of two planes
        ([(400, 400), (134, 200), (45, 100)], 50, 0),  # pixels that are no squares
        ([(400, 400), (134, 200), (100, 100)], 50, 2),
        ([(400, 400), (800, 800)], 50, 0),
    ],
)
def test_the_smallest_level_that_is_large_enough_is_shown(shapes, max_px, chosen):
    def opened(level):
        if level == len(shapes):
            raise SourceError("there is no such level")
        return Recorded(np.broadcast_to(np.uint8(1), shapes[level]), "zyx"[-len(shapes[0]) :])

    assert smallest_level(opened, max_px).info.shape == shapes[chosen]


def test_edges_have_zero_in_mid_gray(tmp_path):
    array = np.zeros((20, 20), "float32")
    array[:8], array[12:] = -3, 7
    found = picture(tmp_path, Recorded(array))
    assert found[10, 10] == 128
    assert found[0, 0] == round((7 - 3) / 14 * 255)
    assert found[19, 19] == 255


def test_a_signed_picture_is_blue_above_zero_and_red_below(tmp_path):
    values = np.array([[-4.0, -2.0, 0.0], [2.0, 4.0, np.nan]])
    shown = picture(tmp_path, Recorded(values), signed=True)
    expected = [[(255, 0, 0), (255, 128, 128), (255, 255, 255)], [(128, 128, 255), (0, 0, 255), (128, 128, 128)]]
    np.testing.assert_allclose(shown, np.array(expected), atol=2)  # the percentile lies a little below the largest
    assert picture(tmp_path, Recorded(np.zeros((2, 2))), signed=True).min() == 255
    assert picture(tmp_path, Recorded(np.full((2, 2), np.nan)), signed=True).max() == 128


def test_a_pixel_can_be_shown_larger(tmp_path):
    values = np.arange(12.0).reshape(3, 4)
    once, larger = (picture(tmp_path, Recorded(values), max_px=20, zoom=zoom) for zoom in (1, 5))
    np.testing.assert_array_equal(larger, once.repeat(5, axis=0).repeat(5, axis=1))
    assert picture(tmp_path, Recorded(values), max_px=4, zoom=9).shape == (9, 9)


def test_a_slight_undershoot_does_not_turn_a_photograph_gray(tmp_path):
    array = np.linspace(-5, 100, 400, dtype="float32").reshape(20, 20)
    assert picture(tmp_path, Recorded(array))[0, 0] == 0


def test_colour_keeps_its_channels_and_one_contrast(tmp_path):
    array = np.zeros((4, 10, 12), "uint8")
    array[0], array[1], array[2], array[3] = 0, 50, 100, 255
    found = picture(tmp_path, Recorded(array, "cyx"))
    assert found.shape == (10, 12, 3)
    assert found[3, 3].tolist() == [0, 128, 255]


def test_two_channels_stacks_and_times_show_the_first_plane(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (2, 2, 3, 9, 8)).astype("uint8")
    source = Recorded(array, "tczyx")
    np.testing.assert_array_equal(picture(tmp_path, source), picture(tmp_path, Recorded(array[0, 0, 0])))
    assert source.reads == [72]


def test_missing_pixels_are_black_and_do_not_spoil_their_neighbours(tmp_path):
    array = np.full((8, 8), 10.0)
    array[:, 4:] = 20.0
    array[0, 0], array[0, 1], array[0, 2] = np.nan, np.inf, -999.0
    array[6:, 6:] = np.nan
    found = picture(tmp_path, Recorded(array, nodata=-999.0), max_px=4)
    expected = np.repeat([[0, 0, 255, 255]], 4, axis=0)
    expected[3, 3] = 0
    np.testing.assert_array_equal(found, expected)
    assert (picture(tmp_path, Recorded(np.full((3, 3), np.nan))) == 0).all()


def test_a_flat_image_and_a_few_stars(tmp_path):
    assert (picture(tmp_path, Recorded(np.zeros((5, 5), "uint8"))) == 0).all()
    stars = np.zeros((100, 100), "float32")
    stars[50, 50] = 0.2
    found = picture(tmp_path, Recorded(stars))
    assert (found[50, 50], found.sum()) == (255, 255)


def test_an_image_without_pixels_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="a picture needs pixels"):
        write_picture(Recorded(np.zeros((0, 4))), tmp_path / "no.png")


def test_a_folder_that_is_a_file_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SinkError, match="cannot write"):
        write_picture(Recorded(np.zeros((2, 2))), tmp_path / "file" / "p.png")
