"""What napari shows of a result by what its reader says: ``python seen_by_napari.py STORE PNG``, without a window.

Every channel is taken from the level that is nearest to the size of the picture, through its window and its colours,
and added to the others; a stack is shown from above, at its brightest. Pixels are as large as the reader tells.
"""

import json
import sys
from importlib.metadata import version

import numpy as np
from PIL import Image

SIZE = 700


def main(store, png):
    from napari_ome_zarr import napari_get_reader

    shown = 0
    for levels, words, _ in napari_get_reader(store)(store):
        level = min(levels, key=lambda array: abs(max(array.shape[-2:]) - SIZE))
        pixels = np.asarray(level, float)
        pixels = pixels.max(axis=0) if pixels.ndim == 3 else pixels
        start, end = words["contrast_limits"]
        light = ((pixels - start) / (end - start)).clip(0, 1)
        shown = shown + words.get("visible", True) * light[..., None] * words["colormap"].colors[-1, :3]
    high, wide = (size * float(step) for size, step in zip(levels[0].shape[-2:], words["scale"][-2:], strict=True))
    size = (SIZE, round(SIZE * high / wide)) if wide > high else (round(SIZE * wide / high), SIZE)
    Image.fromarray(np.uint8(np.asarray(shown).clip(0, 1) * 255)).resize(size).save(png)
    told = {"version": version("napari-ome-zarr"), "scale": words["scale"], "translate": words.get("translate")}
    sys.stdout.write(json.dumps(told, default=list) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
