"""tileconv beside its peers: the same work on the same files, in turn, every run a process of its own.

    python -m benchmarks.peers --folder FOLDER [--rounds 5] [--only chain,copy] [--size 16384] [--tiny]
                               [--json peers.json] [--table peers.md] [--before CHECKOUT]

What is measured:

- time is the wall time of the whole process, imports included; *headline* and *sobel*, which run in memory, report the
  median of the job's own repeats;
- a ratio is peer / tileconv of the same round (above 1: tileconv is faster); the table gives its median and range.
  Where a peer is given a part of the image, its time is scaled to the whole;
- memory is the resident memory of the process and its children, sampled every 20 ms, pages of mapped files included;
- an older tileconv in another checkout (--before) runs the same pipelines by the same interpreter and libraries;
- before a workload, every contender runs once on a tiny image, which compiles what is compiled, and the input is read
  once, which brings it into the page cache; outputs are deleted and the disk is synchronised between runs;
- results are compared on squares of the interior; borders differ by design.

tileconv writes OME-Zarr in its default codec (blosc with a checksum); ``benchmarks/jobs.py`` says what the peers write.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import jobs
from benchmarks.counts import decoded_again
from benchmarks.growth import Figure, growth, start
from benchmarks.inputs import LARGE, TILECONV, TINY, Sizes, input_of, spec_file
from benchmarks.measure import ROOT, Run, difference, machine, measure, remove
from benchmarks.workloads import WORKLOADS, Peer, Workload

MIB = 2**20
ROUNDS = 5
BEFORE = "before"
"""The contender that is an older tileconv."""


@dataclass(frozen=True)
class Row:
    """One pair of the table; *ratios* has one entry per round, empty when the peer is *absent*."""

    workload: str
    peer: str
    goal: float | None
    ratios: tuple[float, ...]
    ours: tuple[Run, ...]
    theirs: tuple[Run, ...]
    difference: float = 0.0
    allowed: float = 0.0
    why: str = ""
    absent: str = ""

    @property
    def median(self) -> float:
        """The ratio that counts."""
        return statistics.median(self.ratios)

    @property
    def agrees(self) -> bool:
        """Whether the results are as near as the peer's way of working lets them be."""
        return self.difference <= self.allowed


def contend(work: Workload, contender: str, source: Path, folder: Path, before: Path = ROOT) -> tuple[Run, Path]:
    """Run *contender* on *work*; return what it took and where its result lies; *before* holds the older tileconv."""
    if contender in {"tileconv", BEFORE} and work.dtype:
        np.save(folder / "psf.npy", jobs.psf())
        output = folder / f"{contender}.ome.zarr"
        remove(output)
        spec = spec_file(folder, source, output, work.stages, work.dtype, work.run, work.chunk)
        root = before if contender == BEFORE else ROOT
        return measure([*TILECONV, "run", str(spec), "--json"], contender=contender, output=output, root=root), output
    memory = not work.dtype or (contender == "skimage" and work.name == "volume")
    output = folder / f"{contender}.{'npy' if memory else 'zarr' if contender in jobs.OF_ZARR else 'tif'}"
    remove(output)
    command = [sys.executable, "-m", "benchmarks.jobs", contender, work.name, str(source), str(output)]
    return measure(command, contender=contender, output=output), output


def compete(work: Workload, sizes: Sizes, folder: Path, rounds: int, before: Path | None = None) -> list[Row]:
    """Return a row per peer of *work*: every round runs tileconv and all peers, each round begins with another one."""
    older = [Peer(BEFORE, work.faster, 0.0)] if before and work.dtype else []
    peers = [*older, *work.peers]
    present = older + [p for p in work.peers if importlib.util.find_spec(jobs.MODULES[p.name])]
    names = ["tileconv", *(p.name for p in present)]
    sizes = sizes if sizes.tiny else Sizes(round(sizes.side * work.share))
    source = input_of(folder, work.input, sizes)
    outputs = folder / "outputs"
    outputs.mkdir(exist_ok=True)
    if not sizes.tiny:
        tiny = Sizes(TINY, tiny=True)
        for name in names:
            remove(contend(work, name, input_of(folder, work.input, tiny), outputs, before or ROOT)[1])
    _read(source)
    runs: dict[str, list[Run]] = {name: [] for name in names}
    differences: dict[str, float] = {}
    for number in range(rounds):
        turn = number % len(names)
        paths = {}
        for name in names[turn:] + names[:turn]:
            run, paths[name] = contend(work, name, source, outputs, before or ROOT)
            runs[name].append(run)
            if number:
                remove(paths[name])
            print(f"{work.name}, round {number + 1}: {name} {run.seconds:.2f} s", file=sys.stderr, flush=True)
        if not number:
            differences = {p.name: difference(paths["tileconv"], paths[p.name]) for p in present}
            for path in paths.values():
                remove(path)
    return [_row(work, peer, sizes, runs, differences) for peer in peers]


