"""The journal: what a torn or damaged line costs, and what it never does."""

import os
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileconv.errors import SinkError
from tileconv.record.journal import BEGIN, DAMAGED, DONE, FAILED, Event, History, Journal
from tileconv.tiles.compute import Counts

EVENTS = [
    Event(BEGIN),
    Event(DONE, (0, 0), "000000aa-1", 1, 0.5, Counts(1, 2, 3)),
    Event(DONE, (0, 1), "000000bb-1"),
    Event(FAILED, (1, 0), error="tile y=0:1\nfailed \u2028 \N{SNOWMAN}"),
    Event(DONE, (1, 0), "fc0000cc-1f", 2, 0.25, Counts(4, 0, 0)),
    Event(DAMAGED, (0, 1)),
]
TILES, KEYS = (3, 1), [(0, 0), (0, 1), (1, 0)]


def write(path, events=EVENTS):
    with Journal(path) as journal:
        for event in events:
            journal.append(event)
    return path.read_bytes()


def test_what_is_written_is_read(tmp_path):
    text = write(tmp_path / "j")
    assert text.count(b"\n") == len(EVENTS)
    read = [Event.of_line(line) for line in text.splitlines(keepends=True)]
    for found, event in zip(read, EVENTS, strict=True):
        assert (found.what, found.key, found.digest, found.counts, found.error, found.attempt, found.seconds) == (
            (event.what, event.key, event.digest, event.counts, event.error, event.attempt, event.seconds)
        )
        assert abs(found.time - event.time) < 0.01


def test_the_last_word_on_a_tile_counts(tmp_path):
    write(tmp_path / "j")
    history = History.of(tmp_path / "j", TILES)
    assert list(history.done(0)) == [0]
    assert list(history.done(1)) == [0]
    assert history.failed() == {}
    assert history.counts() == Counts(5, 2, 3)
    assert [history.attempts(key) for key in KEYS] == [1, 1, 2]
    assert [history.digest(key) for key in KEYS] == ["000000aa-1", "", "fc0000cc-1f"]
    assert history.seconds() == 0.75
    assert (history.total_done(), list(history.unknown(0)), list(history.unknown(1))) == (2, [2], [])
    assert (len(history.begun), history.since_begin, history.unreadable) == (1, 3, 0)
    assert History.of(tmp_path / "absent", TILES).total_done() == 0


def test_every_torn_end_loses_the_last_line_alone(tmp_path):
    """Cut anywhere, then appended to: what was whole stays, what comes after is not swallowed."""
    whole = write(tmp_path / "whole")
    starts = [0, *(i + 1 for i, b in enumerate(whole) if b == ord("\n"))]
    for length in range(len(whole)):
        path = tmp_path / "j"
        path.write_bytes(whole[:length])
        before = sum(start <= length for start in starts[1:])
        with Journal(path) as journal:
            journal.append(Event(DONE, (1, 1), "000000dd-1"))
        history = History.of(path, (3, 2))
        assert history.digest((1, 1)) == "000000dd-1"
        # a line that lacks its newline alone is whole: the newline that goes before the next one ends it
        kept = before + (length + 1 in starts)
        expected = {event.key: event.what for event in EVENTS[:kept] if event.what != BEGIN}
        assert [history.what(key) for key in KEYS] == [expected.get(key) for key in KEYS]
        assert history.unreadable == (length not in starts and length + 1 not in starts)


@given(st.data())
def test_a_flipped_bit_loses_its_line_and_invents_nothing(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("flip") / "j"
    whole = bytearray(write(path))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    path.write_bytes(whole)
    history = History.of(path, TILES)
    assert 1 <= history.unreadable <= 2
    for key, known in zip(KEYS, ("000000aa-1", "000000bb-1", "fc0000cc-1f"), strict=True):
        assert history.digest(key) in {"", known}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("noise") / "j"
    path.write_bytes(noise)
    assert [History.of(path, TILES).what(key) for key in KEYS] == [None] * 3


def test_lines_with_a_good_checksum_and_other_contents(tmp_path):
    for text in (b"[]", b"1", b'{"event":"done"}', b'{"event":"done","time":"x"}', b'{"time":1,"pass":{}}'):
        assert Event.of_line(b"%08x %s\n" % (zlib.crc32(text), text)) is None


@pytest.mark.parametrize(
    "event",
    [
        Event(DONE, (0, 3), "000000aa-1"),
        Event(DONE, (2, 0), "000000aa-1"),
        Event(DONE, (0, 2), "no digest"),
        Event(DONE, (0, 2), "100000000-1"),
        Event(DONE, (0, 2), "000000aa-1", counts=Counts(-1)),
        Event(DONE, (0, 2), "000000aa-1", counts=Counts(2**64)),
        Event(FAILED, (0, -1)),
        Event("other", (0, 2)),
    ],
)
def test_a_line_that_fits_no_tile_counts_as_unreadable(tmp_path, event):
    write(tmp_path / "j", [*EVENTS, event])
    history = History.of(tmp_path / "j", TILES)
    assert (history.unreadable, history.what((0, 2)), history.total_done()) == (1, None, 2)


def test_a_history_is_small():
    """Of a run of a million tiles: at most 64 bytes each, whatever the journal says of them."""
    tracemalloc.start()
    try:
        history = History((1_000_000,))
        for tile in range(0, 1_000_000, 100):
            history.add(Event(DONE, (0, tile), f"{tile:08x}-1", 1, 0.5, Counts(tile, 1, 2), time=0))
        assert tracemalloc.get_traced_memory()[0] < 64_000_000
    finally:
        tracemalloc.stop()
    assert history.counts() == Counts(sum(range(0, 1_000_000, 100)), 10_000, 20_000)


def test_a_short_write_of_the_system_is_made_good(tmp_path, monkeypatch):
    real, calls = os.write, []

    def short(descriptor, data):
        calls.append(data)
        return real(descriptor, data[:9] if len(calls) == 2 else data)

    monkeypatch.setattr(os, "write", short)
    write(tmp_path / "j")
    history = History.of(tmp_path / "j", TILES)
    assert history.unreadable == 1
    assert history.digest((0, 0)) == "000000aa-1"
    assert len(calls) == len(EVENTS) + 1


def test_a_disk_that_is_full_is_named(tmp_path):
    with Journal(tmp_path / "j") as journal:
        os.dup2(os.open("/dev/full", os.O_WRONLY), journal._descriptor)
        with pytest.raises(SinkError, match=r"No space left.*Free some disk space"):
            journal.append(Event(BEGIN))
