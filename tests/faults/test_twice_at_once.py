"""Every tile made twice, by two threads at the same moment: what is stored is what one of them would have stored."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from execute.resume_help import ONE, TWO, digest
from faults.faults_help import check_whole, clear, small

import tileconv
from tileconv.execute import work
from tileconv.tiles.windows import Job


@pytest.mark.parametrize("stages", [ONE, TWO], ids=["one pass", "two passes"])
def test_every_tile_twice(tmp_path, monkeypatch, stages):
    spec = small(tmp_path, stages)
    tileconv.run(spec)
    expected = digest(tmp_path / "o.zarr")
    clear(tmp_path)
    twice = []
    once = Job.run

    def run(job, tile):
        together = Barrier(2)

        def make():
            together.wait()
            return once(job, tile)

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda _: make(), range(2))
        assert (first.digests, first.counts) == (second.digests, second.counts)
        twice.append(tile)
        return first

    monkeypatch.setattr(Job, "run", run)
    monkeypatch.setattr(Job, "run_together", lambda job, tiles: [run(job, tile) for tile in tiles])
    assert work.Job is Job
    tileconv.run(spec)
    assert len(twice) == 16 * (1 + (stages is TWO))
    check_whole(tmp_path, expected)