def _read(source: Path) -> None:
    """Bring a file, or the files of a folder, into the page cache."""
    for path in source.rglob("*") if source.is_dir() else [source]:
        if path.is_file():
            with path.open("rb") as file:
                while file.read(2**24):
                    pass


def _row(
    work: Workload, peer: Peer, sizes: Sizes, runs: Mapping[str, list[Run]], differences: Mapping[str, float]
) -> Row:
    ours, theirs = tuple(runs["tileconv"]), tuple(runs.get(peer.name, ()))
    share = 1.0
    if (peer.name, work.name) == ("libvips-float", "dense kernel"):
        share = (jobs.crop_side(sizes.side) / sizes.side) ** 2
    ratios = tuple(timed(work, b) / share / timed(work, a) for a, b in zip(ours, theirs, strict=False))
    absent = "" if theirs else f"{jobs.MODULES[peer.name]} is not installed"
    found = differences.get(peer.name, 0.0)
    return Row(work.name, peer.name, peer.goal, ratios, ours, theirs, found, peer.differs, peer.why, absent)


def timed(work: Workload, run: Run) -> float:
    """Return the seconds that count: of the process, or of the job where it runs in memory."""
    return run.seconds if work.dtype else float(run.printed["inner_seconds"])


def against_copy(rows: Sequence[Row]) -> list[Figure]:
    """Return the chain's time over that of the copy to its type, where both were measured."""
    ours = {row.workload: row.ours for row in rows}
    if not {"float copy", "chain"} <= ours.keys():
        return []
    ratios = tuple(a.seconds / b.seconds for a, b in zip(ours["chain"], ours["float copy"], strict=True))
    return [Figure("chain", "tileconv's chain over tileconv's copy to float32", "×", ratios, "≤ 1.25", high=1.25)]


def memory_of(rows: Sequence[Row]) -> Iterator[Figure]:
    """Yield the peak memory of each workload over that of the older tileconv, where both were measured."""
    for row in rows:
        if row.peer == BEFORE:
            most = next(work.leaner for work in WORKLOADS if work.name == row.workload)
            ratios = tuple(a.peak_bytes / b.peak_bytes for a, b in zip(row.ours, row.theirs, strict=True))
            goal = {"goal": f"≤ {most:g}", "high": most} if most else {}
            yield Figure(row.workload, "memory over that of before", "×", ratios, **goal)


