"""Two outputs from one read against the two runs that make them: what sharing the read and the first stage saves."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.inputs import TILECONV, Sizes, input_of
from benchmarks.measure import measure, remove

GOAL = 0.75
BLUR, EDGES = "{op: gaussian, sigma: 2, id: blur}", "{op: sobel, id: edges}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the rounds, the one run and the two in turn; 0 where one takes *GOAL* of the processor time of two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="Where the input and the outputs lie.")
    parser.add_argument("--shape", type=int, default=32768, metavar="N", help="Pixels along both axes.")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    folder = options.folder.absolute()
    image = input_of(folder, "gray", Sizes(options.shape))
    blur, edges = folder / "blur.ome.zarr", folder / "edges.ome.zarr"
    stored = {"blur": blur, "edges": edges}
    both = ", ".join(f"{name}: {{path: {path}, from: {name}, dtype: float32}}" for name, path in stored.items())
    one = [(f"{BLUR}, {EDGES}", f"outputs: {{{both}}}")]
    two = [
        (BLUR, f"output: {{path: {blur}, dtype: float32}}"),
        (f"{BLUR}, {EDGES}", f"output: {{path: {edges}, dtype: float32}}"),
    ]
    took: dict[str, list[tuple[float, float]]] = {"one": [], "two": []}
    for _ in range(options.rounds):
        for name, runs in (("one", one), ("two", two)):
            times = [_run(folder, image, stages, outputs) for stages, outputs in runs]
            processor, wall = (sum(column) for column in zip(*times, strict=True))
            took[name].append((processor, wall))
            print(f"{name}: processor time {processor:.1f} s, wall {wall:.1f} s", file=sys.stderr, flush=True)
            for path in (blur, edges):
                remove(path)
                remove(path.with_name(f"{path.name}.tileconv"))
    ratios = [[a[kind] / b[kind] for a, b in zip(took["one"], took["two"], strict=True)] for kind in (0, 1)]
    shown = [f"{statistics.median(of):.2f} ({min(of):.2f} to {max(of):.2f})" for of in ratios]
    print(f"two float32 outputs of {options.shape} x {options.shape} pixels from one read against two runs in turn:")
    print(f"processor time {shown[0]}, wall {shown[1]}; goal {GOAL} of the processor time")
    return 0 if statistics.median(ratios[0]) <= GOAL else 1


def _run(folder: Path, image: Path, stages: str, outputs: str) -> tuple[float, float]:
    """Return the processor time and the seconds of a whole process that makes *outputs*."""
    spec = folder / "outputs.yaml"
    spec.write_text(f"version: 1\ninput: {{path: {image}}}\nstages: [{stages}]\n{outputs}\n", encoding="utf-8")
    run = measure([*TILECONV, "run", str(spec), "--overwrite", "--json"])
    return run.cpu_seconds, run.seconds


if __name__ == "__main__":
    raise SystemExit(main())
