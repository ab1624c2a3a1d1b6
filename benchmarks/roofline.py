"""The chain taken apart: what each of its steps costs alone, with one thread and with two, beside the whole run.

    python -m benchmarks.roofline --folder FOLDER [--side 16384] [--tiles 24]

No run of these stages does without a bare read, their arithmetic, encoding, a digest and a write: that is its floor.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tileconv
from benchmarks.growth import CHAIN
from benchmarks.inputs import LARGE, TILE, TILECONV, Sizes, input_of, spec_file
from benchmarks.measure import measure, remove
from tileconv.allocator import keep_freed_memory
from tileconv.boxes import Box, TileGrid
from tileconv.record.todo import sinks_of
from tileconv.sinks.encoding import encode
from tileconv.sinks.writer import Digest
from tileconv.sources.open import open_source
from tileconv.stores import steady
from tileconv.tiles.compute import Block, make_tile, needed
from tileconv.tiles.windows import Job, read

THREADS = (1, 2)
TINY = 512
"""The side of an image of which a run takes what any run takes."""
LEAST = ("bare pread", "compute", "encode, with its checksum", "digest", "write")
"""The steps that no run of these stages can leave out."""
Step = Callable[[int], Any]


def steps_of(job: Job, source: Path, folder: Path, tiles: Sequence[Box]) -> Iterator[tuple[str, Step]]:
    """Yield the steps of *tiles* by name, functions of a tile's number: what they read is ready.

    What they make is dropped, as in a run, so that the next tile finds the memory of the one before.
    """
    pass_, (sink,) = job.pass_, job.sinks
    storage, chunks = sink.layout.storage, sink.layout.info.chunks
    descriptor, segment = os.open(source, os.O_RDONLY), TILE * TILE * 2

    def bare(number: int) -> None:
        size = tiles[number].size * 2
        for at in range(number * size, (number + 1) * size, segment):
            os.pread(descriptor, segment, at)

    def reading(number: int) -> list[Block]:
        box = needed(pass_, tiles[number])[0]
        return [Block(read(job.sources[0], pass_.reads[0].domain, box), box)]

    def computing(number: int) -> Any:
        return make_tile(pass_, blocks[number], tiles[number])[0][0]

    def encoding(number: int) -> list[tuple[memoryview, bytes]]:
        parts = (chunk.within(tiles[number]) for chunk in TileGrid(tiles[number], chunks))
        return [encode(made[number][part], storage) for part in parts]

    def digesting(number: int) -> None:
        for parts in pieces[number]:
            Digest().add(*parts)

    def writing(number: int) -> None:
        for k, parts in enumerate(pieces[number]):
            steady.replace(folder / f"{number}-{k}", [parts], uncached=True)

    numbers = range(len(tiles))
    blocks = [reading(number) for number in numbers]
    made = [computing(number) for number in numbers]
    pieces = [encoding(number) for number in numbers]
    yield "bare pread", bare
    yield "read", reading
    yield "compute", computing
    yield "encode, with its checksum", encoding
    yield "digest", digesting
    yield "write", writing
    yield "all, as a run does", lambda number: job.run(tiles[number])


def each_ns(step: Step, count: int, pixels: int, threads: int) -> float:
    """Return the nanoseconds of a thread that *step* takes per pixel, of *count* tiles of so many *pixels* each."""

    def made_and_dropped(number: int) -> None:
        step(number)

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(made_and_dropped, range(count)))
        return (time.perf_counter() - began) * threads / (count * pixels) * 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a Markdown table of the steps, and the seconds that they and the whole run take."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the input and the outputs lie")
    parser.add_argument("--side", type=int, default=LARGE, metavar="N", help="pixels along both axes")
    parser.add_argument("--tiles", type=int, default=24, help="tiles of which steps are measured alone")
    parser.add_argument("--rounds", type=int, default=3, help="of which the quickest counts")
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    source, output = input_of(folder, "gray", Sizes(options.side)), folder / "roofline.ome.zarr"
    spec = spec_file(folder, source, output, CHAIN, "float32")
    plan = tileconv.plan(spec)
    job = Job(plan.passes[0], (open_source(source),), tuple(sinks_of(plan)))
    tiles = [box for box, _ in zip(job.pass_.grid, range(options.tiles), strict=False)]
    job.sinks[0].create(overwrite=True)
    best: dict[str, list[float]] = {}
    keep_freed_memory()  # as a run does
    for _ in range(options.rounds):
        for name, step in steps_of(job, source, folder / "roofline", tiles):
            took = [each_ns(step, len(tiles), tiles[0].size, threads) for threads in THREADS]
            best[name] = [*map(min, took, best.get(name, took))]
        remove(folder / "roofline")
    remove(output)
    print("| step, ns per pixel and thread | alone | two at once |\n| --- | --- | --- |")
    for name, took in best.items():
        print(f"| {name} | {took[0]:.2f} | {took[1]:.2f} |")
    floors = [sum(best[name][number] for name in LEAST) for number in range(len(THREADS))]
    print(f"| {', '.join(LEAST)} | {floors[0]:.2f} | {floors[1]:.2f} |\n")
    tiny = spec_file(folder, input_of(folder, "gray", Sizes(TINY)), output, CHAIN, "float32")
    begins = min(_seconds(tiny, output) for _ in range(options.rounds))
    whole = min(_seconds(spec_file(folder, source, output, CHAIN, "float32"), output) for _ in range(options.rounds))
    apart, at_once = (floor * options.side**2 / THREADS[-1] / 1e9 for floor in floors)
    print(f"whole run {whole:.2f} s, of which any run {begins:.2f} s; the least for the steps: {apart:.2f} s")
    print(f"by two threads of which none waits for the other, {at_once:.2f} s where both do the same at once")
    return 0


def _seconds(spec: Path, output: Path) -> float:
    """Return the seconds of a whole process on two threads."""
    took = measure([*TILECONV, "run", str(spec), "--overwrite"]).seconds
    for path in (output, output.with_name(f"{output.name}.tileconv")):
        remove(path)
    print(f"{spec}: {took:.2f} s", file=sys.stderr, flush=True)
    return took


if __name__ == "__main__":
    raise SystemExit(main())
