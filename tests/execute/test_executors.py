"""What every executor promises of a stream of tiles: threads, processes and a real scheduler, by tiles and by rows."""

from dataclasses import replace
from itertools import chain, zip_longest
from threading import Event

import numpy as np
import pytest
import strategies
from execute.cluster_help import Wrapped, seldom
from execute.resume_help import ONE, poisoned, write_spec
from properties.runs_help import stored, tiled, windows

import tileconv
from tileconv.boxes import TileGrid
from tileconv.execute import local, tasks
from tileconv.execute.executor import EXECUTORS, Setting, executor_of
from tileconv.execute.local import AHEAD
from tileconv.execute.outcome import Failure
from tileconv.progress import Progress
from tileconv.record.todo import sinks_of
from tileconv.sources.open import open_source
from tileconv.sources.tiff import TiffSource
from tileconv.spec.words import EXECUTORS as KNOWN
from tileconv.tiles.windows import Job

TILES = ("threads", "processes", "scheduler")
ALL = (*TILES, *(f"{name} by rows" for name in TILES))
WINDOW = {"threads": AHEAD, "processes": AHEAD, "scheduler": tasks.WINDOW}
"""Tiles in flight per worker."""
WORKERS = 2
RULE = {"missing": {"rule": "error"}}


def test_the_spec_knows_those_there_are():
    assert tuple(EXECUTORS) == KNOWN


@pytest.fixture
def executor(request, monkeypatch):
    """A function that returns an executor by its name in ``ALL``, of which every task makes one tile."""
    for module in (tasks, local):
        monkeypatch.setattr(module, "TILES", 1)

    def made(name, workers=WORKERS):
        who, *rows = name.split(" by ")
        who = request.getfixturevalue("cluster") if who == "scheduler" else who
        return executor_of(Setting(who, workers, bool(rows), lambda: ["numpy"], Progress(), heard))

    def heard(note):
        assert not note.startswith("no tiles go to"), note

    return made


def job_of(folder, image, **words):
    """Return a job of tiles of 16 x 16 pixels, whose output *folder* holds nothing yet."""
    folder.mkdir()
    plan = tileconv.plan(write_spec(folder, ONE, image=image, **words))
    (sink,) = sinks_of(plan)
    sink.create(overwrite=False)
    return Job(plan.passes[0], (open_source(str(folder / "a.tif")),), (sink,))


def pairs(job):
    return [(job, tile) for tile in job.pass_.grid]


class Stream:
    """Counts how far ahead of what is heard *pairs* are read, and keeps what is heard."""

    def __init__(self, pairs, then=lambda: None):
        self.pairs, self.then, self.drawn, self.ahead, self.heard = pairs, then, 0, 0, []

    def __iter__(self):
        for pair in self.pairs:
            self.drawn += 1
            self.ahead = max(self.ahead, self.drawn - len(self.heard))
            yield pair

    def hear(self, job, outcome):
        self.heard.append((job, outcome))
        self.then()

    def tiles(self, job):
        return [outcome.tile for of, outcome in self.heard if of is job]


def chunks(folder):
    """Return how many tiles are stored."""
    return sum(file.name.isdigit() for file in folder.glob("o.zarr/0/c/*/*"))


