"""Readers that people use, as judges of results: ``python -m tests.judges`` says what each shows of each store.

The environments that it makes need PyPI and npm, Python 3.12 or newer for the newest readers, and Node. It ends with 1
if a reader shows other pixels or names than were written, refuses what it should read, or reads what it should not:
then ``docs/open-the-result.md`` and ``tileconv/report/readers.py`` say something wrong.
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

import tileconv
from tileconv.operations.shrink import Shrink

HERE = Path(__file__).parent
NAMES = ["DAPI", "GFP", "mCherry"]
COLOURS = ["00AAFF", "12FF34", "FF3300"]
KINDS = {
    "as it comes": {},
    "checksum: none": {"checksum": "none"},
    "shards": {"shards": 256},
    "shards, checksum: none": {"shards": 256, "checksum": "none"},
    "zstd": {"codec": {"name": "zstd"}},
    "gzip": {"codec": {"name": "gzip"}},
    "no codec": {"codec": {"name": "none"}},
    "zstd, checksum: none": {"codec": {"name": "zstd"}, "checksum": "none"},
    "gzip, checksum: none": {"codec": {"name": "gzip"}, "checksum": "none"},
    "no codec, checksum: none": {"codec": {"name": "none"}, "checksum": "none"},
    "blosc zstd": {"codec": {"cname": "zstd", "shuffle": "shuffle"}},
    "levels": {"pyramid": {"levels": 3}},
    "levels, checksum: none": {"pyramid": {"levels": 3}, "checksum": "none"},
    "0.4": {"format": "0.4"},
    "0.4 levels": {"format": "0.4", "pyramid": {"levels": 3}},
    "0.4 zstd": {"format": "0.4", "codec": {"name": "zstd"}},
    "0.4 gzip": {"format": "0.4", "codec": {"name": "gzip"}},
    "0.4 no codec": {"format": "0.4", "codec": {"name": "none"}},
}
OF_05 = {kind for kind in KINDS if not kind.startswith("0.4")}
REFUSES = {
    "rasterio 1.4": OF_05,
    "rasterio 1.5": {kind for kind in OF_05 if "checksum: none" not in kind or "shards" in kind},
}
"""What each reader cannot read; it reads all else."""

SEEN = 0.1
"""The least share of a picture of neuroglancer that is in colour where the image is seen; its legend has 0.02."""


def make_stores(folder):
    """Write an image with names and colours, and copies of it that are stored in every way; return the pixels."""
    y, x = np.mgrid[:300, :420]
    waves = [1000 + 900 * np.sin((n + 2) * y / 40) * np.cos(x / (20 + 9 * n)) for n in range(3)]
    image = np.stack(waves).astype(np.uint16)
    root = zarr.open_group(folder / "in.zarr", mode="w", zarr_format=3)
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    transform = {"type": "scale", "scale": [1, 0.5, 0.5]}
    channels = [
        {"label": name, "color": colour, "active": True, "window": {"min": 0, "max": 9, "start": 0, "end": 9}}
        for name, colour in zip(NAMES, COLOURS, strict=True)
    ]
    level = {"path": "0", "coordinateTransformations": [transform]}
    root.attrs["ome"] = {
        "version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}], "omero": {"channels": channels}
    }  # fmt: skip
    root.create_array("0", data=image, chunks=(1, 128, 128), dimension_names=["c", "y", "x"])
    for number, words in enumerate(KINDS.values()):
        output = {"path": str(folder / f"{number}.ome.zarr"), "dtype": "input", "chunks": 128, **words}
        tileconv.run({"version": 1, "input": {"path": str(folder / "in.zarr")}, "stages": [], "output": output})
    return image


def environments(folder):
    """Make what is not there yet; return the command of each reader."""
    made = {}
    for name, python in (("", newest_python()), ("-older", sys.executable)):
        venv, wanted = folder / f"readers{name}", HERE / f"requirements{name}.txt"
        stamp = venv / wanted.name
        if not stamp.exists() or stamp.read_text() != wanted.read_text():
            subprocess.run([python, "-m", "venv", venv], check=True)
            pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", wanted], check=True)
            shutil.copy(wanted, stamp)
        made[name] = venv / "bin" / "python"
    node = folder / "node"
    if not (node / "node_modules" / "zarrita").exists():
        node.mkdir(exist_ok=True)
        shutil.copy(HERE / "package.json", node)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=node, check=True)
    shutil.copy(HERE / "zarrita.mjs", node)  # modules are looked for beside it
    from tests.judges.readers import READERS

    commands = {name: [made["-older" if name == "rasterio 1.4" else ""], HERE / "readers.py", name] for name in READERS}
    return commands | {"zarrita.js": ["node", node / "zarrita.mjs"]}


def newest_python():
    """Return a Python of 3.12 or newer."""
    for minor in (14, 13, 12):
        path = shutil.which(f"python3.{minor}")
        if path and not subprocess.run([path, "--version"], capture_output=True, check=False).returncode:
            return path
    raise SystemExit("no Python 3.12 or newer on the PATH, which the newest readers need")


def levels_of(kind, pixels):
    """Return what every level of a store holds."""
    levels = [pixels]
    while len(levels) < KINDS[kind].get("pyramid", {}).get("levels", 1):
        levels.append(Shrink("mean", (1, 2, 2)).of(levels[-1]))
    return levels


def verdict(name, kind, answer, pixels):
    """Return what a reader showed, in words, and whether that is right."""
    refused = kind in REFUSES.get(name, ())
    if "error" in answer:
        return f"refuses: {answer['error'][:100]}", refused
    levels = levels_of(kind, pixels)
    digests = [hashlib.sha256(np.ascontiguousarray(level, "<u2").tobytes()).hexdigest() for level in levels]
    if list(map(tuple, answer["shapes"])) != [level.shape for level in levels] or answer["digests"] != digests:
        return f"OTHER PIXELS, {answer['shapes']}", False
    scales = [[1, 0.5 * 2**level, 0.5 * 2**level] for level in range(len(levels))]
    for told, expected in (("names", NAMES), ("colours", COLOURS), ("scales", scales)):
        if answer.get(told, expected) != expected:
            return f"right pixels, {told} {answer[told]}", False
    shown = [told for told in ("names", "colours", "windows", "scales") if answer.get(told)]
    shown += [f"{len(levels)} levels"] * (len(levels) > 1)
    return ", ".join(["right pixels", *shown]), not refused


def seen(python, stores):
    """Print what neuroglancer shows in a browser, and where pictures lie; return how often the image is not seen."""
    if not shutil.which("chromium"):
        sys.stdout.write("| neuroglancer | | | not looked at: there is no chromium |\n")
        return 0
    wrong = 0
    for kind in ("as it comes", "0.4"):
        store = stores / f"{list(KINDS).index(kind)}.ome.zarr"
        words = [python, HERE / "look.py", store, store.with_suffix(".png")]
        told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout)
        right = told["coloured"] > SEEN
        wrong += not right
        shown = f"layers {', '.join(told['layers'])}; {told['coloured']:.0%} in colour{'' if right else ' **WRONG**'}"
        sys.stdout.write(f"| neuroglancer | {told['version']} | {kind} | {shown}: {words[-1]} |\n")
    return wrong


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.judges", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".venv-judges"), help="where environments and stores lie")
    folder = parser.parse_args().folder.absolute()
    folder.mkdir(exist_ok=True)
    stores = folder / "stores"
    shutil.rmtree(stores, ignore_errors=True)
    stores.mkdir()
    pixels = make_stores(stores)
    wrong = 0
    for name, command in environments(folder).items():
        words = [*map(str, command), *(str(stores / f"{number}.ome.zarr") for number in range(len(KINDS)))]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for kind, answer in zip(KINDS, answers, strict=True):
            text, right = verdict(name, kind, answer, pixels)
            wrong += not right
            version = answer.get("version", "") + (f" (GDAL {answer['gdal']})" if "gdal" in answer else "")
            sys.stdout.write(f"| {name} | {version} | {kind} | {text}{'' if right else ' **WRONG**'} |\n")
    return int(wrong + seen(folder / "readers" / "bin" / "python", stores) > 0)


if __name__ == "__main__":
    sys.exit(main())