def table(rows: Sequence[Row], figures: Sequence[Figure], about: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    lines = [
        f"{about['processor']}, {about['cores']} cores, {about['memory_bytes'] / 2**30:.0f} GiB, {about['system']}, "
        f"Python {about['python']}, load {about['load']:.1f} at the start; {versions}.",
        f"Image side {about['side']}, {about['rounds']} rounds: `python -m benchmarks.peers`.",
        "",
        "| workload | tileconv | peer | peer / tileconv (range) | goal | met | largest difference (allowed) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *map(_line, rows),
    ]
    if figures:
        lines += ["", "| workload | figure | median (range) | goal | met |", "| --- | --- | --- | --- | --- |"]
    for f in figures:
        spread = f"{f.median:.2f} {f.unit} ({min(f.values):.2f} to {max(f.values):.2f})"
        lines.append(f"| {f.workload} | {f.what} | {spread} | {f.goal} | {_met(f.met) if f.goal else ''} |")
    reasons = {f"{row.workload}, {row.peer}: {row.why}" for row in rows if row.why != "rounding" and row.allowed}
    return "\n".join([*lines, "", *(f"- {reason}." for reason in sorted(reasons))]) + "\n"


def _line(row: Row) -> str:
    goal = "reported" if row.goal is None else f"{row.goal:.3g} ×"
    ours = _spent(row.workload, row.ours)
    if row.absent:
        return f"| {row.workload} | {ours} | {row.peer} | {row.absent} | {goal} | | |"
    ratio = f"{row.median:.2f} × ({min(row.ratios):.2f} to {max(row.ratios):.2f})"
    apart = f"{row.difference:.1g} ({row.allowed:.1g}){'' if row.agrees else ' **they differ**'}"
    met = "" if row.goal is None else _met(row.median >= row.goal)
    theirs = f"{row.peer} {_spent(row.workload, row.theirs)}"
    return f"| {row.workload} | {ours} | {theirs} | {ratio} | {goal} | {met} | {apart} |"


def _met(is_met: bool) -> str:
    return "yes" if is_met else "**no**"


def _spent(workload: str, runs: Sequence[Run]) -> str:
    """Return median seconds (of all processors too, for a whole process), peak memory and output size."""
    work = next(w for w in WORKLOADS if w.name == workload)
    seconds = statistics.median(timed(work, run) for run in runs)
    peak = statistics.median(run.peak_bytes for run in runs) / MIB
    cpu = f" ({statistics.median(run.cpu_seconds for run in runs):.3g} s cpu)" if work.dtype else ""
    return f"{seconds:.3g} s{cpu}, {peak:,.0f} MiB, {runs[0].output_bytes / MIB:,.0f} MiB out"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return 1 if two results differ by more than they may."""
    asked = _parse(arguments)
    sizes = Sizes(TINY if asked.tiny else asked.size, asked.tiny)
    rounds = 1 if asked.tiny and asked.rounds is None else asked.rounds or ROUNDS
    asked.folder = asked.folder.resolve()
    asked.folder.mkdir(parents=True, exist_ok=True)
    about = {**machine(), "side": sizes.side, "rounds": rounds}
    rows: list[Row] = []
    figures: list[Figure] = []
    for work in WORKLOADS:
        if work.name in asked.only:
            rows += compete(work, sizes, asked.folder, rounds, asked.before)
    figures += [*against_copy(rows), *memory_of(rows)]
    if "deflate" in asked.only:
        counted = asked.folder / "outputs" / "counted.ome.zarr"
        share = decoded_again(input_of(asked.folder, "deflate", sizes), counted)
        remove(counted)
        figures.append(Figure("deflate", "segments decoded again", "of all segments", (share,)))
    if "growth" in asked.only:
        figures += growth(sizes, asked.folder, rounds)
    if "start" in asked.only:
        figures += start(asked.folder, rounds)
    made = table(rows, figures, about)
    print(made)
    if asked.table:
        asked.table.write_text(made, encoding="utf-8")
    if asked.json:
        record = about | {"rows": [asdict(r) for r in rows], "figures": [_plain(f) for f in figures]}
        asked.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return int(not all(row.agrees for row in rows))


def _plain(figure: Figure) -> dict[str, Any]:
    """Return a figure for JSON, which has no infinities."""
    return {k: v for k, v in asdict(figure).items() if k not in {"low", "high"}} | {"met": figure.met}


def _names(text: str) -> list[str]:
    known = [*(work.name for work in WORKLOADS), "growth", "start"]
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: the workloads are {', '.join(known)}")
    return names


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where inputs are kept and outputs pass through")
    parser.add_argument("--rounds", type=int, help=f"runs of every contender; {ROUNDS}, or 1 with --tiny")
    every = ",".join([*(work.name for work in WORKLOADS), "growth", "start"])
    parser.add_argument("--only", type=_names, default=every, help=f"some of {every}")
    parser.add_argument("--size", type=int, default=LARGE, help="side of the large images, in pixels")
    parser.add_argument("--tiny", action="store_true", help="everything as small as it can be: for tests")
    parser.add_argument("--before", type=Path, help="the checkout of an older tileconv to compare with")
    parser.add_argument("--json", type=Path, help="write all raw figures here")
    parser.add_argument("--table", type=Path, help="write the Markdown table here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
