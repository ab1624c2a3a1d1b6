"""The lease of a run where no file can be locked: one of several holds it, and who was thought dead writes nothing."""

import json
import os
import re
from threading import Thread

import numpy as np
import pytest
from stores.objects_help import servers_in_memory

from tileconv.errors import SinkError
from tileconv.images import ImageInfo
from tileconv.record import lease as module
from tileconv.record import segments as segments_module
from tileconv.record.folder import RunFolder, segments
from tileconv.record.journal import ANEW, BEGIN, DONE, Event, History, TileKey
from tileconv.record.segments import Segments
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores import fences
from tileconv.stores.location import here
from tileconv.stores.objects import ObjectStore

EVENTS = [Event(BEGIN), Event(DONE, TileKey(0, 0, 0), "000000aa-1"), Event(DONE, TileKey(0, 0, 1), "000000bb-1")]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    with servers_in_memory():
        yield
        for late in PAUSED:
            with late:
                late.context.__exit__(None, None, None)
                late.held = None, None
    for known in (PAUSED, fences.held, module.holding):
        known.clear()


@pytest.fixture
def folder(tmp_path):
    return RunFolder(here(f"s3://bucket/{tmp_path.name}/o.zarr"))


@pytest.fixture
def elsewhere(monkeypatch):
    """Let this process be none of this machine for leases, so that nobody can tell that it has ended."""
    monkeypatch.setattr(module, "_process", lambda _: "")


PAUSED = []


