"""What a reader of OME-Zarr makes of a result; run in the environment of the judges, where tileconv is not.

``python readers.py NAME STORE...`` prints a line of JSON for each store: a digest of the pixels as (c, y, x) of uint16,
their shape, what the reader says of channels, and its version; or the error that it raised.
"""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np


def ome_zarr_py(path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (node,) = [node for node in Reader(parse_url(path))() if node.data]
    told = node.metadata
    return "ome-zarr", node.data[0], {"names": told.get("channel_names"), "windows": told.get("contrast_limits")}


def ngff_zarr(path):
    import ngff_zarr

    image = ngff_zarr.from_ngff_zarr(path)
    channels = image.metadata.omero.channels
    windows = [[channel.window.start, channel.window.end] for channel in channels]
    return "ngff-zarr", image.images[0].data, {"names": [channel.label for channel in channels], "windows": windows}


def tensorstore(path):
    import tensorstore

    driver = "zarr3" if (Path(path) / "0" / "zarr.json").exists() else "zarr"
    store = {"driver": "file", "path": f"{path}/0/"}
    return "tensorstore", tensorstore.open({"driver": driver, "kvstore": store}).result().read().result(), {}


def xarray(path):
    import xarray

    array = xarray.open_zarr(path, consolidated=False)["0"]
    return "xarray", array.values, {"axes": list(array.dims)}


def bioio(path):
    from bioio_ome_zarr import Reader

    reader = Reader(path)
    return "bioio-ome-zarr", reader.get_image_data("CYX"), {"names": list(reader.channel_names)}


def napari(path):
    from napari_ome_zarr import napari_get_reader

    layers = napari_get_reader(path)(path)  # one for each channel
    assert {kind for _, _, kind in layers} == {"image"}
    told = {
        "names": [words["name"].rpartition(": ")[2] for _, words, _ in layers],  # behind the name of the image
        "windows": [words["contrast_limits"] for _, words, _ in layers],
        "colours": [bytes(np.uint8(words["colormap"].colors[-1, :3] * 255)).hex().upper() for _, words, _ in layers],
    }
    return "napari-ome-zarr", np.stack([levels[0] for levels, _, _ in layers]), told


def rasterio(path):
    import rasterio

    with rasterio.open(f'ZARR:"{path}":/0') as image:
        return "rasterio", image.read(), {"gdal": rasterio.__gdal_version__}


READERS = {
    "ome-zarr-py": ome_zarr_py,
    "ngff-zarr": ngff_zarr,
    "tensorstore": tensorstore,
    "xarray": xarray,
    "bioio-ome-zarr": bioio,
    "napari-ome-zarr": napari,
    "rasterio 1.4": rasterio,
    "rasterio 1.5": rasterio,
}


def judged(name, path):
    """Return what the reader *name* makes of the store *path*."""
    distribution, pixels, told = READERS[name](path)
    pixels = np.ascontiguousarray(pixels, "<u2")
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return {"version": version(distribution), "shape": pixels.shape, "digest": digest, **told}


if __name__ == "__main__":
    for store in sys.argv[2:]:
        try:
            answer = judged(sys.argv[1], store)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer, default=lambda value: np.asarray(value).tolist()) + "\n")
