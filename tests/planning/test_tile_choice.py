"""Tiles: the sums along axes against counting pixel by pixel, sizes that are offered, and the one that is taken."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties.runs_help import MACHINE, pipeline, plan_of

from tileconv.boxes import pieces
from tileconv.errors import PlanError
from tileconv.planning.build import make_plan
from tileconv.planning.regions import spans
from tileconv.planning.tiles import axis_sums, candidates, strip_rows
from tileconv.sources.memory import MemorySource
from tileconv.spec import spec_from_mapping

CHAIN = [{"op": "gaussian", "sigma": 2}, {"op": "sobel"}, {"op": "unsharp", "sigma": 1}]


def pass_of(stages, size, border="reflect", chunk=1):
    (work,) = plan_of(pipeline(stages, border=border), np.zeros((size, size), np.uint8)).passes
    (read,) = work.reads
    return replace(work, reads=(replace(read, source=replace(read.source, chunks=(chunk, chunk))),))


def stages_of(stages, size):
    return pass_of(stages, size).stages


@given(
    st.integers(1, 60),
    st.integers(1, 70),
    st.integers(1, 20),
    st.integers(1, 16),
    st.sampled_from(("reflect", "mirror", "nearest")),
    st.sampled_from((CHAIN, CHAIN[:1], [{"op": "abs"}], [])),
)
def test_sums_along_an_axis(size, tile, strip, chunk, border, chain):
    work = pass_of(chain, size, border, chunk)
    stages, found = work.stages, axis_sums(work, 2, tile, strip)
    read = decoded = tiles = longest = 0
    made, parts = [0] * len(stages), []
    for start in range(0, size, tile):
        pixels = range(start, min(start + tile, size))
        tiles += 1
        have = range(*spans(stages, work.stored, 2, pixels[0], pixels[-1] + 1)[-1].out)
        read, longest = read + len(have), max(longest, len(have))
        touched = {p // chunk for p in have}
        decoded += sum(1 for p in range(size) if p // chunk in touched)
        for first in range(pixels[0], pixels[-1] + 1, strip):
            parts.append(spans(stages, work.stored, 2, first, min(first + strip, pixels[-1] + 1)))
            for i, stage in enumerate(stages):
                # what a stage makes is what the next one has: without the halo's own pixels, which it only reads
                want = range(*parts[-1][i].want)
                made[i] += len(want) - stage.halo.before[2] - stage.halo.after[2]
    (of,) = found.reads
    assert (found.tiles, found.length, of.read, of.decoded, of.longest) == (
        tiles, size, read, decoded, longest,
    )  # fmt: skip
    assert list(found.computed) == made
    for i in range(len(stages)):
        lengths = [[s[i].have, s[i].want, s[i].out] for s in parts]
        assert found.longest[i] == tuple(max(b - a for a, b in column) for column in zip(*lengths, strict=True))


def test_pieces_cover_once():
    assert pieces(3, 11, 4) == [(3, 7), (7, 11)]
    assert pieces(0, 5, 4) == [(0, 4), (4, 5)]


def test_strips_are_thick_enough_for_their_halo_and_no_thicker_than_the_tile():
    stages = stages_of(CHAIN, 100)
    halo = sum(s.halo.before[1] + s.halo.after[1] for s in stages)
    assert strip_rows(stages, 10_000, 2**30) == 8 * halo
    assert strip_rows(stages, 5, 2**30) == 5
    assert strip_rows([], 4096, 4096) == 4096
    assert strip_rows(stages_of([{"op": "disk", "radius": 4, "engine": "fft"}], 100), 4096, 4096) == 4096


@pytest.mark.parametrize("chunk", [256, 300, 1024])
def test_every_tile_offered_is_a_whole_number_of_chunks(chunk):
    (job,) = plan_of(pipeline(CHAIN, output={"chunks": chunk}), np.zeros((3000, 5000), np.uint8)).passes
    offered = candidates(job)
    assert len(offered) > 3
    assert all(side % chunk == 0 for tile in offered for side in tile)
    assert all(side % n == 0 for side, n in zip(job.grid.tile, job.writes[0].info.chunks, strict=True))


def test_less_memory_means_smaller_tiles_with_a_reason():
    image = np.zeros((4096, 4096), np.uint16)
    areas = []
    for memory in ("310MiB", "400MiB", "4GiB"):
        spec = pipeline(CHAIN, output={"chunks": 128}, run={"memory": memory, "workers": 1})
        made = plan_of(spec, image)
        assert made.peak_bytes <= made.memory_limit
        assert "tile sizes that fit" in made.passes[0].why_tile
        areas.append(int(np.prod(made.passes[0].grid.tile)))
    assert areas == sorted(areas)
    assert areas[0] < areas[-1]


def test_a_tile_that_cuts_chunks_is_refused_with_one_that_does_not():
    spec = pipeline(CHAIN, output={"chunks": 100}, run={"tile": {"x": 250}})
    with pytest.raises(PlanError, match="250 pixels along x is not a whole number of chunks of 100") as caught:
        plan_of(spec, np.zeros((900, 900), np.uint8))
    assert "Use 300, or set output.chunks to 250" in caught.value.fix


@pytest.mark.parametrize(("chunk", "tile"), [(64, (512, 256)), (512, (256, 512))])
def test_of_tiles_that_cost_alike_the_narrow_one_is_taken(chunk, tile, monkeypatch):
    """Unless its rows lie in stored chunks that reach further."""
    monkeypatch.setattr("tileconv.planning.budget.candidates", lambda _: [(256, 512), (512, 256)])
    source = replace(MemorySource(np.zeros((2048, 2048), np.uint8)).info, chunks=(chunk, chunk))
    spec = spec_from_mapping(pipeline([], output={"chunks": 256}))
    assert make_plan(spec, source, MACHINE).passes[0].grid.tile == tile
