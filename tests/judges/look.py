"""What viewers show of a slide, two stacks and a raster: ``python -m tests.judges.look`` makes pictures of it.

They are made to be looked at; all but that is checked: that the image is seen at once, and how large neuroglancer takes
its pixels to be and where they lie. The environment that it makes needs PyPI, Python 3.12 or newer, and Chromium.
"""

import argparse
import json
import shutil
import subprocess
import sys
from math import isclose
from pathlib import Path

from docs.images.examples import made
from tests.judges.environments import HERE, python_of
from tests.judges.results import STAGED, write

ZARR = ("output.codec={name: blosc}", "output.pyramid={levels: 3}")
EXAMPLES = {
    "slide": ("unsharp_slide", ZARR),
    "stack": ("fluorescence", ZARR),
    "raster": ("satellite", ZARR),  # which is a GeoTIFF in the example
    "raster, 0.4": ("satellite", (*ZARR, "output.format='0.4'")),
}
"""Examples of ``pipelines/``, and what is changed of them."""
PART = "stack, region, a channel"
STEPS = {"stack": {"z": 6e-7, "y": 2e-7, "x": 2e-7}, PART: {"z": 1.5e-6, "y": 4e-7, "x": 4e-7}}
"""How large pixels are, in metres."""
DARK = 0.02
"""What share of a picture of neuroglancer is in colour where its legend alone is."""


def middle_of(result):
    """Return which pixel lies in the middle along z, y and x, as neuroglancer counts: from the place 0, by corners."""
    told = result.told()
    sides = zip(told["translations"][0], told["scales"][0], told["shapes"][0], strict=True)
    return [at / step - 0.5 + size / 2 for at, step, size in sides][-3:]


def right(name, told):
    """Return whether neuroglancer takes pixels to be as large and to lie where they are, and shows something."""
    steps = {axis: told["dimensions"].get(axis, [0])[0] for axis in "zyx"}
    known = all(isclose(steps[axis], size, rel_tol=1e-6) for axis, size in STEPS.get(name, {}).items())
    middle = middle_of(STAGED[name]) if name == PART else []
    where = dict(zip(told["dimensions"], told["position"], strict=False))
    placed = all(abs(where[axis] - at) <= 1 for axis, at in zip("zyx", middle, strict=False))
    return known and placed and (told["coloured"] > DARK or name != "slide")


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.judges.look", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".venv-judges"), help="where environment and pictures lie")
    folder = parser.parse_args().folder.absolute()
    pictures = folder / "pictures"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    stores = {
        name: made(example, pictures, f"-{number}.ome.zarr", changed)[1]
        for number, (name, (example, changed)) in enumerate(EXAMPLES.items())
    }
    stores[PART] = write(pictures, [PART])[PART]
    python, wrong = python_of(folder), 0
    if not shutil.which("chromium"):
        raise SystemExit("there is no chromium: apt-get install chromium")
    for viewer in ("neuroglancer", "napari"):
        for name, store in stores.items():
            png = pictures / f"{viewer}-{store.name.partition('.')[0]}.png"
            words = [python, HERE / f"seen_by_{viewer}.py", store, png]
            told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout)
            good = viewer != "neuroglancer" or right(name, told)
            wrong += not good
            sys.stdout.write(f"| {viewer} | {name} | {told}{'' if good else ' **WRONG**'} | {png} |\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
