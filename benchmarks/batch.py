"""A batch of many images against as many runs in a shell loop, and against the batch once more when all is there.

    python -m benchmarks.batch --folder FOLDER [--images 200] [--least 1000] [--most 4000] [--executor threads]
        [--memory 400MiB] [--plans 500 2000 10000]

Images are uint16 noise in tiles of 256, of random sides. Wall seconds of each, whether all bytes are alike, and the
batch's peak memory beside what was predicted. With --plans also the peak of planning so many images, which are links
to one; a plan of a batch keeps none.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.measure import remove

PIPELINE = """\
version: 1
input: {{path: "raw/*.tif"}}
stages:
  - {{op: gaussian, sigma: 2}}
  - {{op: sobel}}
output: {{path: "{folder}/{{stem}}.ome.zarr", dtype: uint16}}
run: {{executor: "{executor}", memory: {memory}}}
"""
PLAN = """
from pathlib import Path
from tileconv.execute.images import each_image
from tileconv.execute.plans import Sum, each_plan
from tileconv.execute.report import peak_bytes
from tileconv.report.plans import plan_lines
from tileconv.spec import load_spec
images = each_image(load_spec(Path("plan.yaml")))
print(*plan_lines(images, each_plan(images), Sum()), sep="\\n")
print(peak_bytes())
"""
MIB = 2**20


def draw(folder: Path, count: int, least: int, most: int) -> float:
    """Write the images, and return their megapixels."""
    rng, pixels = np.random.default_rng(14), 0
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        height, width = map(int, rng.integers(least, most + 1, 2))
        pixels += height * width
        image = rng.integers(0, 60000, (height, width), dtype=np.uint16)
        tifffile.imwrite(folder / "raw" / f"z{number}.tif", image, tile=(256, 256))
    return pixels / 1e6


def timed(folder: Path, *commands: list[str]) -> tuple[float, dict[str, int]]:
    """Return the wall seconds of *commands*, one after another, and what the last one reports."""
    began, told = time.perf_counter(), "{}"
    for words in commands:
        command = [sys.executable, "-m", "tileconv", "run", "--json", *words]
        told = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout
    return time.perf_counter() - began, json.loads(told)


def plan_peak(folder: Path, count: int) -> float:
    """Return the peak memory, in MiB, of planning a batch of *count* images."""
    remove(folder / "links")
    (folder / "links").mkdir()
    tifffile.imwrite(folder / "one.tif", np.zeros((64, 64), np.uint8))
    for number in range(count):
        (folder / "links" / f"{number}.tif").hardlink_to(folder / "one.tif")
    pipeline = PIPELINE.replace("raw", "links").format(folder="p", executor="threads", memory="auto")
    (folder / "plan.yaml").write_text(pipeline)
    made = subprocess.run([sys.executable, "-c", PLAN], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return int(made.stdout.split()[-1]) / MIB


def digest(folder: Path) -> str:
    """Return a digest of all outputs in *folder*, names and bytes."""
    found = hashlib.sha256()
    for file in sorted(path for path in folder.glob("*.ome.zarr/**/*") if path.is_file()):
        found.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return found.hexdigest()


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--least", type=int, default=1000)
    parser.add_argument("--most", type=int, default=4000)
    parser.add_argument("--executor", default="threads")
    parser.add_argument("--memory", default="auto", help="run.memory")
    parser.add_argument("--plans", type=int, nargs="*", default=[], help="numbers of images that are planned alone")
    asked = parser.parse_args(words)
    folder: Path = asked.folder
    size = draw(folder, asked.images, asked.least, asked.most)
    for name in ("batch", "loop"):
        remove(folder / name)
        (folder / f"{name}.yaml").write_text(PIPELINE.format(folder=name, executor=asked.executor, memory=asked.memory))
    files = sorted(path.name for path in (folder / "raw").glob("*.tif"))
    timed(folder, ["loop.yaml", "-i", f"raw/{files[0]}", "-o", "warm.ome.zarr"])  # loops are compiled, once
    batch, told = timed(folder, ["batch.yaml"])
    loop, _ = timed(folder, *(["loop.yaml", "-i", f"raw/{file}"] for file in files))
    again, _ = timed(folder, ["batch.yaml"])
    alike = digest(folder / "batch") == digest(folder / "loop")
    print(f"{len(files)} images, {size:,.0f} megapixels, {asked.executor}")
    print(f"batch  {batch:8.1f} s  {size / batch:8.1f} Mpx/s")
    print(f"loop   {loop:8.1f} s  {size / loop:8.1f} Mpx/s  {loop / batch:.1f} x")
    print(f"again  {again:8.1f} s")
    print("bytes  alike" if alike else "bytes  DIFFERENT")
    peak, predicted = told["peak_bytes"] / MIB, told["predicted_bytes"] / MIB
    print(f"memory {peak:8.0f} MiB, predicted {predicted:.0f}, run.memory {asked.memory}")
    for count in asked.plans:
        print(f"plan   {plan_peak(folder, count):8.0f} MiB for {count:,} images")


if __name__ == "__main__":
    main()
