"""The journal: what a torn or damaged line costs, and what it never does."""

import os
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileconv.errors import SinkError, SourceError
from tileconv.record.journal import BEGIN, DAMAGED, DONE, FAILED, Event, History, Journal, TileKey
from tileconv.stores.local import LocalStore
from tileconv.stores.location import here
from tileconv.stores.memory import MemoryStore
from tileconv.tiles.compute import Counts

EVENTS = [
    Event(BEGIN),
    Event(DONE, TileKey(0, 0, 0), "000000aa-1", 1, 0.5, Counts(1, 2, 3)),
    Event(DONE, TileKey(0, 0, 1), "000000bb-1"),
    Event(FAILED, TileKey(1, 0, 0), error="tile y=0:1\nfailed \u2028 \N{SNOWMAN}"),
    Event(DONE, TileKey(1, 0, 0), "fc0000cc-1f", 2, 0.25, Counts(4, 0, 0)),
    Event(DAMAGED, TileKey(0, 0, 1)),
]
TILES, KEYS = (3, 1), [TileKey(0, 0, 0), TileKey(0, 0, 1), TileKey(1, 0, 0)]


def write(folder, events=EVENTS):
    """Write *events* to the journal in *folder*; return what it holds."""
    with Journal(here(folder)) as journal:
        for event in events:
            journal.append(event)
    return (folder / "journal").read_bytes()


def read(folder, tiles=TILES):
    """Return what the journal in *folder* says."""
    return History.of(LocalStore(folder), tiles)


def test_what_is_written_is_read(tmp_path):
    text = write(tmp_path)
    assert text.count(b"\n") == len(EVENTS)
    read = [Event.of_line(line) for line in text.splitlines(keepends=True)]
    for found, event in zip(read, EVENTS, strict=True):
        assert (found.kind, found.key, found.digest, found.counts, found.error, found.attempt, found.seconds) == (
            (event.kind, event.key, event.digest, event.counts, event.error, event.attempt, event.seconds)
        )
        assert abs(found.time - event.time) < 0.01


def test_the_last_word_on_a_tile_counts(tmp_path):
    write(tmp_path)
    history = read(tmp_path)
    assert list(history.done(0)) == [0]
    assert list(history.done(1)) == [0]
    assert history.failed() == {}
    assert history.counts() == Counts(5, 2, 3)
    assert [history.attempts(key) for key in KEYS] == [1, 1, 2]
    assert [history.digest(key) for key in KEYS] == ["000000aa-1", "", "fc0000cc-1f"]
    assert history.seconds() == 0.75
    assert history.total_done() == 2
    assert [list(history.is_last(None, array)) for array in (0, 1)] == [[False, False, True], [False]]
    assert (len(history.begun), history.since_begin, history.unreadable) == (1, 3, 0)
    assert read(tmp_path / "absent").total_done() == 0


def test_every_torn_end_loses_the_last_line_alone(tmp_path):
    """Cut anywhere, then appended to: what was whole stays, what comes after is not swallowed."""
    (tmp_path / "whole").mkdir()
    whole, path = write(tmp_path / "whole"), tmp_path / "journal"
    starts = [0, *(i + 1 for i, b in enumerate(whole) if b == ord("\n"))]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        before = sum(start <= length for start in starts[1:])
        with Journal(here(tmp_path)) as journal:
            journal.append(Event(DONE, TileKey(1, 0, 1), "000000dd-1"))
        history = read(tmp_path, (3, 2))
        assert history.digest(TileKey(1, 0, 1)) == "000000dd-1"
        # a line that lacks its newline alone is whole: the newline that goes before the next one ends it
        kept = before + (length + 1 in starts)
        expected = {event.key: event.kind for event in EVENTS[:kept] if event.kind != BEGIN}
        assert [history.last(key) for key in KEYS] == [expected.get(key) for key in KEYS]
        assert history.unreadable == (length not in starts and length + 1 not in starts)


