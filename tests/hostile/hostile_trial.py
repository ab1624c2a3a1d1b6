"""Opens, plans and reads the files that come in as JSON lines, in a process of its own; a JSON line each goes out.

A line is ``{"name": ..., "path": ..., "options": {...}}``, the options being those of ``open_source``. What goes out is
the error, if any, whether it is one of ours, a digest of the pixels, what leaked beside it, seconds and memory.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

import tileconv
from tileconv.boxes import Box
from tileconv.errors import TileconvError
from tileconv.sources.open import open_source

BELT = 2**30
"""Address space that a case may add; far over what it may use, far under what would harm the machine."""
TILE = {"y": 512, "x": 512}
READ_WHOLE = 2**26
"""Bytes up to which an image is read to its end; of a larger one the first tile and the last are read."""


def memory(key):
    """Return a line of the kernel's account of this process, in bytes."""
    return 1024 * int(re.search(rf"^{key}:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)[1])


def digest(array):
    """Return what tells whether two arrays are the same in shape, type and pixels."""
    text = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(text + np.ascontiguousarray(array).tobytes()).hexdigest()


def tiles(info):
    """Yield the boxes of the image, or the first and the last of a large one."""
    steps = [TILE.get(axis, n) if axis in "yxc" else 1 for axis, n in zip(info.axes, info.shape, strict=True)]
    last = tuple((n - 1) // s * s for n, s in zip(info.shape, steps, strict=True))
    starts = [(0,) * len(steps), last]
    if info.nbytes <= READ_WHOLE:
        starts = itertools.product(*(range(0, n, s) for n, s in zip(info.shape, steps, strict=True)))
    for start in starts:
        stop = tuple(min(a + s, n) for a, s, n in zip(start, steps, info.shape, strict=True))
        yield Box(tuple(start), stop, info.axes)


def pixels(path, options):
    """Return a digest of the image's pixels; without them, that they were too many."""
    source = open_source(path, **options)
    info = source.info
    whole = np.empty(info.shape, info.dtype) if info.nbytes <= READ_WHOLE else None
    for box in tiles(info):
        block = source.read(box)
        if whole is not None:
            whole[tuple(map(slice, box.start, box.stop))] = block
    return {"read": digest(whole) if whole is not None else "in part", "absent": source.missing_chunks_total()[0]}


def planned(path, options):
    """Plan a run over the file."""
    tileconv.plan(
        {
            "version": 1,
            "input": {"path": str(path), **options},
            "stages": [{"op": "box", "size": 3}],
            "missing": {"rule": "propagate"},
            "output": {"path": str(Path(path).parent / "out.ome.zarr")},
            "run": {"memory": "8GiB"},
        }
    )
    return {"planned": True}


def attempt(case):
    """Return what became of one file."""
    made = {"name": case["name"], "error": None, "leaks": []}
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, start, room = memory("VmRSS"), time.perf_counter(), memory("VmSize") + BELT
    resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for job in (planned, pixels):
            try:
                made |= job(case["path"], case.get("options", {})) | {"error": None}
            except TileconvError as error:
                made |= {"error": str(error), "fix": error.fix}
            except BaseException:
                made["leaks"].append(traceback.format_exc()[-1500:])
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    made["leaks"] += [str(warning.message) for warning in heard]
    made["seconds"] = round(time.perf_counter() - start, 3)
    made["growth"] = max(memory("VmHWM") - before, 0)
    return made


def main():
    """Warm up, and try every line."""
    cases = [json.loads(line) for line in sys.stdin]
    attempt({"name": "", "path": "nowhere"})
    attempt({"name": "", "path": "."})
    for case in cases:
        sys.stdout.write(json.dumps({"begin": case["name"]}) + "\n")
        sys.stdout.flush()
        sys.stdout.write(json.dumps(attempt(case)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
