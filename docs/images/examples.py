"""Make the pictures of docs/examples.md: left what an example of ``pipelines/`` reads, right what it makes of it.

From the root of the project: ``python -m docs.images.examples``.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

import tileconv
from tileconv.samples import write_sample
from tileconv.samples.real import photograph
from tileconv.sources.open import open_source
from tileconv.spec import load_spec

FOLDER = Path(__file__).parent
PIPELINES = FOLDER.parents[1] / "pipelines"
GRAYS, GAP = 32, 4
TINTS = np.array([[1.0, 0.9, 0.6], [0.4, 0.8, 1.0]])
"""How two channels are coloured."""


def slide(folder: Path) -> Path:
    """Write a stained section, in colours."""
    write_sample("immunohistochemistry", folder / "slide.tif")
    return folder / "slide.tif"


def sky(folder: Path) -> Path:
    """Write the Hubble deep field."""
    write_sample("hubble", folder / "sky.tif")
    return folder / "sky.tif"


def stack(folder: Path) -> Path:
    """Write a z-stack of two channels of vesicles in haze, in voxels of 0.6 x 0.2 x 0.2 um, as OME-TIFF."""
    random, channels = np.random.default_rng(5), []
    for count in (90, 40):
        points = np.zeros((36, 160, 160))
        points[tuple(random.integers(3, n - 3, count) for n in points.shape)] = random.uniform(2e3, 9e3, count)
        sharp = tileconv.gaussian(points, {"z": 0.7, "y": 1.6, "x": 1.6}, axes=(0, 1, 2))
        haze = tileconv.gaussian(points, {"z": 6, "y": 18, "x": 18}, axes=(0, 1, 2))
        channels.append(random.poisson(sharp + 25 * haze + 12).astype(np.uint16))
    sizes: dict[str, Any] = {"axes": "CZYX", "Channel": {"Name": ["LAMP1", "EEA1"]}}
    for axis, size in (("Z", 0.6), ("Y", 0.2), ("X", 0.2)):
        sizes |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    tifffile.imwrite(folder / "stack.ome.tif", np.stack(channels), metadata=sizes)
    return folder / "stack.ome.tif"


def scene(folder: Path) -> Path:
    """Write a GeoTIFF of the moon in pixels of 10 m, from which two holes were cut: 0 is the nodata value."""
    pixels = photograph("moon").clip(1)
    rows, columns = np.indices(pixels.shape)
    pixels[(np.hypot(rows - 180, columns - 330) < 35) | (np.hypot((rows - 330) / 1.4, columns - 200) < 24)] = 0
    place = [(33550, 12, 3, (10.0, 10.0, 0.0)), (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0))]
    keys = [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633]  # pixels are areas; UTM, zone 33 north
    tags = [*place, (34735, 3, len(keys), keys), (42113, 2, 0, "0")]
    tifffile.imwrite(folder / "scene.tif", pixels, extratags=tags, photometric="minisblack")
    return folder / "scene.tif"


EXAMPLES = {"unsharp_slide": slide, "telescope": sky, "fluorescence": stack, "satellite": scene}


def made(name: str, folder: Path, suffix: str, overrides: Sequence[str] = ()) -> tuple[Path, Path]:
    """Run the example *name* in *folder*; return what it read, and its result."""
    source, result = EXAMPLES[name](folder), folder / f"{name}{suffix}"
    spec = load_spec(PIPELINES / f"{name}.yaml", overrides, input_path=source, output_path=result)
    tileconv.run(spec)
    return source, result


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {"unsharp_slide": (slice(60, 260), slice(120, 370)), "telescope": (slice(480, 680), slice(320, 570))}
        for example, (rows, columns) in parts.items():
            both = [pixels_of(path)[:, rows, columns] for path in made(example, folder, ".ome.zarr")]
            save(example, [np.moveaxis(image, 0, -1) for image in both])
        both = [pixels_of(path) for path in made("satellite", folder, ".tif")]
        save("satellite", [shown(np.where(image > 0, image, 0))[128:384, 130:370] for image in both])
        save("fluorescence", [projected(pixels_of(path)) for path in made("fluorescence", folder, ".ome.zarr")])


def pixels_of(path: Path) -> NDArray[Any]:
    """Return all pixels of an image, with holes as its nodata value."""
    source = open_source(path)
    return source.read(source.info.box)


def projected(image: NDArray[Any]) -> NDArray[Any]:
    """Return two channels in colours from above and, below that, from the side: planes are three pixels apart."""
    above, aside = image.max(axis=1), image.max(axis=2).repeat(3, axis=1)
    seen = np.concatenate([above, np.full((len(image), GAP, image.shape[-1]), image.max()), aside], axis=1)
    return np.einsum("cyx,cb->yxb", np.stack([shown(channel) for channel in seen]), TINTS)


def shown(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image between 0 and 255, of which the brightest two in a thousand pixels are white."""
    least, most = np.percentile(image, [0.5, 99.8])
    return ((image - least) / (most - least)).clip(0, 1) * 255


def save(name: str, both: Sequence[NDArray[Any]]) -> None:
    """Write two pictures beside one another."""
    left, right = (image.clip(0, 255).round().astype(np.uint8) for image in both)
    gap = np.full((len(left), GAP, *left.shape[2:]), 255, np.uint8)
    Image.fromarray(np.concatenate([left, gap, right], axis=1)).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