class Paused:
    """A run that holds the lease, stops, and within a block wakes without knowing it."""

    def __init__(self, folder, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(module, "BEAT_S", 1e9)
            self.context = folder.locked()
            self.context.__enter__()
        self.held = fences.held[folder.output.text], module.holding[folder.output.text]
        self.output = folder.output.text
        PAUSED.append(self)

    def __enter__(self):
        self.others = fences.held.get(self.output), module.holding.get(self.output)
        fences.held[self.output], module.holding[self.output] = self.held

    def __exit__(self, *_):
        fences.held[self.output], module.holding[self.output] = self.others


def end(monkeypatch):
    """Let leases count as ended at once."""
    monkeypatch.setattr(module, "EXPIRES_S", 0.0)


def test_a_lease_that_is_renewed_is_refused_at_once(folder, monkeypatch, elsewhere):
    monkeypatch.setattr(module, "BEAT_S", 0.02)
    with folder.locked():
        assert folder.live()
        assert folder.holder()["pid"] == os.getpid()
        refused = pytest.raises(SinkError, match=rf"being written by another run, process {os.getpid()} on ")
        with refused, RunFolder(folder.output).locked():
            pass
        folder.write_plan({})
    assert not folder.live()
    with folder.locked():
        pass


def test_a_folder_in_which_no_run_was_begun_goes_again(folder):
    with folder.locked():
        assert folder.there()
    assert not folder.there()


def test_of_many_that_begin_at_once_one_has_it(folder, monkeypatch, elsewhere):
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    store, got, refused = ObjectStore(folder.place.text), [], []

    def begin(number):
        told = {"pid": number, "host": "h", "held": True, "beat": 0, "token": f"{number:032}", "expires": 60.0}
        try:
            got.append(module.Lease(store, module._acquired(store, told, len), told))
        except module.TakenError:
            refused.append(number)

    threads = [Thread(target=begin, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    [lease.free(forget=False) for lease in got]
    assert (len(got), len(refused)) == (1, 7)


def test_a_process_of_this_machine_that_ended_holds_nothing(folder, monkeypatch):
    told = {"pid": 1, "host": "here", "held": True, "beat": 3, "token": "f" * 32, "expires": 60.0}
    told["process"] = " ".join([*module._process(os.getpid()).split()[:2], "4194305", "1"])
    ObjectStore(folder.place.text).create("lock", json.dumps(told).encode())
    assert not folder.live()
    with folder.locked():
        assert folder.holder()["pid"] == os.getpid()


def test_the_wait_for_a_lease_is_said(folder, elsewhere):
    told = {"pid": 7, "host": "far", "held": True, "beat": 3, "token": "f" * 32, "expires": 0.4}
    ObjectStore(folder.place.text).create("lock", json.dumps(told).encode())
    heard = []
    with folder.locked(heard=heard.append):
        assert folder.holder()["pid"] == os.getpid()
    assert len(heard) == 1
    assert re.fullmatch(r"waiting 0 s at most to see whether process 7 on far still writes the output", heard[0])


def test_no_two_runs_put_the_same_metadata_before_the_end(folder):
    """A server tells them apart by their bytes: one that woke would write over the other's as if they were its own."""
    info = ImageInfo((4, 5), "yx", np.dtype("u1"), (4, 5))
    said = []
    for _ in range(2):
        with folder.locked():
            sink = ZarrSink(folder.output.store(), Layout(info))
            for change in (lambda: sink.create(overwrite=True), sink.unfinish):  # noqa: B023 called at once
                change()
                said.append(json.loads(sink.store.read_all("zarr.json"))["attributes"]["tileconv"])
    assert [one["complete"] for one in said] == [False] * 4
    assert said[0] == said[1] != said[2] == said[3]


def test_one_that_was_thought_dead_writes_nothing_that_counts(folder, monkeypatch, elsewhere):
    """Neither lines of the journal, nor done, nor metadata in the place of those of the run that took over."""
    end(monkeypatch)
    late = Paused(folder, monkeypatch)
    with late:
        journal = Segments(folder.place)
        folder.write_plan({"of": "the first"})
        folder.output.store().write("zarr.json", [[b"first"]])
    monkeypatch.setattr(segments_module, "WITHIN_S", 0.0)
    with RunFolder(folder.output).locked():
        folder.write_plan({"of": "the second"})
        folder.output.store().write("zarr.json", [[b"second"]])
        with Segments(folder.place) as own:
            [own.append(event) for event in EVENTS]
        with late:
            why = "is not written by this run any more, because another run has taken over its lease"
            for write in (
                lambda: journal.append(EVENTS[1]),
                lambda: folder.set_done({}),
                lambda: folder.unset_done(),
                lambda: folder.write_plan({"of": "the first"}),
                lambda: folder.output.store().write("zarr.json", [[b"late"]]),
                lambda: folder.output.store().delete("0/"),
            ):
                with pytest.raises(SinkError, match=why):
                    write()
        assert not folder.done()
        folder.set_done({})
    assert folder.done()
    assert folder.plan() == {"of": "the second"}
    assert folder.output.store().read_all("zarr.json") == b"second"
    assert History.of(folder.store, [2]).total_done() == 2
    assert History.of(folder.store, [2]).unreadable == 0


def test_who_takes_over_seals_the_journal(folder, monkeypatch, elsewhere):
    """Before it writes a line itself: what the other puts next finds its number taken."""
    end(monkeypatch)
    late = Paused(folder, monkeypatch)
    with late:
        folder.write_plan({})
        journal = Segments(folder.place)
        journal.append(EVENTS[0])
    with RunFolder(folder.output).locked():
        with pytest.raises(SinkError, match="another run has taken over"), journal:
            journal.append(EVENTS[1])
        assert History.of(folder.store, [2]).total_done() == 0


def test_one_that_stops_between_its_look_at_the_lease_and_its_step(folder, monkeypatch, elsewhere):
    """It replaces only what it saw before that look."""
    end(monkeypatch)
    late, check = Paused(folder, monkeypatch), ObjectStore._check_fence
    with late:
        folder.write_plan({})
        old = folder.output.store()
        ObjectStore(old.url).write("0/c/0", [[b"of a run before"]])

    def stopping(self, key):
        check(self, key)
        monkeypatch.setattr(ObjectStore, "_check_fence", check)
        with RunFolder(folder.output).locked():
            folder.output.store().write("0/c/0", [[b"of the run that took over"]])

    monkeypatch.setattr(ObjectStore, "_check_fence", stopping)
    with pytest.raises(SinkError, match="is not written by this run any more"):
        old.write("0/c/0", [[b"late"]])
    assert old.read_all("0/c/0") == b"of the run that took over"


def test_a_chunk_that_comes_late_is_replaced_by_the_run_that_took_over(folder, monkeypatch, elsewhere):
    """And one that finds its place taken leaves it alone, unless it holds the same bytes."""
    end(monkeypatch)
    late = Paused(folder, monkeypatch)
    with late:
        old = folder.output.store()
    with RunFolder(folder.output).locked():
        new = folder.output.store()
        old.write("0/c/0", [[b"late"]])
        new.write("0/c/0", [[b"new"]])
        new.write("0/c/1", [[b"new"]])
        old.write("0/c/1", [[b"new"]])
        with pytest.raises(SinkError, match="is not written by this run any more"):
            old.write("0/c/1", [[b"late"]])
        assert [new.read_all(f"0/c/{n}") for n in (0, 1)] == [b"new", b"new"]
        folder.write_plan({})


def test_a_journal_that_begins_anew(folder, monkeypatch):
    """Segments that a run before puts late lie before it, and count no more."""
    with folder.locked():
        folder.write_plan({})
        for event in EVENTS:
            with Segments(folder.place) as journal:
                journal.append(event)
        assert segments(folder.store) == ["journal", "journal.1", "journal.2"]
        folder.clear()
        assert segments(folder.store) == ["journal.3"]
        assert folder.plan() is None
        folder.store.create("journal.1", b"".join(event.line() for event in EVENTS))
        assert History.of(folder.store, [2]).total_done() == 0
        with Segments(folder.place) as journal:
            journal.append(EVENTS[2])
        history = History.of(folder.store, [2])
    assert history.total_done() == 1
    assert history.last(TileKey(0, 0, 1)) == DONE


def test_many_events_are_one_object(folder, monkeypatch):
    monkeypatch.setattr(segments_module, "EVENTS", 10)
    monkeypatch.setattr(segments_module, "WITHIN_S", 1e9)
    with Segments(folder.place) as journal:
        for _ in range(25):
            journal.append(EVENTS[1])
    assert segments(folder.store) == ["journal", "journal.1", "journal.2"]
    assert History.of(folder.store, [2]).attempts(TileKey(0, 0, 0)) == 25


def test_repair_is_said_and_taken_back(folder):
    with folder.locked():
        folder.write_plan({})
        folder.unset_repairing()
        assert not folder.repairing()
        folder.set_repairing()
        assert folder.repairing()
        folder.unset_repairing()
        assert not folder.repairing()


@pytest.mark.parametrize("mode", ["create", "update"])
def test_a_store_that_replaces_in_spite_of_conditions_is_refused(folder, monkeypatch, mode):
    put = ObjectStore._put

    def ignoring(self, key, data, **words):
        asked = words.get("mode")
        return put(self, key, data, **({} if (asked == "create") == (mode == "create") else words))

    monkeypatch.setattr(ObjectStore, "_put", ignoring)
    refused = pytest.raises(SinkError, match=r"does not honour conditional requests .* state run\.lock: none")
    with refused, folder.locked():
        pass
    assert not folder.there()
    with folder.locked(hold=False):
        folder.write_plan({"a": 1})
        folder.set_done({})
    assert folder.done()


def test_events_of_a_begin_anew_are_lines_like_others():
    assert Event.of_line(Event(ANEW).line()).kind == ANEW
