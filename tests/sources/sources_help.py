"""Arrays that tests write to files, and random boxes to read them back by."""

from __future__ import annotations

import numpy as np

from tileconv.boxes import Box


def noise(shape, dtype, seed=0):
    """Every bit of an integer is used, floats lie on both sides of zero."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(0, 100, shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def boxes(shape, axes, count=12, seed=1):
    """The whole image, one pixel at its end, and boxes drawn at random, some of them one pixel wide."""
    rng = np.random.default_rng(seed)
    yield Box.of_shape(shape, axes)
    yield Box(tuple(n - 1 for n in shape), tuple(shape), axes)
    for _ in range(count):
        start = [int(rng.integers(0, n)) for n in shape]
        stop = [
            int(a + 1 if rng.random() < 0.25 else rng.integers(a + 1, n + 1)) for a, n in zip(start, shape, strict=True)
        ]
        yield Box(tuple(start), tuple(stop), axes)


def assert_reads(source, expected):
    """Every box gives the same pixels, bytes and type as slicing the array that was written."""
    assert source.info.shape == expected.shape
    assert source.info.dtype == expected.dtype
    for box in boxes(expected.shape, source.info.axes):
        block = source.read(box)
        assert block.flags.c_contiguous or not any(block.strides)
        assert block.dtype.isnative
        np.testing.assert_array_equal(block, expected[tuple(map(slice, box.start, box.stop))], err_msg=str(box))
        assert block.dtype == expected.dtype
