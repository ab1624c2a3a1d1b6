"""What a reader of OME-Zarr makes of a result; run in the environment of the judges, where tileconv is not.

``python readers.py NAME STORE...`` prints a line of JSON for each store: of every level a digest of the pixels and
their shape, what the reader says of channels, sizes and places, and its version; or the error that it raised.
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
    placed = [(of[0]["scale"], *(at["translation"] for at in of[1:])) for of in told["coordinateTransformations"]]
    places = {
        "scales": [scale for scale, *_ in placed],
        "translations": [at[0] if at else [0] * len(scale) for scale, *at in placed],
        "axes": [axis["name"] for axis in told["axes"]],
    }
    names = {"names": told.get("channel_names"), "windows": told.get("contrast_limits")}
    return "ome-zarr", node.data, names | places


def ngff_zarr(path):
    import ngff_zarr

    image = ngff_zarr.from_ngff_zarr(path)
    channels = image.metadata.omero.channels
    axes = image.images[0].dims
    told = {
        "names": [channel.label for channel in channels],
        "colours": [channel.color for channel in channels],
        "windows": [[channel.window.start, channel.window.end] for channel in channels],
        "scales": [[level.scale.get(axis, 1) for axis in axes] for level in image.images],
        "translations": [[level.translation.get(axis, 0) for axis in axes] for level in image.images],
        "axes": list(axes),
    }
    return "ngff-zarr", [level.data for level in image.images], told


def tensorstore(path):
    import tensorstore

    driver = "zarr3" if (Path(path) / "0" / "zarr.json").exists() else "zarr"
    stores = ({"driver": "file", "path": f"{path}/{level}/"} for level in levels(path))
    opened = (tensorstore.open({"driver": driver, "kvstore": store}).result() for store in stores)
    return "tensorstore", [array.read().result() for array in opened], {}


def xarray(path):
    arrays = [_opened(path, level, mask_and_scale=False) for level in levels(path)]
    return "xarray", [array.values for array in arrays], {"axes": list(arrays[0].dims)}


def rioxarray(path):
    import rioxarray

    pixels = [_opened(path, level, mask_and_scale=False).values for level in levels(path)]
    arrays = [_opened(path, level, decode_coords="all") for level in levels(path)]
    told = {
        "crs": arrays[0].rio.crs and arrays[0].rio.crs.to_string(),
        "transforms": [list(array.rio.transform())[:6] for array in arrays],
        "nodata": arrays[0].rio.encoded_nodata,
    }
    return rioxarray.__name__, pixels, told


def _opened(path, level, **words):
    """Return one level, as docs/open-the-result.md says: the others, of other sizes, are left out."""
    import xarray

    others = [other for other in levels(path) if other != level]
    return xarray.open_zarr(path, consolidated=False, drop_variables=others, **words)[level]


def bioio(path):
    from bioio_ome_zarr import Reader

    reader, arrays, scales = Reader(path), [], []
    order = reader.dims.order
    for level in reader.resolution_levels:
        reader.set_resolution_level(level)
        arrays.append(reader.get_image_data(order))
        sizes = reader.physical_pixel_sizes
        scales.append([getattr(sizes, axis, None) or 1 for axis in order])
    told = {"names": list(reader.channel_names), "scales": scales, "axes": list(order.lower())}
    return "bioio-ome-zarr", arrays, told


def napari(path):
    from napari_ome_zarr import napari_get_reader

    layers = napari_get_reader(path)(path)  # one for each channel
    assert {kind for _, _, kind in layers} == {"image"}
    words = [words for _, words, _ in layers]
    scale = np.asarray(words[0]["scale"], float)
    told = {
        "names": [of["name"].rpartition(": ")[2] for of in words],  # behind the name of the image
        "windows": [of["contrast_limits"] for of in words],
        "colours": [bytes(np.uint8(of["colormap"].colors[-1, :3] * 255)).hex().upper() for of in words],
        "scales": [[1, *scale]],  # napari knows those of its levels by their sizes
        "translations": [[0, *np.asarray(words[0].get("translate", [0] * len(scale)), float)]],
    }
    return "napari-ome-zarr", [np.stack(level) for level in zip(*(data for data, _, _ in layers), strict=True)], told


def rasterio(path):
    import rasterio

    arrays, told = [], {"gdal": rasterio.__gdal_version__}
    for level in levels(path):
        with rasterio.open(f'ZARR:"{path}":/{level}') as image:
            arrays.append(image.read())
            told |= {"crs": image.crs and image.crs.to_string(), "nodata": image.nodata}
    return "rasterio", arrays, told


def levels(path):
    """Return the names of the arrays in a store, the full size first."""
    return sorted(folder.name for folder in Path(path).iterdir() if folder.name.isdigit())


READERS = {
    "ome-zarr-py": ome_zarr_py,
    "ngff-zarr": ngff_zarr,
    "tensorstore": tensorstore,
    "xarray": xarray,
    "rioxarray": rioxarray,
    "bioio-ome-zarr": bioio,
    "napari-ome-zarr": napari,
    "rasterio 1.4": rasterio,
    "rasterio 1.5": rasterio,
}


def judged(name, path):
    """Return what the reader *name* makes of the store *path*."""
    distribution, arrays, told = READERS[name](path)
    arrays = [np.ascontiguousarray(pixels) for pixels in arrays]
    arrays = [pixels.astype(pixels.dtype.newbyteorder("<")) for pixels in arrays]
    digests = [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in arrays]
    return {"version": version(distribution), "shapes": [a.shape for a in arrays], "digests": digests, **told}


if __name__ == "__main__":
    for store in sys.argv[2:]:
        try:
            answer = judged(sys.argv[1], store)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer, default=lambda value: np.asarray(value).tolist()) + "\n")
