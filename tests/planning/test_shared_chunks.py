"""Decoded chunks that wait for other tiles: the sum against tiles made one after the other, and what the plan does."""

from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import MACHINE, pipeline

from tileconv.errors import PlanError
from tileconv.images import DECODED_CACHE_BYTES, ImageInfo
from tileconv.planning.budget import CACHE_SHARE
from tileconv.planning.build import make_plan
from tileconv.planning.memory import BASE_BYTES
from tileconv.planning.shared import chunk_sums, shared_px
from tileconv.spec import spec_from_mapping

BLUR = [{"op": "gaussian", "sigma": 2}]


def touched(start, stop, size, chunk):
    """Return the chunks along one axis that hold pixels of ``start`` to ``stop``, which may lie beyond the image."""
    return {p % size // chunk for p in range(start, stop)}


@st.composite
def axes_of_reads(draw):
    """Axes of an image as (size, chunk, reads): tiles with halos, cut at the image's ends or repeated beyond them."""
    axes = []
    for _ in range(draw(st.integers(1, 3))):
        size, chunk, tile = draw(st.integers(1, 24)), draw(st.integers(1, 9)), draw(st.integers(1, 12))
        before, after, wrap = draw(st.integers(0, 5)), draw(st.integers(0, 5)), draw(st.booleans())
        reads = [(a - before, min(a + tile, size) + after) for a in range(0, size, tile)]
        if not wrap or before + tile + after > size:
            reads = [(max(a, 0), min(b, size)) for a, b in reads]
        axes.append((size, chunk, reads))
    return axes


@given(axes_of_reads(), st.integers(1, 3))
def test_no_more_pixels_wait_than_the_sum_says(axes, workers):
    """Each tile in turn decodes what it reads and is not there; a chunk goes when no later tile reads it.

    With several workers as many tiles have their chunks at the same time.
    """
    tiles = [
        set(product(*(touched(*read, size, chunk) for read, (size, chunk, _) in zip(reads, axes, strict=True))))
        for reads in product(*(reads for _, _, reads in axes))
    ]
    readers = {c: [n for n, tile in enumerate(tiles) if c in tile] for tile in tiles for c in tile}
    shared = {c: (min(n), max(n)) for c, n in readers.items() if len(n) > 1}
    size = prod(chunk for _, chunk, _ in axes)
    most = max(
        size * sum(first < now + workers and now <= last for first, last in shared.values())
        for now in range(len(tiles))
    )
    sums = [chunk_sums(reads, n, chunk, workers) for n, chunk, reads in axes]
    assert most <= shared_px(sums, workers) <= prod(-(-n // c) * c for n, c, _ in axes)


def test_a_row_of_tiles_keeps_the_chunks_below_it_and_little_more():
    """16384 x 16384 pixels in chunks of 256, tiles of 2048 with a halo of 10."""
    reads = [(max(a - 10, 0), min(a + 2058, 16384)) for a in range(0, 16384, 2048)]
    sums = chunk_sums(reads, 16384, 256, 2)
    below, window = 2 * 256, 2048 + 2 * 256
    assert shared_px([sums, sums], 2) == below * (16384 + 2 * window) + window * below * 3
    aligned = chunk_sums([(a, a + 2048) for a in range(0, 16384, 2048)], 16384, 256, 2)
    assert shared_px([aligned, aligned], 2) == 0


def planned(shape, chunks, *, axes="yx", cache_bytes=0, compressed=True, dtype="uint16", **run):
    info = ImageInfo(shape, axes, np.dtype(dtype), chunks, compressed=compressed)
    spec = spec_from_mapping(pipeline(BLUR, output={"dtype": "float32"}, run={"memory": "4GiB"} | run))
    made = make_plan(spec, info, MACHINE, cache_bytes=cache_bytes)
    assert made.peak_bytes <= made.memory_limit
    return made.passes[0]


def test_the_plan_counts_what_waits_and_then_nothing_is_decoded_twice():
    job = planned((16384, 16384), (256, 256), tile=2048)
    assert job.cache_bytes == 2 * (512 * (16384 + 2 * 2560) + 2560 * 512 * 3)
    assert job.process_bytes == BASE_BYTES + job.cache_bytes
    assert job.read_amplification == 1
    plain = planned((16384, 16384), (256, 256), tile=2048, compressed=False)
    assert (plain.cache_bytes, plain.process_bytes) == (0, BASE_BYTES)


def test_processes_decode_what_they_share_each_for_itself():
    job = planned((16384, 16384), (256, 256), tile=2048, executor="processes", halo_method="windows")
    assert job.cache_bytes > 0
    along = 16384 + 2 * 256 * 7
    assert job.read_amplification == pytest.approx((along / 16384) ** 2)


def test_an_image_too_wide_for_the_memory_is_decoded_more_than_once_and_not_refused():
    wide = planned((100_000, 1_000_000), (512, 512), memory="1GiB", halo_method="windows", tile=2048)
    assert wide.cache_bytes <= 2**30 // CACHE_SHARE
    assert wide.read_amplification > 1.05
    tight = planned((100_000, 1_000_000), (512, 512), memory="340MiB", workers=1, tile=1024, halo_method="windows")
    assert 0 < tight.cache_bytes < 30 * 2**20
    with pytest.raises(PlanError, match="may take 300 MiB"):
        planned((100_000, 1_000_000), (512, 512), memory="300MiB", tile=1024)


def test_exchanged_halos_and_whole_pictures_keep_what_they_keep():
    assert planned((4096, 4096), (256, 256), halo_method="overlap").cache_bytes == DECODED_CACHE_BYTES
    picture = planned((4096, 4096), (4096, 4096), cache_bytes=2 * 4096**2, tile=1024)
    assert picture.process_bytes == BASE_BYTES + 2 * 4096**2
    assert picture.read_amplification == 1
