"""A million tiles: what each costs beside its pixels, and whether the process that gives them out stays small.

    python -m benchmarks.million --folder FOLDER [--tiles 1000000] [--executor threads scheduler submit] [--stages 0]

The source makes its pixels, the sink drops them; all else is a run as any other: plan, journal, record, retries. Each
row is a process of its own. ``scheduler`` has two workers of one thread each on the loopback, and ``submit`` gives
these the same tiles by one ``client.submit`` each, without a journal. ``daisy`` gives as many empty blocks to two
workers of daisy 2, which another Python has that ``--daisy`` names. Goals: 3,000 tiles per second on threads, 1,000
through a scheduler, and less than 100 MiB above what the process holds when the run begins.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.cluster import cluster, resident
from benchmarks.measure import ROOT, remove
from tileconv.boxes import Box
from tileconv.images import ImageInfo
from tileconv.planning.model import Plan
from tileconv.sinks.layout import MARKER
from tileconv.sinks.zarr import ZarrSink

TILE, WORKERS = 64, 2
DAISY = """
import json, resource, sys, time
import daisy.v2 as daisy
side = int(int(sys.argv[1]) ** 0.5)
image, one = daisy.Roi((0, 0), (side, side)), daisy.Roi((0, 0), (1, 1))
task = daisy.Task("empty", image, one, one, lambda block: None, read_write_conflict=False, max_workers=2)
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
daisy.run_blockwise([task], progress=False, block_tracking=False, summary=False)
rate = side * side / (time.perf_counter() - began)
growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps({"tiles": side * side, "rate": rate, "growth": growth, "journal": 0}))
"""
GOALS = {"threads": 3_000, "scheduler": 1_000}
GROWTH_MIB = 100


@dataclass(frozen=True)
class Made:
    """A source of any size that is held nowhere: every pixel is 7."""

    rows: int
    columns: int
    where: str = "sevens"
    cache_bytes: int = 0
    changed: int = 0
    libraries: tuple[str, ...] = ()

    @property
    def info(self) -> ImageInfo:
        """A grey image, in chunks of one tile."""
        return ImageInfo((self.rows * TILE, self.columns * TILE), "yx", np.dtype(np.uint16), (TILE, TILE))

    @property
    def fingerprint(self) -> dict[str, str | int]:
        """The size says it all."""
        return {"size": self.rows * self.columns, "digest": "sevens"}

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of *box*."""
        return np.full(box.shape, 7, np.uint16)

    def check_stored(self) -> None:
        """Nothing is stored."""

    def missing_chunks_total(self) -> tuple[int, int]:
        """Nothing is missing."""
        return 0, 1

    def acquired(self) -> str:
        """Nobody took it."""
        return ""


class Drops:
    """Takes the pixels of tiles, and keeps nothing."""

    def write_each(self, tiles: Sequence[tuple[Box, NDArray[Any]]]) -> list[str]:
        """Return the digests of nothing."""
        return ["00000000-0" for _ in tiles]


class Sink(ZarrSink):
    """An output of which only the metadata are written."""

    @property
    def writer(self) -> Any:
        """Who drops its tiles."""
        return Drops()

    def finish(self, provenance: Mapping[str, object], **_: object) -> None:
        """Say that it is complete."""
        self.custody.mark({MARKER: {**provenance, "complete": True}})


