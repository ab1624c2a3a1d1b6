"""A TIFF by ranges from a server that takes its time: bytes beside those of the segments, requests, and seconds.

python -m benchmarks.ranges FOLDER --side 8192 --wait-ms 30
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tests.sources.served import serving
from tileconv.boxes import Box
from tileconv.sources.open import open_source
from tileconv.stores.location import Location

KINDS: dict[str, dict[str, Any]] = {
    "tiled": {"tile": (256, 256), "compression": "deflate"},
    "striped": {"rowsperstrip": 16, "compression": "deflate"},
    "plain tiles": {"tile": (256, 256)},
    "one strip": {},
}
SPEC = "version: 1\ninput: {{path: '{path}'}}\nstages: [{{op: gaussian, sigma: 3}}]\noutput: {{path: {output}}}\n"


class Files(dict[str, bytes]):
    """The files of a folder, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, default: Any = None) -> Any:
        """Return the bytes of a file; they stay in memory from then on."""
        if name not in self and (self.folder / name).is_file():
            self[name] = (self.folder / name).read_bytes()
        return super().get(name, default)


def written(folder: Path, kind: str, side: int) -> Path:
    """Return the TIFF of *kind*, written now unless it is in *folder*; its pixels compress by about a half."""
    path = folder / f"{kind.replace(' ', '-')}-{side}.tif"
    if not path.exists():
        rng = np.random.default_rng(7)
        pixels = rng.integers(0, 200, (side, side), np.uint16)
        tifffile.imwrite(path, pixels, **KINDS[kind])
    return path


def segments(path: Path, box: Box) -> int:
    """Return the stored bytes of the segments that *box* touches."""
    page: Any = tifffile.TiffFile(path).pages[0]
    if page.tags[259].value == 1 and not page.is_tiled:
        (top, _), (bottom, _) = box.start, box.stop
        return int((bottom - top) * page.imagewidth * 2)
    high, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    across = -(-page.imagewidth // wide)
    rows, columns = (range(a // n, -(-b // n)) for a, b, n in zip(box.start, box.stop, (high, wide), strict=True))
    return sum(page.databytecounts[row * across + column] for row in rows for column in columns)


def seconds(path: str, folder: Path) -> float:
    """Return how long a whole run takes that reads *path*."""
    output, spec = folder / "out.zarr", folder / "spec.yaml"
    spec.write_text(SPEC.format(path=path, output=output))
    for left in folder.glob("out.zarr*"):
        shutil.rmtree(left)
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tileconv", "run", spec], check=True, capture_output=True)
    return time.perf_counter() - begun


def rows(folder: Path, side: int, wait_ms: float) -> Iterator[tuple[str, ...]]:
    """Yield a row for every kind of file and what is read of it."""
    middle = Box((side // 2 - side // 16,) * 2, (side // 2 + side // 16,) * 2, "yx")
    for kind in KINDS:
        path = written(folder, kind, side)
        with serving({}, wait_s=wait_ms / 1000) as served:
            served.objects = Files(folder)
            begun = time.perf_counter()
            open_source(Location(f"{served.url}/{path.name}")).read(middle)
            took, needed = time.perf_counter() - begun, segments(path, middle)
            yield kind, "region", f"{served.sent / needed:.3f}", str(served.count), f"{took:.1f}", ""
            served.forget()
            took, needed = (
                seconds(f"{served.url}/{path.name}", folder),
                segments(path, Box.of_shape((side, side), "yx")),
            )
            yield (
                kind,
                "run",
                f"{served.sent / needed:.3f}",
                str(served.count),
                f"{took:.1f}",
                (f"{seconds(str(path), folder):.1f}"),
            )


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--wait-ms", type=float, default=30)
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    print(f"{'file':12} {'read':7} {'bytes/segments':>14} {'requests':>9} {'s':>7} {'s, local':>9}")
    for kind, what, share, count, took, local in rows(given.folder, given.side, given.wait_ms):
        print(f"{kind:12} {what:7} {share:>14} {count:>9} {took:>7} {local:>9}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
