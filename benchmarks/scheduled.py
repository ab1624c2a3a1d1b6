"""A gigapixel chain on the workers of a scheduler beside the threads of the command, in turn.

    python -m benchmarks.scheduled --folder FOLDER [--side 32768] [--rounds 3]

Two workers of one thread against two threads: the whole command, and from its first tile to its last by its own
events. Both results have the same bytes. Goals: 1.15 x from first tile to last, 3 seconds more in the whole, and at
most 1.05 tasks for each tile.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cluster import cluster
from benchmarks.gigapixel import SPEC
from benchmarks.measure import remove

GOAL, MORE_SECONDS, TASKS = 1.15, 3, 1.05


def main(words: Sequence[str] | None = None) -> int:
    """Print the figures; exit code 1 if one is above its goal or a byte differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--side", type=int, default=32768)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(words)
    asked.folder.mkdir(parents=True, exist_ok=True)
    image, spec = asked.folder / "big.tif", asked.folder / "chain.yaml"
    if not image.exists():
        _tileconv("sample", "synthetic", "--size", f"{asked.side}x{asked.side}", "-o", str(image))
    spec.write_text(SPEC, "utf-8")
    timed: dict[str, list[tuple[float, float]]] = {"threads": [], "scheduler": []}
    digests = set()
    with cluster(asked.folder) as (address, _):
        for _ in range(asked.rounds):
            for name, executor in (("threads", "threads"), ("scheduler", address)):
                whole, tiles, digest = run(spec, executor)
                timed[name].append((whole, tiles))
                digests.add(digest)
                print(f"{name}: {whole:.1f} s in the whole, {tiles:.1f} s from the first tile to the last", flush=True)
    wholes, inners = (
        {name: statistics.median(each[which] for each in pairs) for name, pairs in timed.items()} for which in (0, 1)
    )
    ratio, more = inners["scheduler"] / inners["threads"], wholes["scheduler"] - wholes["threads"]
    print(f"first tile to last {ratio:.2f} x, the whole {more:+.1f} s, {len(digests)} set of bytes")
    return int(ratio > GOAL or more > MORE_SECONDS or len(digests) > 1)


def run(spec: Path, executor: str) -> tuple[float, float, str]:
    """Return the seconds of a run, those from its first tile to its last, and the digest of its output."""
    output = spec.with_name("edges.ome.zarr")
    began = time.perf_counter()
    told = _tileconv("run", str(spec), "--overwrite", "--progress", "json", "--set", f"run.executor={executor}")
    seconds = time.perf_counter() - began
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    times = [event["time"] for event in events if event["event"] == "tile"]
    words = ("find", str(output), "-type", "f", "-path", "*/c/*", "-exec", "sha256sum", "{}", "+")
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    digest = str(hash("".join(sorted(re.findall(r"\S+  \S+", listed)))))
    remove(output)
    return seconds, times[-1] - times[0], digest


def _tileconv(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "tileconv", *words], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