@given(st.data())
def test_a_flipped_bit_loses_its_line_and_invents_nothing(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    whole = bytearray(write(folder))
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    (folder / "journal").write_bytes(whole)
    history = read(folder)
    assert 1 <= history.unreadable <= 2
    for key, known in zip(KEYS, ("000000aa-1", "000000bb-1", "fc0000cc-1f"), strict=True):
        assert history.digest(key) in {"", known}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(tmp_path_factory, noise):
    folder = tmp_path_factory.mktemp("noise")
    (folder / "journal").write_bytes(noise)
    assert [read(folder).last(key) for key in KEYS] == [None] * 3


def test_segments_are_read_in_the_order_of_their_numbers(tmp_path):
    """As of a store that cannot append; the last line of each may be torn, and the next segment is not swallowed."""
    store, events = MemoryStore(), [Event(DONE, KEYS[0], f"{n:08x}-1", n) for n in range(12)]
    for number, event in enumerate(events):
        torn = Event(BEGIN).line()[:-9]
        store.write("journal" if not number else f"journal.{number}", [[event.line(), torn]])
    store.write("journal.partial", [[b"no segment"]])
    history = History.of(store, TILES)
    assert history.digest(KEYS[0]) == events[-1].digest
    assert (history.attempts(KEYS[0]), history.unreadable, history.begun) == (12, 12, [])
    for key in store.list():
        (tmp_path / key).write_bytes(store.read_all(key))
    with Journal(here(tmp_path)) as journal:
        journal.append(Event(DAMAGED, KEYS[0]))
    assert read(tmp_path).last(KEYS[0]) == DAMAGED


def test_a_journal_of_before_and_one_of_a_later_version(tmp_path):
    old = (
        b'{"event":"begin","time":1.5}',
        b'{"event":"done","time":2.5,"pass":1,"tile":0,"attempt":1,"digest":"000000aa-1"}',
    )
    (tmp_path / "journal").write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in old))
    history = read(tmp_path)
    assert (history.digest(KEYS[2]), history.begun, history.ended, history.unreadable) == ("000000aa-1", [1.5], 2.5, 0)
    later = Event(BEGIN).line().split(b" ", 1)[1].strip().replace(b'"version":2', b'"version":3')
    (tmp_path / "journal").write_bytes(b"%08x %s\n" % (zlib.crc32(later), later))
    with pytest.raises(SourceError, match=r"journal of version 2 or before, found 3. Use the version"):
        read(tmp_path)


def test_lines_with_a_good_checksum_and_other_contents(tmp_path):
    for text in (b"[]", b"1", b'{"event":"done"}', b'{"event":"done","time":"x"}', b'{"time":1,"pass":{}}'):
        assert Event.of_line(b"%08x %s\n" % (zlib.crc32(text), text)) is None


@pytest.mark.parametrize(
    "event",
    [
        Event(DONE, TileKey(0, 0, 3), "000000aa-1"),
        Event(DONE, TileKey(2, 0, 0), "000000aa-1"),
        Event(DONE, TileKey(0, 0, 2), "no digest"),
        Event(DONE, TileKey(0, 0, 2), "100000000-1"),
        Event(DONE, TileKey(0, 0, 2), "000000aa-1", counts=Counts(-1)),
        Event(DONE, TileKey(0, 0, 2), "000000aa-1", counts=Counts(2**64)),
        Event(FAILED, TileKey(0, 0, -1)),
        Event("other", TileKey(0, 0, 2)),
    ],
)
def test_a_line_that_fits_no_tile_counts_as_unreadable(tmp_path, event):
    write(tmp_path, [*EVENTS, event])
    history = read(tmp_path)
    assert (history.unreadable, history.last(TileKey(0, 0, 2)), history.total_done()) == (1, None, 2)


def test_a_history_is_small():
    """Of a run of a million tiles: at most 64 bytes each, whatever the journal says of them."""
    tracemalloc.start()
    try:
        history = History((1_000_000,))
        for tile in range(0, 1_000_000, 100):
            history.add(Event(DONE, TileKey(0, 0, tile), f"{tile:08x}-1", 1, 0.5, Counts(tile, 1, 2), time=0))
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
    write(tmp_path)
    history = read(tmp_path)
    assert history.unreadable == 1
    assert history.digest(TileKey(0, 0, 0)) == "000000aa-1"
    assert len(calls) == len(EVENTS) + 1


def test_a_handful_is_one_write_and_a_short_one_repeats_no_whole_line(tmp_path, monkeypatch):
    real, calls = os.write, []

    def short(descriptor, data):
        calls.append(data)
        return real(descriptor, data[: len(data) * 2 // 3] if len(calls) == 1 else data)

    monkeypatch.setattr(os, "write", short)
    with Journal(here(tmp_path)) as journal:
        journal.append(*EVENTS)
        journal.append(EVENTS[0], EVENTS[1])
    assert len(calls) == 3
    history = read(tmp_path)
    assert (history.unreadable, len(history.begun)) == (1, 2)
    assert [history.attempts(key) for key in KEYS] == [2, 1, 2]  # the first of them was told of twice


def test_a_disk_that_is_full_is_named(tmp_path):
    with Journal(here(tmp_path)) as journal:
        os.dup2(os.open("/dev/full", os.O_WRONLY), journal._descriptor)
        with pytest.raises(SinkError, match=r"No space left.*Free some disk space"):
            journal.append(Event(BEGIN))
