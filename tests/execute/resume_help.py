"""Runs as real processes that are killed at a chosen length of their journal, and what they leave."""

import hashlib
import json
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import strategies
import yaml
from properties.runs_help import pipeline, write_tiff

from tileconv.record.journal import History
from tileconv.stores.local import LocalStore

ONE = [{"op": "gaussian", "sigma": 1}, {"op": "sobel"}]
TWO = [{"op": "sobel", "component": "x"}, {"op": "gaussian", "sigma": 1, "border": "wrap"}]
"""Two passes: the second wraps."""


def write_spec(folder, stages, *, image=None, store="o.zarr", tile=16, **words):
    """Write an image ``a.tif`` and a spec ``p.yaml`` with many small tiles; return the spec's path."""
    if not (folder / "a.tif").exists():
        write_tiff(folder / "a.tif", strategies.pixels((160, 176), "uint16", 0) if image is None else image, tile=32)
    words["output"] = {"path": store, "chunks": tile} | words.get("output", {})
    spec = pipeline(stages, input_={"path": "a.tif"}, **words)
    spec["run"] |= {"tile": tile}
    path = folder / "p.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def start(folder, *words):
    """Start ``tileconv run p.yaml`` in *folder*."""
    command = [sys.executable, "-m", "tileconv", "run", "p.yaml", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)


def finish(folder, *words):
    """Run the command to its end; return exit code, stdout and stderr."""
    with start(folder, *words) as process:
        out, err = process.communicate()
    assert "Traceback" not in err, err
    return process.returncode, out, err


def history(folder, output="o.zarr"):
    """Return what the journal says, of no tiles before there is a plan."""
    run = folder / f"{output}.tileconv"
    plan = json.loads((run / "plan.json").read_text()) if (run / "plan.json").exists() else {"grids": []}
    grids = [[grid, *grid.get("levels", ())] for grid in plan["grids"]]
    return History.of(
        LocalStore(run), {(a, n): grid["tiles"] for a, each in enumerate(grids) for n, grid in enumerate(each)}
    )


def done(folder, output="o.zarr"):
    """Return how many tiles the journal holds as done."""
    return history(folder, output).total_done()


def attempts(folder, output="o.zarr"):
    """Return how often the journal has each tile as made or failed, by (pass, tile), from its text alone."""
    journal = (folder / f"{output}.tileconv" / "journal").read_text()
    events = [json.loads(line.split(" ", 1)[1]) for line in journal.splitlines() if line.endswith("}")]
    return Counter((e["array"], e["tile"]) for e in events if e["event"] in {"done", "failed"})


def reached(folder, process, lines):
    """Return once the journal of the run in *process* holds *lines* lines, or the run is over."""
    journal = folder / "o.zarr.tileconv" / "journal"
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= lines):
        time.sleep(0.002)  # leave the processor to the run


def signalled(folder, number, lines):
    """Run, and send signal *number* once the journal holds *lines* lines; return exit code, stdout and stderr."""
    with start(folder) as process:
        reached(folder, process, lines)
        process.send_signal(number)
        out, err = process.communicate()
    return process.returncode, out, err


def digest(path):
    """Return a digest of every file below *path*, names and bytes."""
    found = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        found.update(f"{file.relative_to(path)} {file.stat().st_size} ".encode() + file.read_bytes())
    return found.hexdigest()


def litter(folder):
    """Return what a finished run must not leave."""
    return sorted(p.name for p in folder.rglob("*") if p.suffix == ".partial" or ".pass" in p.name)


def poisoned(shape=(160, 176), at=(40, 50)):
    """Return a float image with one missing pixel."""
    image = strategies.pixels(shape, "float32", 0)
    image[at] = np.nan
    return image
