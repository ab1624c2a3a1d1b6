"""What viewers show of a result at first: no image opens black, or as noise, whatever its values."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileconv.boxes import Box, TileGrid
from tileconv.images import ImageInfo
from tileconv.sinks.contrast import CHUNKS, Samples, chunks_of, window_of
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.storage import Storage
from tileconv.stores.memory import MemoryStore


def shown(image, axes="yx", chunks=None, channels=()):
    """Return the windows of an image that is stored in *chunks*, read by *2* threads."""
    info = ImageInfo(image.shape, axes, image.dtype, chunks or image.shape, channels=channels)
    return Samples(info).windows(lambda box: image[box.within(info.box)], 2)


def noise(shape, dtype="f4", seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * 20 + 100).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("hot", [False, True])
def test_percentiles_of_the_image_but_not_one_hot_pixel(dtype, hot):
    image = noise((300, 400), dtype)
    low, high = np.percentile(image, (0.1, 99.9))
    if hot:
        image[7, 9] = np.iinfo(dtype).max if image.dtype.kind in "iu" else 1e30
    (window,) = shown(image, chunks=(100, 100))
    assert window.start == pytest.approx(low, abs=0.5)
    assert window.end == pytest.approx(high, abs=0.5)
    assert window.min <= window.start < window.end <= window.max


@pytest.mark.parametrize("scale", [1, 5])
def test_both_sides_of_zero_are_shown_alike(scale):
    image = noise((200, 200)) - 100
    image[image > 0] *= scale
    (window,) = shown(image)
    assert window.start == -window.end < 0
    assert window.end == pytest.approx(np.percentile(image, 99.9), rel=0.05)


def test_a_few_values_below_zero_do_not_turn_an_image_gray():
    (window,) = shown(noise((200, 200)) - 50)
    assert -20 < window.start < 0 < 100 < window.end


@pytest.mark.parametrize(
    ("pixels", "start", "end"),
    [
        ([0, 0, 0, 0], 0, 1),
        ([7, 7, 7], 0, 7),
        ([-3, -3], -3, 0),
        ([0] * 5000 + [9], 0, 9),
        ([np.nan, np.inf], 0, 1),
        ([np.nan, 2, 5, -np.inf], 2, 5),
    ],
)
def test_images_of_few_values_open_neither_black_nor_with_an_empty_window(pixels, start, end):
    (window,) = shown(np.array([pixels], "f4"))
    assert (window.start, window.end) == (start, end)
    assert window.min <= start < end <= window.max


def test_red_green_and_blue_share_a_window_and_other_channels_do_not():
    image = noise((3, 60, 60))
    image[1] *= 10
    one, other, third = shown(image, "cyx", (1, 60, 60))
    assert other.end > 5 * one.end
    assert third != one
    red, green, blue = shown(image, "cyx", (1, 60, 60), channels=("Red", "Green", "Blue"))
    assert red == green == blue == window_of(image.ravel())
    with_alpha = np.concatenate([image, np.full((1, 60, 60), 255, "f4")])
    *colours, alpha = shown(with_alpha, "cyx", (1, 60, 60), channels=("red", "green", "blue", "alpha"))
    assert (colours, alpha.end) == ([red] * 3, 255)


@pytest.mark.parametrize("chunks", [(1, 60, 60), (2, 30, 60), (3, 60, 20)])
def test_channels_of_one_chunk_are_told_apart(chunks):
    image = np.stack([noise((60, 60), seed=seed) * 10**seed for seed in range(3)])
    assert shown(image, "cyx", chunks) == [window_of(channel.ravel()) for channel in image]


@given(st.data(), st.integers(1, 100))
def test_chunks_are_chosen_by_number_within_the_image_and_each_once(data, count):
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)))
    info = ImageInfo(shape, "cyx", np.dtype("u1"), (1, 1, 2))
    channel = data.draw(st.integers(0, shape[0] - 1))
    found = list(chunks_of(info, channel, count))
    there = [box for box in TileGrid(info.box, info.chunks) if box.start[0] <= channel < box.stop[0]]
    assert len(set(found)) == len(found) <= count
    assert set(found) <= set(there)
    assert len(found) == len(there) or len(found) >= 0.5 * count


def test_chosen_chunks_are_spread_over_rows_and_columns():
    info = ImageInfo((64, 64), "yx", np.dtype("u1"), (1, 1))
    found = np.array([box.start for box in chunks_of(info, 0, CHUNKS)])
    for axis in range(2):
        parts = np.bincount(found[:, axis] // 16, minlength=4)
        assert parts.min() > CHUNKS / 8


def test_at_most_so_many_chunks_are_read_and_one_of_each_channel():
    for channels, most in ((1, 64), (5, 60), (100, 100)):
        read, info = [], ImageInfo((channels, 20, 20), "cyx", np.dtype("u1"), (1, 1, 1))
        Samples(info).windows(lambda box, read=read: read.append(box) or np.zeros(box.shape, "u1"), 1)
        assert 0.5 * most <= len(read) <= most


@pytest.mark.parametrize("shards", [(), (1, 4, 4)])
@pytest.mark.parametrize("channels", [2, CHUNKS + 1])
def test_what_is_written_is_not_read_again(tmp_path, shards, channels):
    image = noise((channels, 9, 10))
    info = ImageInfo(image.shape, "cyx", image.dtype, (1, 2, 2), nodata=float(image[1, 8, 9]))
    sink = ZarrSink(MemoryStore(), Layout(info, storage=Storage(shards=shards)), Samples(info))
    sink.create()
    for box in TileGrid(info.box, (2, 4, 8)):
        sink.writer.write(box, image[box.within(info.box)])
    sink.writer.write(box, image[box.within(info.box)])  # again, as a late worker may
    read = []
    made = sink.shown.windows(lambda box: read.append(box) or sink.writer.read(box), 2)
    assert made == Samples(info).windows(sink.writer.read, 2)
    assert len(read) == (0 if channels == 2 else channels)  # more pixels than are kept


def test_what_another_process_wrote_is_read():
    image = noise((8, 8))
    info = ImageInfo(image.shape, "yx", image.dtype, (4, 4))
    samples = Samples(info)
    samples.keep(Box((0, 4), (4, 8), "yx"), image[:4, 4:])
    for of, expected in ((samples, 3), (pickle.loads(pickle.dumps(samples)), 4)):  # noqa: S301 our own
        read = []
        (window,) = of.windows(lambda box, read=read: read.append(box) or image[box.within(info.box)], 1)
        assert (window, len(read)) == (window_of(image.ravel()), expected)
