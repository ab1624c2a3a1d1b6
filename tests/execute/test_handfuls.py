"""Small tiles by the handful, in streams where some tiles wait for others; tiny ones that are made as one."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import strategies
from properties.runs_help import tiled, write_tiff

import tileconv
from tileconv.execute.handfuls import handfuls
from tileconv.execute.outcome import attempt, attempts
from tileconv.record.todo import sinks_of
from tileconv.sources.open import open_source
from tileconv.tiles.windows import Job


def test_a_stream_that_waited_is_asked_again_after_a_handful():
    """Else one who has heard of all meanwhile takes what was true before for the end, with nothing in flight."""
    below, above, heard = SimpleNamespace(), SimpleNamespace(), []

    def pairs():
        yield from ((below, 1), (below, 2))
        while not heard:
            yield None
        yield above, 3

    stream = handfuls(pairs(), lambda: 8)
    assert next(stream) == [(below, 1), (below, 2)]
    heard.append(True)
    assert [*stream] == [[(above, 3)]]


def test_a_stream_that_waits_says_so():
    below = SimpleNamespace()
    assert [*handfuls([(below, 1), None, None, (below, 2)], lambda: 8)] == [[(below, 1)], None, [(below, 2)]]


def job_of(folder, image, stages, **words):
    """Return a job of tiles of 8 x 8 pixels over *image*, stored without compression."""
    folder.mkdir()
    source = write_tiff(folder / "a.tif", image, tile=16)
    plan = tileconv.plan(tiled(stages, 8, input_={"path": source}, output={"path": str(folder / "o.zarr")}, **words))
    for sink in sinks_of(plan):
        sink.create()
    return Job(plan.passes[0], (open_source(source),), tuple(sinks_of(plan)))


def told(receipts):
    return [replace(receipt, seconds=0) for receipt in receipts]


@pytest.mark.parametrize("border", ["reflect", "wrap", "constant"])
@pytest.mark.parametrize("stages", [[], [{"op": "gaussian", "sigma": 1}, {"op": "sobel", "component": "x"}]])
def test_tiles_side_by_side_are_made_as_one_with_the_bytes_of_each_alone(tmp_path, monkeypatch, border, stages):
    image, together = strategies.pixels((19, 75), "uint16", 1), []
    real = Job.run_together

    def counted(job, tiles):
        together.append(len(tiles))
        return real(job, tiles)

    monkeypatch.setattr(Job, "run_together", counted)
    one, other = (job_of(tmp_path / name, image, stages, border=border) for name in "ab")
    tiles = [tile for n, tile in enumerate(one.pass_.grid) if n != 13]
    found = [*attempts(one, tiles)]
    assert together == [10, 3, 6, 10]
    assert told(found) == told(attempt(other, tile) for tile in tiles)
    for key in other.sinks[0].store.list("0/"):
        assert one.sinks[0].store.read_all(key) == other.sinks[0].store.read_all(key)


def test_what_is_noticed_is_told_of_the_tile_that_it_is_of(tmp_path):
    image = strategies.pixels((16, 80), "float32", 1)
    image[3, 41] = np.nan
    box = [{"op": "box", "size": 3}]
    job = job_of(tmp_path / "a", image, box, missing={"rule": "propagate"})
    assert [receipt.counts[0].missing for receipt in attempts(job, job.pass_.grid)] == [0] * 5 + [1] + [0] * 14
    job = job_of(tmp_path / "b", image, box, missing={"rule": "error"})
    failed = [number for number, outcome in enumerate(attempts(job, job.pass_.grid)) if hasattr(outcome, "error")]
    assert failed == [5]


def test_large_tiles_are_made_alone(tmp_path):
    job = job_of(tmp_path / "a", strategies.pixels((16, 80), "uint16", 1), [])
    assert job.together == 1024
    assert Job(replace(job.pass_, grid=replace(job.pass_.grid, tile=(128, 128))), job.sources, job.sinks).together == 1
