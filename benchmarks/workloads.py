"""The work that is measured: of which input, by which stages, beside whom, and how far apart results may lie."""

from __future__ import annotations

import json
from dataclasses import dataclass

from benchmarks import jobs
from benchmarks.growth import CHAIN


@dataclass(frozen=True)
class Peer:
    """Who runs against tileconv, the ratio to reach (None: only reported), and how far the results may differ.

    *differs* is the largest difference allowed, as a share of tileconv's largest absolute pixel.
    """

    name: str
    goal: float | None
    differs: float
    why: str = "rounding"


@dataclass(frozen=True)
class Workload:
    """One row of work; without *stages* and *dtype* it runs in memory, by the job of peer ``tileconv``.

    *share* is the side of its image as a share of the side that the benchmark was asked for, *chunk* the side of the
    result's chunks, *faster* and *leaner* the goals beside an older tileconv: times the speed, times the memory.
    """

    name: str
    input: str
    peers: tuple[Peer, ...]
    dtype: str = ""
    stages: str = ""
    share: float = 1.0
    chunk: int | None = None
    run: str = ""
    faster: float | None = None
    leaner: float | None = None


BELL = "libvips cuts the bell at a fifth of its height (7 weights; tileconv 17)"
INTEGERS = f"{BELL} and sums integers"
EDGES = "libvips cuts the bell at a fifth of its height, and what follows sharpens the difference"
BENCH = f"{{op: correlate, kernel: {json.dumps(jobs.VIPS_BENCH)}, divide_by: {jobs.VIPS_BENCH_DIVIDE}}}"
HALF = "one step where a sum lies on a half"
HALVES = "libvips rounds a half up, tileconv to even"
WORKLOADS = (
    Workload("copy", "gray", (Peer("dask", 2.5, 0.0, "none"),), "input", faster=1.25, leaner=0.4),
    Workload("float copy", "gray", (Peer("dask", 2.5, 0.0, "none"),), "float32", faster=1.25, leaner=0.4),
    Workload(
        "chain",
        "gray",
        (
            Peer("libvips-float", 3.0, 1e-4),
            Peer("libvips", 2.0, 1.0, EDGES),
            Peer("dask-image", 5.0, 1e-4),
            Peer("opencv", 2.0, 1e-4),
        ),
        "float32",
        CHAIN,
        faster=1 / 0.75,
        leaner=0.78,
    ),
    Workload("half chain", "gray", (Peer("libvips-float", 1.8, 1e-4),), "float32", CHAIN, share=0.5),
    Workload(
        "small blur",
        "gray",
        (
            Peer("libvips", 2.0, 0.1, INTEGERS),
            Peer("libvips-float", 2.5, 3.1e-5, "one step where a sum lies on a half"),
        ),
        "input",
        "{op: gaussian, sigma: 2}",
    ),
    Workload(
        "wide blur",
        "gray",
        (Peer("libvips-float", 15.0, 1e-5), Peer("libvips", 6.0, 0.1, BELL), Peer("dask-image", 8.0, 1e-5)),
        "float32",
        "{op: gaussian, sigma: 20}",
    ),
    Workload(
        "dense kernel",
        "gray",
        (Peer("opencv", 4.0, 1e-5), Peer("scipy", 5.0, 1e-5), Peer("libvips-float", 100.0, 1e-5)),
        "float32",
        "{op: correlate, kernel: psf.npy}",
    ),
    Workload("colour", "jpeg", (Peer("libvips", 1.15, 0.1, INTEGERS),), "input", "{op: gaussian, sigma: 2}"),
    Workload("deflate", "deflate", (Peer("libvips-float", 4.0, 1e-4),), "float32", CHAIN),
    Workload("headline", "pair", (Peer("scipy", 1.0, 1e-9), Peer("numpy", None, 1e-9))),
    Workload("vips-bench", "rgb", (Peer("libvips", None, 1 / 255, HALVES),), "input", BENCH, faster=1 / 0.7),
    Workload(
        "large vips-bench",
        "rgb",
        (Peer("libvips", 1.0, 1 / 255, HALVES),),
        "input",
        BENCH,
        share=3.0,
        faster=1 / 0.7,
    ),
    Workload(
        "volume",
        "volume",
        (Peer("dask-skimage", 6.0, 1e-5), Peer("skimage", 3.0, 1e-5)),
        "float32",
        "{op: gaussian, sigma: 3}",
    ),
    Workload(
        "chunks of 256",
        "chunks",
        (Peer("tensorstore", 0.9, 0.0, "none"), Peer("zarrs", 1 / 1.3, 0.0, "none")),
        "input",
        share=0.5,
        chunk=jobs.TILE,
    ),
    Workload("small", "gray", (), "float32", CHAIN, share=1 / 32, faster=1 / 0.65),
    Workload("tiles of 16", "gray", (), "input", share=5056 / 16384, chunk=16, run="run: {tile: 16}\n", faster=3.0),
    Workload("fused", "half", (Peer("halide", 1 / 1.5, 1e-4),)),
    Workload("sobel", "double", (Peer("skimage", 3.0, 1e-9),)),
)
