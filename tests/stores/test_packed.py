"""The sum behind a chunk, by the library that other threads need not wait for, and without it."""

import google_crc32c
import numpy as np
import pytest

from tileconv.stores import packed


@pytest.mark.parametrize("kind", [bytes, np.asarray])
@pytest.mark.parametrize("size", [0, 9, packed.LARGE - 1, packed.LARGE, packed.LARGE + 3])
def test_sums_are_those_of_the_extension(size, kind, monkeypatch):
    data = kind(np.arange(size, dtype=np.uint32).astype(np.uint8))
    made = packed.checksum(data)
    assert made == google_crc32c.value(bytes(data)).to_bytes(4, "little")
    monkeypatch.setattr(packed, "_extend", lambda: None)
    assert packed.checksum(data) == made


def test_a_library_that_does_not_show_its_function_is_done_without(monkeypatch):
    packed._extend.cache_clear()
    monkeypatch.setattr(google_crc32c, "_crc32c", None, raising=False)
    assert packed._extend() is None
    packed._extend.cache_clear()
