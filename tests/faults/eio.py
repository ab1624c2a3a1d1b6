"""EIO at the level of the C library: runs of which calls on input, output or record fail, by chance or once each.

``python -m tests.faults.eio --rate 10 --runs 100 --paths record`` prints a row: of how many runs each came to its end,
ended with an error and went on, or ended in other bytes without a word. A run reads a TIFF, a Zarr array, a ``.npy``
or a PNG, a kernel and a pipeline, makes 16 tiles in each of two passes, and is then asked by ``status``, ``verify`` and
``--repair``, under the same faults. Every run is a fork of one process that has imported everything.
"""

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

SOURCE = Path(__file__).with_name("eio_layer.c")
INPUT, OUTPUT, RECORD = "/eioin/", "/o.zarr/:/o.zarr$:/o.zarr.pass0", "/o.zarr.tileconv"
PATHS = {"input": INPUT, "output": OUTPUT, "record": RECORD, "all": ":".join([INPUT, OUTPUT, RECORD])}
KINDS = ("tif", "zarr", "npy", "png")
CALLS = ("open", "stat", "read", "write", "rename", "unlink", "mkdir", "rmdir", "list", "truncate", "link")
NEVER, WAIT_S = 0, 1e-4


def build(folder):
    """Compile the layer; return its path, or None where there is no compiler."""
    if shutil.which("gcc") is None:
        return None
    made = folder / "eio.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", made, SOURCE, "-ldl"], check=True)
    return made


