"""What a process keeps stays below the limit, and is made once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tileconv.sources.cache as module
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


def test_a_value_is_dropped_after_its_last_use_and_one_used_once_is_never_kept():
    cache, made = Cache(10, len), []

    def get(key, size, uses):
        return len(cache.get(key, lambda: made.append(key) or bytes(size), uses))

    get("b", 6, 9)
    assert [get("a", 4, 3) for _ in range(3)] == [4] * 3
    get("c", 4, 9)  # there is room without a, and b stays
    get("d", 5, 1)
    get("b", 6, 9)
    assert made == ["b", "a", "c", "d"]
    get("a", 4, 3)
    assert made[4:] == ["a"]


def test_a_limit_given_with_a_value_drops_what_was_kept_under_a_larger_one():
    cache, made = Cache(10, len), []

    def get(key, *limit):
        cache.get(key, lambda: made.append(key) or bytes(4), None, *limit)

    for key in "abcb":  # the third drops the first
        get(key)
    get("d", 4)
    for key in "db":
        get(key, 4)
    assert made == ["a", "b", "c", "d", "b"]


class Meeting:
    """Lets a thread that makes a value go on once another one waits for it."""

    def __init__(self, monkeypatch):
        self.inside, self.waited = threading.Event(), threading.Event()
        waited = self.waited

        class Told(module._Making):
            def wait(self):
                waited.set()
                return super().wait()

        monkeypatch.setattr(module, "_Making", Told)

    def make(self, value):
        self.inside.set()
        assert self.waited.wait(60)
        if isinstance(value, Exception):
            raise value
        return value


@pytest.mark.parametrize("size", [6, 11], ids=["kept", "too heavy to keep"])
def test_a_value_that_another_thread_makes_is_waited_for(monkeypatch, size):
    meeting, cache, made = Meeting(monkeypatch), Cache(10, len), []
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "a", lambda: made.append(1) or meeting.make(bytes(size)))
        assert meeting.inside.wait(60)
        assert cache.get("b", lambda: bytes(1)) == bytes(1)  # other values are not held up
        second = pool.submit(cache.get, "a", lambda: made.append(2) or bytes(size))
        assert (len(first.result(60)), len(second.result(60))) == (size, size)
    assert made == [1]


def test_who_waits_for_a_value_that_fails_makes_it(monkeypatch):
    meeting, cache = Meeting(monkeypatch), Cache(10, len)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, "a", lambda: meeting.make(OSError("gone")))
        assert meeting.inside.wait(60)
        second = pool.submit(cache.get, "a", lambda: bytes(3))
        with pytest.raises(OSError, match="gone"):
            first.result(60)
        assert second.result(60) == bytes(3)
    assert cache.get("a", list) == bytes(3)
