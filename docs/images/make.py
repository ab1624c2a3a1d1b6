"""Make the pictures of the operators: a part of a photograph, and what the operator makes of it.

From the root of the project: ``python -m docs.images.make``. Those of examples: ``python -m docs.images.examples``.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import tileconv
from tileconv.arrays import FUNCTIONS
from tileconv.report.picture import write_picture
from tileconv.samples.real import photograph
from tileconv.sources.memory import MemorySource

FOLDER = Path(__file__).parent
GRAYS, GAP = 32, 4
BELL = tileconv.kernels.gaussian(1.2).weights
EMBOSS = [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]
WORDS = {
    "box": {"size": 9},
    "gaussian": {"sigma": 3},
    "disk": {"radius": 5},
    "laplacian_of_gaussian": {"sigma": 2},
    "difference_of_gaussians": {"low_sigma": 1.5},
    "sharpen": {"dtype": "input"},
    "unsharp": {"sigma": 2, "amount": 2, "dtype": "input"},
    "convolve": {"kernel": EMBOSS},
    "correlate": {"kernel": EMBOSS},
    "rescale": {"gain": -1, "offset": 255},
    "clip": {"range": [80, 140]},
    "fill": {"method": "nearest", "radius": 6},
    "bilateral": {"sigma_color": 25, "sigma_spatial": 3},
    "local_normalize": {"sigma": 8, "epsilon": 4.0},
    "richardson_lucy": {"psf": BELL.tolist(), "iterations": 15},
    "bank": {"gabor": {"orientations": 4, "wavelengths": 5}, "reduce": "magnitude"},
    "median": {"size": 3},
    "rank": {"size": 9, "percentile": 80},
    "local_minimum": {"size": 7},
    "local_maximum": {"radius": 4},
    "variance": {"size": 5},
    "standard_deviation": {"size": 5},
}
"""What each operator is given; others need nothing."""


def specked(image: np.ndarray) -> np.ndarray:
    """Return *image* with black and white pixels strewn over it."""
    drawn = np.random.default_rng(1).random(image.shape)
    return np.where(drawn < 0.05, 0, np.where(drawn > 0.95, 255, image)).astype(image.dtype)


def holed(image: np.ndarray) -> np.ndarray:
    """Return the image with every ninth pixel valid, and a hole."""
    rows, columns = np.indices(image.shape)
    valid = (rows % 3 == 0) & (columns % 3 == 0) & (np.hypot(rows - 100, columns - 40) > 16)
    return np.where(valid, image, np.nan)


STARTS = {"absolute": tileconv.edge, "fill": holed, "median": specked}
"""What is made of the photograph first."""


def main() -> None:
    """Write one picture per operator."""
    image = photograph("camera")[60:204, 160:304]
    for name in FUNCTIONS.keys() - {"apply", "project", "rgb_to_gray"}:
        start = STARTS.get(name, np.copy)(image)
        made = FUNCTIONS[name](start, **WORDS.get(name, {}))
        for array, place in ((start, FOLDER / "before.png"), (made, FOLDER / f"{name}.png")):
            write_picture(MemorySource(np.ascontiguousarray(array), "yx"), place)
        _beside(FOLDER / "before.png", FOLDER / f"{name}.png")
    (FOLDER / "before.png").unlink()
    _together(image)
    _missing(image)
    _alpha()


def _together(image: NDArray[Any]) -> None:
    """Write pictures of a plane beside what it is projected to with others, and of a photograph beside its gray."""
    planes = np.stack([np.where(np.arange(len(image))[:, None] // 18 % 4 == n, image, 0) for n in range(4)])
    colours = photograph("hubble")[:, 300:444, 300:444]
    gray = tileconv.rgb_to_gray(colours, channel_axis=0)[0]
    shown = {"project": (planes[0], tileconv.project(planes, "max", axes=0)[0]), "rgb_to_gray": (colours, gray)}
    for name, parts in shown.items():
        sides = [np.moveaxis(np.broadcast_to(part, (3, 144, 144)), 0, -1) for part in parts]
        sheet = np.concatenate([sides[0], np.full((144, GAP, 3), 255), sides[1]], axis=1).astype(np.uint8)
        Image.fromarray(sheet).quantize(GRAYS).save(FOLDER / f"{name}.png", optimize=True)


def _missing(image: NDArray[Any]) -> None:
    """Write a picture of an image with holes, and of what a blur makes of it by each rule."""
    holes = image.astype(np.float32)
    holes[30:60, 70:90] = holes[95:101, 20:120] = np.nan
    holes[np.random.default_rng(0).random(holes.shape) < 0.005] = np.nan
    filled = {"rule": "renormalize", "keep": False, "min_coverage": 0.1}
    blurred = [tileconv.gaussian(holes, 3, missing=rule) for rule in ("propagate", "renormalize", filled)]
    places = [FOLDER / f"missing{n}.png" for n in range(4)]
    for array, place in zip((holes, *blurred), places, strict=True):
        write_picture(MemorySource(array, "yx"), place)
    _beside(*places)
    places[-1].rename(FOLDER / "missing.png")
    for place in places[:-1]:
        place.unlink()


def _alpha() -> None:
    """Write a picture of a disk on transparent black, blurred without regard to alpha and with, and seen over white."""
    rows, columns = np.indices((120, 120))
    image = np.zeros((120, 120, 4), np.uint8)
    image[np.hypot(rows - 60, columns - 60) < 40] = 235, 235, 235, 255
    with tempfile.TemporaryDirectory() as folder:
        Image.fromarray(image).save(f"{folder}/disk.png")
        places = []
        for alpha in ("filter", "premultiply"):
            pipeline: dict[str, Any] = {
                "version": 1,
                "input": {"path": f"{folder}/disk.png", "alpha": alpha},
                "stages": [{"op": "gaussian", "sigma": 6}],
                "output": {"path": "unused.zarr"},
            }
            colour, *_, seen = tileconv.lazy(pipeline).compute()
            over = colour * (seen / 255) + 255 - seen
            places.append(FOLDER / f"alpha_{alpha}.png")
            Image.fromarray(np.rint(over).astype(np.uint8)).save(places[-1])
    _beside(*places)
    places[-1].rename(FOLDER / "alpha.png")
    places[0].unlink()


def _beside(*paths: Path) -> None:
    """Put pictures side by side, into the place of the last."""
    parts = [Image.open(path).convert("L") for path in paths]
    sheet = Image.new("L", (sum(part.width + GAP for part in parts) - GAP, parts[0].height), 255)
    for number, part in enumerate(parts):
        sheet.paste(part, (number * (part.width + GAP), 0))
    sheet.quantize(GRAYS).save(paths[-1], optimize=True)


if __name__ == "__main__":
    main()
