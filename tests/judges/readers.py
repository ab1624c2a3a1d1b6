"""What a reader of OME-Zarr makes of a result; run in the environment of the judges, where tileconv is not.

``python readers.py NAME STORE...`` prints a line of JSON for each store: of every level a digest of the pixels as
(c, y, x) of uint16 and their shape, what the reader says of channels and sizes, and its version; or the error that it
raised.
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
    scales = [of[0]["scale"] for of in told["coordinateTransformations"]]
    names = {"names": told.get("channel_names"), "windows": told.get("contrast_limits")}
    return "ome-zarr", node.data, names | {"scales": scales}


def ngff_zarr(path):
    import ngff_zarr

    image = ngff_zarr.from_ngff_zarr(path)
    channels = image.metadata.omero.channels
    windows = [[channel.window.start, channel.window.end] for channel in channels]
    scales = [[level.scale.get(axis, 1) for axis in "cyx"] for level in image.images]
    names = {"names": [channel.label for channel in channels], "windows": windows}
    return "ngff-zarr", [level.data for level in image.images], names | {"scales": scales}


def tensorstore(path):
    import tensorstore

    driver = "zarr3" if (Path(path) / "0" / "zarr.json").exists() else "zarr"
    stores = ({"driver": "file", "path": f"{path}/{level}/"} for level in levels(path))
    opened = (tensorstore.open({"driver": driver, "kvstore": store}).result() for store in stores)
    return "tensorstore", [array.read().result() for array in opened], {}


def xarray(path):
    import xarray

    there = levels(path)
    others = {level: [other for other in there if other != level] for level in there}
    arrays = [xarray.open_zarr(path, consolidated=False, drop_variables=others[level])[level] for level in there]
    return "xarray", [array.values for array in arrays], {"axes": list(arrays[0].dims)}


def bioio(path):
    from bioio_ome_zarr import Reader

    reader, arrays, scales = Reader(path), [], []
    for level in reader.resolution_levels:
        reader.set_resolution_level(level)
        arrays.append(reader.get_image_data("CYX"))
        scales.append([1, reader.physical_pixel_sizes.Y, reader.physical_pixel_sizes.X])
    return "bioio-ome-zarr", arrays, {"names": list(reader.channel_names), "scales": scales}


def napari(path):
    from napari_ome_zarr import napari_get_reader

    layers = napari_get_reader(path)(path)  # one for each channel
    assert {kind for _, _, kind in layers} == {"image"}
    told = {
        "names": [words["name"].rpartition(": ")[2] for _, words, _ in layers],  # behind the name of the image
        "windows": [words["contrast_limits"] for _, words, _ in layers],
        "colours": [bytes(np.uint8(words["colormap"].colors[-1, :3] * 255)).hex().upper() for _, words, _ in layers],
    }
    return "napari-ome-zarr", [np.stack(level) for level in zip(*(data for data, _, _ in layers), strict=True)], told


def rasterio(path):
    import rasterio

    arrays = []
    for level in levels(path):
        with rasterio.open(f'ZARR:"{path}":/{level}') as image:
            arrays.append(image.read())
    return "rasterio", arrays, {"gdal": rasterio.__gdal_version__}


def levels(path):
    """Return the names of the arrays in a store, the full size first."""
    return sorted(folder.name for folder in Path(path).iterdir() if folder.name.isdigit())


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
    distribution, arrays, told = READERS[name](path)
    arrays = [np.ascontiguousarray(pixels, "<u2") for pixels in arrays]
    digests = [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in arrays]
    return {"version": version(distribution), "shapes": [a.shape for a in arrays], "digests": digests, **told}


if __name__ == "__main__":
    for store in sys.argv[2:]:
        try:
            answer = judged(sys.argv[1], store)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer, default=lambda value: np.asarray(value).tolist()) + "\n")
