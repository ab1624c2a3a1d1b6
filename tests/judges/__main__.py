"""Readers that people use, as judges of results: ``python -m tests.judges`` says what each shows of each store.

The environments that it makes need PyPI and npm, Python 3.12 or newer for the newest readers, and Node. It ends with 1
if a reader shows other pixels, names or places than were written, refuses what it should read, or reads what it should
not: then ``docs/open-the-result.md`` and ``tileconv/report/readers.py`` say something wrong.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import zarr

from tests.judges.environments import HERE, node_of, python_of
from tests.judges.readers import READERS, levels
from tests.judges.results import STACK, results, write

OF_RASTERS = {"rasterio 1.4", "rasterio 1.5"}
"""Readers of bands: stacks have an axis more."""
NAMES, PLACES = ("names", "colours", "windows"), ("axes", "scales", "translations")
ON_EARTH = ("crs", "transforms", "nodata")
KNOWS = {
    "ome-zarr-py": {"names", "windows", *PLACES},
    "ngff-zarr": {*NAMES, *PLACES},
    "xarray": {"axes"},
    "rioxarray": {*ON_EARTH},
    "bioio-ome-zarr": {"names", "axes", "scales"},
    "napari-ome-zarr": {*NAMES, "scales", "translations"},
    "rasterio 1.4": {"crs", "nodata"},
    "rasterio 1.5": {"crs", "nodata"},
    "zarrita.js": {"names", "colours", *PLACES},
}
"""What each reader tells beside pixels, of results that have it."""


def refuses(name, output):
    """Return whether a reader is one that cannot read what is stored as *output* says."""
    newer = output.get("format") != "0.4"
    sealed = output.get("checksum") != "none" or "shards" in output
    return newer and (name == "rasterio 1.4" or (name == "rasterio 1.5" and sealed))


def commands(folder):
    """Return the command of each reader, whose environment is made if it is not there."""
    pythons = {name: python_of(folder, "older" if name == "rasterio 1.4" else "") for name in READERS}
    made = {name: [python, HERE / "readers.py", name] for name, python in pythons.items()}
    return made | {"zarrita.js": ["node", node_of(folder) / "zarrita.mjs"]}


def digests_of(store):
    """Return the shape and a digest of the pixels of every level, by the reference implementation of Zarr."""
    arrays = [zarr.open_array(store / level, mode="r")[...] for level in levels(store)]
    return [[list(a.shape), hashlib.sha256(a.astype(a.dtype.newbyteorder("<")).tobytes()).hexdigest()] for a in arrays]


def verdict(reader, result, answer, written):
    """Return what a reader showed, in words, and whether that is right."""
    refused = refuses(reader, result.output)
    if "error" in answer:
        return f"refuses: {answer['error'][:100]}", refused
    expected = result.told()
    if [*map(list, zip(answer["shapes"], answer["digests"], strict=True))] != written:
        return f"OTHER PIXELS, {answer['shapes']}", False
    if answer["shapes"] != expected["shapes"]:
        return f"OTHER SHAPES, {answer['shapes']}", False
    shown = [told for told in (*NAMES, *PLACES, *ON_EARTH) if told in KNOWS.get(reader, ()) and told in expected]
    wrong = [f"{told} {answer.get(told)}" for told in shown if not same(answer.get(told), expected[told])]
    levels = [f"{len(written)} levels"] * (len(written) > 1)
    return ", ".join(["right pixels", *shown, *levels, *wrong]), not (wrong or refused)


def same(found, expected):
    """Return whether a reader tells what is expected, to the last digits of a float; of some, the full size alone."""
    if found and isinstance(expected, list) and isinstance(expected[0], list):
        return np.allclose(found, expected[: len(found)], rtol=1e-12, atol=1e-9)
    return found == expected if expected is not None else bool(found)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.judges", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".venv-judges"), help="where environments and stores lie")
    parser.add_argument("--only", default="", help="what the names of the results begin with")
    words = parser.parse_args()
    folder = words.folder.absolute()
    folder.mkdir(exist_ok=True)
    stores = folder / "stores"
    shutil.rmtree(stores, ignore_errors=True)
    stores.mkdir()
    paths, wrong = write(stores, [name for name in results() if name.startswith(words.only)]), 0
    written = {name: digests_of(path) for name, path in paths.items()}
    for reader, command in commands(folder).items():
        asked = {
            name: result
            for name, result in results().items()
            if name in paths and not (reader in OF_RASTERS and result.image is STACK)
        }
        done = subprocess.run(
            [*map(str, command), *(str(paths[name]) for name in asked)], capture_output=True, text=True, check=True
        )
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for (name, result), answer in zip(asked.items(), answers, strict=True):
            text, right = verdict(reader, result, answer, written[name])
            wrong += not right
            version = answer.get("version", "") + (f" (GDAL {answer['gdal']})" if "gdal" in answer else "")
            sys.stdout.write(f"| {reader} | {version} | {name} | {text}{'' if right else ' **WRONG**'} |\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