def planned(folder: Path, tiles: int, stages: int, executor: str) -> tuple[Plan, Made]:
    """Return the plan of an image of at least so many *tiles*, and its source."""
    from tileconv.engines.cost import shipped_costs
    from tileconv.planning.build import make_plan
    from tileconv.planning.machine import this_machine
    from tileconv.spec import spec_from_mapping

    rows = isqrt(tiles)
    source = Made(rows, -(-tiles // rows))
    asked = {
        "version": 1,
        "input": {"path": str(folder / "sevens")},
        "stages": [{"op": "gaussian", "sigma": 1}] * stages,
        "output": {"path": str(folder / "million.ome.zarr"), "chunks": TILE, "shards": "none", "pyramid": "none"},
        "run": {"tile": TILE, "workers": WORKERS, "memory": "2GiB", "executor": executor, "halo_method": "windows"},
    }
    return make_plan(spec_from_mapping(asked), source.info, this_machine(shipped_costs())), source


def one(folder: Path, tiles: int, stages: int, executor: str) -> dict[str, float]:
    """Run it on *executor* in this process; return tiles, tiles per second, and by how many MiB it grew at most."""
    from tileconv.execute.report import peak_bytes
    from tileconv.execute.run import run_plan

    planned(folder, 100, stages, executor)  # what a first plan imports is not what a run holds
    before, began = resident(os.getpid()), time.perf_counter()
    plan, source = planned(folder, tiles, stages, executor)
    with patch("tileconv.record.todo.ZarrSink", Sink):
        made = run_plan(plan, source, overwrite=True).tiles
    return {
        "tiles": made,
        "rate": made / (time.perf_counter() - began),
        "growth": (peak_bytes() - before) / 2**20,
        "journal": sum(file.stat().st_size for file in folder.glob("*.tileconv/journal*")) / made,
    }


def submitted(folder: Path, tiles: int, stages: int, address: str) -> dict[str, float]:
    """Make the same tiles by one ``client.submit`` each, all at once, as a script without tileconv's executor would."""
    from distributed import Client, wait

    from tileconv.boxes import tile_at
    from tileconv.execute.outcome import attempt
    from tileconv.execute.report import peak_bytes
    from tileconv.record.todo import sinks_of
    from tileconv.tiles.windows import Job

    before = resident(os.getpid())
    plan, source = planned(folder, tiles, stages, "threads")
    (pass_,), (sink,) = plan.passes, sinks_of(plan)
    began = time.perf_counter()
    with Client(address) as client:
        job = client.scatter(Job(pass_, (source,), (Sink(sink.store, sink.layout),)), broadcast=True)
        wait([client.submit(attempt, job, tile_at(pass_.grid, n), pure=False) for n in range(len(pass_.grid))])
    rate = len(pass_.grid) / (time.perf_counter() - began)
    return {"tiles": len(pass_.grid), "rate": rate, "growth": (peak_bytes() - before) / 2**20, "journal": 0}


def main(words: Sequence[str] | None = None) -> int:
    """Print a row per executor; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the journal passes through")
    parser.add_argument("--tiles", type=int, default=1_000_000)
    parser.add_argument(
        "--executor", nargs="+", default=["threads", "scheduler"], help="threads, processes, scheduler, submit, daisy"
    )
    parser.add_argument("--daisy", default="python", help="the Python that has daisy 2")
    parser.add_argument("--stages", type=int, default=0, help="Gaussian blurs that each tile takes")
    parser.add_argument("--address", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if asked.address:
        from benchmarks import million  # by whose name workers find the source and the sink

        make = million.submitted if asked.executor == ["submit"] else million.one
        print(json.dumps(make(folder, asked.tiles, asked.stages, asked.address)))
        return 0
    missed = False
    print("| executor | tiles | tiles per second | MiB above the start | bytes of journal per tile |")
    print("| --- | --- | --- | --- | --- |")
    for name in asked.executor:
        with _at(name, folder) as address:
            row = _alone(folder, _command(asked, name, address))
        told = f"{row['rate']:,.0f} | {row['growth']:.0f} | {row['journal']:.0f}"
        print(f"| {name} | {row['tiles']:,.0f} | {told} |", flush=True)
        missed |= name in GOALS and (row["rate"] < GOALS[name] or row["growth"] > GROWTH_MIB)
    return int(missed)


@contextmanager
def _at(name: str, folder: Path) -> Iterator[str]:
    """Yield where tiles are made: the word of an executor, or the address of a scheduler that runs meanwhile."""
    if name not in {"scheduler", "submit"}:
        yield name
        return
    with patch.dict(os.environ, PYTHONPATH=str(ROOT)), cluster(folder) as (address, _):
        yield address


def _command(asked: argparse.Namespace, name: str, address: str) -> list[str]:
    if name == "daisy":
        return [asked.daisy, "-c", DAISY, str(asked.tiles)]
    words = ["--folder", str(asked.folder.resolve()), "--tiles", str(asked.tiles), "--stages", str(asked.stages)]
    return [sys.executable, "-m", "benchmarks.million", *words, "--executor", name, "--address", address]


def _alone(folder: Path, command: Sequence[str]) -> dict[str, float]:
    """Return what *command* prints, in a process of its own."""
    for place in ("million.ome.zarr", "million.ome.zarr.tileconv"):
        remove(folder / place)
    made: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout)
    return made


if __name__ == "__main__":
    sys.exit(main())
