"""What a process keeps stays below the limit, and is made once."""

from __future__ import annotations

from tileconv.sources.cache import Cache


def test_kept_weight_never_exceeds_the_limit_and_the_oldest_goes():
    made = []

    def make(size):
        made.append(size)
        return bytes(size)

    cache = Cache(10, len)
    for size in (4, 5, 4, 3, 5, 11, 11, 3):
        assert len(cache.get(size, lambda size=size: make(size))) == size
    assert made == [4, 5, 3, 5, 11, 11]


def test_a_value_made_by_two_threads_at_once_is_weighed_once():
    cache = Cache(10, len)
    cache.get("a", lambda: cache.get("a", lambda: bytes(6)))
    made = []
    cache.get("b", lambda: made.append("b") or bytes(4))
    cache.get("a", lambda: made.append("a") or bytes(6))
    cache.get("b", lambda: made.append("b again") or bytes(4))
    assert made == ["b"]