def measure(layer, folder, rows):
    """Return a row of a table for each of *rows*: ``rate`` in percent, ``runs``, ``paths``, ``once``, ``seed``."""
    tests = Path(__file__).parent.parent
    env = os.environ | {"LD_PRELOAD": str(layer), "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    command = [sys.executable, "-m", "faults.eio", "--child", str(folder), json.dumps(rows)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if made.returncode:
        raise RuntimeError(made.stderr)
    return [json.loads(line) for line in made.stdout.splitlines()]


def child(folder, rows):
    """Make every run of *rows* and print what became of them; the layer is under this process."""
    import numpy as np
    from execute.resume_help import digest, litter
    from faults.faults_help import clear

    import tileconv
    from tileconv import retry

    layer = ctypes.CDLL(None)
    retry.FIRST_WAIT_S = WAIT_S
    inputs(folder, np)
    expected = {}
    for kind in KINDS:
        tileconv.run(spec(folder, kind, warm=True))  # compiles; the files of the runs are not opened yet
        clear(folder)
        expected[kind] = forked(partial(whole, folder, spec(folder, kind), digest))
        clear(folder)

    def one(row, number):
        kind = KINDS[number % len(KINDS)]
        clear(folder)
        began = time.perf_counter()
        layer.eio_set(PATHS[row["paths"]].encode(), int(10 * row["rate"]), row["seed"] + number, int(row["once"]))
        outcome = trial(folder, spec(folder, kind), lambda: digest(folder / "o.zarr") == expected[kind], layer)
        if outcome["end"] == "finished" and litter(folder):
            outcome |= {"end": "litter"}
        return outcome | {"seconds": time.perf_counter() - began}

    for row in rows:
        found = [forked(partial(one, row, number)) for number in range(row["runs"])]
        row["ends"], row["calls"] = Counter(run["end"] for run in found), Counter()
        for run in found:
            row["calls"].update(run["calls"])
        row |= {name: sum(run[name] for run in found) for name in ("seen", "seconds")}
        row["errors"] = sorted({run["error"] for run in found if run["error"]})
        print(json.dumps(row), flush=True)  # noqa: T201


def trial(folder, path, right, layer):
    """Run under the faults that are set, ask whoever tells of a run, and go on without faults after an error.

    Ends: ``finished``; ``resumable`` after an error of ours; ``silent`` in other bytes; ``false`` where status, verify
    or repair say what is not so; ``crashed`` with an error that is not ours; ``lost`` if it cannot be gone on with.
    """
    import tileconv
    from tileconv.audit.status import status
    from tileconv.errors import TileconvError

    end, error, made = "finished", "", False
    try:
        tileconv.run(path)
        made = True
        told = status(folder / "o.zarr").state, tileconv.verify(folder / "o.zarr").damages
        mended = tileconv.run(path, repair=True)
        if told != ("complete", ()) or (mended.tiles, mended.damages) != (0, ()):
            end, error = "false", str((told, mended))
    except TileconvError as problem:
        end, error = "resumable", str(problem)
    except Exception as problem:
        end, error = "crashed", repr(problem)
    calls = {name: count for name in CALLS if (count := layer.eio_of(name.encode()))}
    seen = layer.eio_seen()
    layer.eio_set(b"", NEVER, 0, 0)
    if made and not right():
        end = "silent"
    if not made and end == "resumable":
        tileconv.run(path)
        end = end if right() else "lost"
    return {"end": end, "error": error[:300], "calls": calls, "seen": seen}


def whole(folder, path, digest):
    """Make the output without faults; return its digest."""
    import tileconv

    tileconv.run(path)
    return digest(folder / "o.zarr")


def inputs(folder, np):
    """Write every input twice, to be read under faults and to warm up, with a kernel and pipelines."""
    import strategies
    import zarr
    from PIL import Image
    from properties.runs_help import write_tiff

    for name in ("eioin", "warm"):
        place = folder / name
        place.mkdir()
        image = strategies.pixels((64, 64), "uint8", 3)
        write_tiff(place / "a.tif", image, tile=32)
        np.save(place / "a.npy", image)
        Image.fromarray(image).save(place / "a.png")
        zarr.create_array(place / "a.zarr", data=image, chunks=(32, 32))
        (place / "k.csv").write_text("1,2,0\n0,1,3\n")
        for kind in KINDS:
            stages = "[{op: correlate, kernel: k.csv}, {op: gaussian, sigma: 1, border: wrap}]"
            text = f"version: 1\ninput: {{path: a.{kind}}}\nstages: {stages}\n"
            text += "output: {path: ../o.zarr, chunks: 16, dtype: float32}\nrun: {tile: 16, workers: 2, memory: 2GiB}\n"
            (place / f"{kind}.yaml").write_text(text)


def spec(folder, kind, *, warm=False):
    """Return the pipeline over an input of *kind*."""
    return folder / ("warm" if warm else "eioin") / f"{kind}.yaml"


def forked(work):
    """Return what *work* returns, JSON values, from a fork of this process."""
    read, write = os.pipe()
    number = os.fork()
    if not number:
        try:
            os.close(read)
            with os.fdopen(write, "w") as file:
                json.dump(work(), file)
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    os.waitpid(number, 0)
    return json.loads(text or '{"end": "crashed", "error": "no answer", "calls": {}, "seen": 0, "seconds": 0}')


def line(row):
    """Return a row of the table as text."""
    how = "each once" if row["once"] else f"{row['rate']:g} %"
    ends = ", ".join(f"{count} {end}" for end, count in sorted(row["ends"].items()))
    calls = " ".join(f"{name} {count}" for name, count in sorted(row["calls"].items()))
    failed, each_s = sum(row["calls"].values()), row["seconds"] / max(1, row["runs"])
    return (
        f"{row['paths']:7} {how:9} {row['runs']:4} runs: {ends}; "
        f"{failed:,} of {row['seen']:,} calls failed ({calls}); {each_s:.2f} s a run"
    )


def main():
    """Parse, measure, print."""
    if sys.argv[1:2] == ["--child"]:
        return child(Path(sys.argv[2]), json.loads(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, nargs="+", default=[1, 5, 10], help="percent of the calls that fail")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=["input", "output", "record"])
    parser.add_argument("--each-once", action="store_true", help="every call on every path fails once instead")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rates = [0] if asked.each_once else asked.rate
    rows = [
        {"paths": paths, "rate": rate, "runs": asked.runs, "once": asked.each_once, "seed": asked.seed}
        for rate in rates
        for paths in asked.paths
    ]
    with tempfile.TemporaryDirectory() as folder:
        layer = build(Path(folder))
        if layer is None:
            print("skipped: no gcc")  # noqa: T201
            return None
        for row in measure(layer, Path(folder), rows):
            print(line(row))  # noqa: T201
            for error in row["errors"][:5]:
                print(f"        {error}")  # noqa: T201
    return None


if __name__ == "__main__":
    main()