@pytest.mark.parametrize("name", ALL)
def test_every_tile_of_two_jobs_is_heard_once_and_a_failure_is_an_outcome(tmp_path, executor, monkeypatch, name):
    image, crossed = strategies.pixels((32, 64), "uint16", 0), []
    first = job_of(tmp_path / "a", poisoned((48, 64), at=(20, 40)), **RULE)
    second = job_of(tmp_path / "b", image)
    pickled = TiffSource.__reduce_ex__
    monkeypatch.setattr(TiffSource, "__reduce_ex__", lambda self, n: crossed.append(self) or pickled(self, n))
    stream = Stream([*pairs(first), *pairs(second)])
    executor(name)(stream, Event(), stream.hear)
    for job in (first, second):
        assert sorted(stream.tiles(job), key=lambda tile: tile.start) == list(job.pass_.grid)
    ((job, failed),) = ((job, outcome) for job, outcome in stream.heard if isinstance(outcome, Failure))
    assert job is first
    assert failed.tile == TileGrid(job.pass_.image, (16, 16)).box((1, 2))
    assert "1 missing pixels" in str(failed.error)
    assert chunks(tmp_path / "a") == 11
    assert stored(tmp_path / "b" / "o.zarr").tobytes() == windows(tiled(ONE, None), image)[0].tobytes()
    assert stream.ahead <= (WORKERS * WINDOW[name] + 1 if name in TILES else 1)
    if name in TILES:  # the recipe crosses, and not with every tile
        assert 2 * (name != "threads") <= len(crossed) <= {"threads": 0, "processes": 2 * WORKERS, "scheduler": 5}[name]
    else:
        rows = [tile.start[0] for tile in stream.tiles(first)]
        assert rows == sorted(rows)


@pytest.mark.parametrize("name", [*ALL[:4], pytest.param(ALL[4], marks=seldom), ALL[5]])
def test_a_stop_lets_what_is_in_flight_finish_and_begins_none(tmp_path, executor, name):
    job, stop = job_of(tmp_path / "a", np.ones((64, 96), "uint8")), Event()
    stream = Stream(pairs(job), stop.set)
    executor(name)(stream, stop, stream.hear)
    assert 0 < len(stream.heard) == chunks(tmp_path / "a") == len(set(stream.tiles(job)))
    assert len(stream.heard) <= (WORKERS * WINDOW[name] if name in TILES else 6)
    again = Stream(pairs(job))
    executor(name)(again, stop, again.hear)
    assert (again.heard, chunks(tmp_path / "a")) == ([], len(stream.heard))


class Stopping(Wrapped):
    """A source that stops the run where it is read."""

    def read(self, box, **words):
        self.words[0].set()
        return self.source.read(box, **words)


def test_what_waits_in_the_pool_does_not_begin_after_a_stop(tmp_path, executor):
    job, stop = job_of(tmp_path / "a", np.ones((64, 96), "uint8")), Event()
    stream = Stream(pairs(replace(job, sources=(Stopping(job.sources[0], stop),))))
    executor("threads", workers=1)(stream, stop, stream.hear)
    assert [outcome.tile for _, outcome in stream.heard] == [next(iter(job.pass_.grid))]
    assert stream.drawn == AHEAD


@pytest.mark.parametrize("name", TILES)
def test_tiles_begin_in_the_order_of_the_stream_whose_jobs_may_alternate(tmp_path, executor, name):
    jobs = [job_of(tmp_path / folder, np.ones((32, 48), "uint8")) for folder in "abc"]
    each = chain.from_iterable(zip_longest(*(reversed(pairs(job)) for job in jobs)))
    stream = Stream([pair for pair in each if pair])
    executor(name, workers=1)(stream, Event(), stream.hear)
    heard = [stream.pairs.index((job, outcome.tile)) for job, outcome in stream.heard]
    assert sorted(heard) == list(range(len(stream.pairs)))
    assert [chunks(tmp_path / folder) for folder in "abc"] == [6, 6, 6]
    late = WORKERS * WINDOW[name] if name == "scheduler" else 0  # two workers, each with tasks of its own
    assert all(number <= place + late for place, number in enumerate(heard))


@pytest.mark.parametrize("name", TILES)
def test_a_stream_may_wait_for_what_is_in_flight(tmp_path, executor, name):
    first, second = (job_of(tmp_path / folder, np.ones((32, 48), "uint8")) for folder in "ab")
    heard = []

    def stream():
        yield from pairs(first)
        while len(heard) < 6:
            yield None
        yield from pairs(second)

    executor(name)(stream(), Event(), lambda job, _: heard.append(job is second))
    assert heard == [False] * 6 + [True] * 6
