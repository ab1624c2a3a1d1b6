"""When a tile on a cluster takes too long: by those that are done, or by what the run says."""

import time
from types import SimpleNamespace

import pytest

from tileconv.execute.tasks import LATE, LATE_S, Task, Tiles


def hangs(flown_s, *, tries=1, times=()):
    """Return whether a task in flight for so long counts as late."""
    crew = SimpleNamespace(client=None, timeout_s=None, running={"key": flown_s}, held_by=lambda *_: False)
    flight, task = Tiles(crew, []), Task(None, [None], "key", tries)
    flight.times.extend(times)
    flight.flying["key"] = task, time.monotonic() - flown_s
    return flight._hangs(task, set())


@pytest.mark.parametrize(
    ("late", "words"),
    [
        (LATE_S, {"times": [0.1]}),
        (LATE * 50, {"times": [50]}),
        (4 * LATE_S, {"times": [0.1], "tries": 3}),
    ],
)
def test_it_is_late_after_some_times_the_others(late, words):
    assert not hangs(late - 5, **words)
    assert hangs(late + 5, **words)


def test_without_others_nothing_is_late():
    assert not hangs(10**6)


@pytest.fixture
def flight():
    """Two tiles in a task at a worker, of which it says that it has been at the second for ``answer`` seconds."""
    job = SimpleNamespace(where="a.tif")
    notes = []
    client = SimpleNamespace(sync=lambda *_, **__: {"w": (1, flight.answer)})
    crew = SimpleNamespace(client=client, timeout_s=5, running={"key": 20.0}, at={"key": {"w"}})
    crew.trust = SimpleNamespace(note=notes.append)
    flight = Tiles(crew, [])
    flight.tasks.add(Task(job, ["one", "two"], "key", 1))
    flight.notes, flight.answer, flight.job = notes, 6.0, job
    return flight


def test_what_the_run_says_counts_tile_by_tile_and_without_what_is_compiled(flight):
    flight.answer = 4.0
    flight._time_out()
    assert len(flight.tasks) == 1
    assert flight.suspects == flight.notes == []


def test_tiles_that_take_longer_are_tried_alone(flight):
    flight._time_out()
    assert (flight.tasks, flight.late) == (set(), {"key": {"w"}})
    assert flight.suspects == [(flight.job, "one"), (flight.job, "two")]
    assert flight.notes == ["a.tif, tile two: takes longer than run.timeout_per_tile at worker w: it is tried alone"]


def test_one_that_takes_longer_alone_as_well_has_failed(flight):
    flight.alone = True
    flight._time_out()
    ((job, failure),) = flight.failed
    assert (job, failure.tile, flight.suspects) == (flight.job, "two", [])
    assert str(failure.error).startswith("a.tif, tile two: takes longer than run.timeout_per_tile")
