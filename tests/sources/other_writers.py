"""Image files as other programs write them; run by an interpreter that has these programs, see other_programs.py.

``python other_writers.py FOLDER`` writes what its libraries can, and FOLDER/manifest-NAME.json with one entry per file:
who wrote it, what it is, the pixels that should come out (an ``.npy`` file, colours before rows), and what is said.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RNG = np.random.default_rng(7)
GRAY = (np.add.outer(np.arange(150) * 3, np.arange(200) * 2) % 251).astype(np.uint8)
RGB = np.stack([GRAY, GRAY[::-1], 255 - GRAY], axis=-1)
SMOOTH = np.stack([np.add.outer(np.arange(150), np.arange(200)) // step for step in (2, 3, 4)], axis=-1).astype(
    np.uint8
)
NOISE = RNG.integers(0, 65535, (150, 200), np.uint16)
WRITERS: dict[str, tuple[str, str, Callable[..., Any]]] = {}


def writes(library: str, file: str, what: str):
    """Register a writer of *file*: it gets the library and the path, and returns pixels and what should be said."""

    def register(function):
        WRITERS[file] = (library, what, function)
        return function

    return register


def first(pixels):
    return np.moveaxis(np.asarray(pixels), -1, 0)


def gtiff(rasterio, path, bands, **words):
    from rasterio.transform import from_origin

    bands = bands if bands.ndim == 3 else bands[None]
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    place = {"crs": "EPSG:32633", "transform": from_origin(5e5, 6e6, 10, 10)}
    return rasterio.open(path, "w", **{"driver": "GTiff", **shape, **place, **words})


@writes("rasterio", "gdal-nodata.tif", "GeoTIFF, deflate with predictor, tiles, nodata 0")
def _(rasterio, path):
    pixels = NOISE * (NOISE > 2000)
    with gtiff(rasterio, path, pixels, compress="deflate", predictor=2, tiled=True, nodata=0) as file:
        file.write(pixels, 1)
    return pixels, "nodata 0"


@writes("rasterio", "gdal-cog.tif", "cloud-optimised GeoTIFF of floats, zstd, overviews, nodata -9999")
def _(rasterio, path):
    pixels = np.tile(NOISE, (5, 5)).astype(np.float32) / 7
    pixels[9:20, 30:60] = -9999
    with gtiff(rasterio, path, pixels, driver="COG", compress="zstd", nodata=-9999) as file:
        file.write(pixels, 1)
    return pixels, "nodata -9999"


@writes("rasterio", "gdal-jpeg.tif", "GeoTIFF of JPEG tiles in YCbCr")
def _(rasterio, path):
    with gtiff(rasterio, path, first(SMOOTH), compress="jpeg", photometric="ycbcr", tiled=True) as file:
        file.write(first(SMOOTH))
    return rasterio.open(path).read(), ""


@writes("rasterio", "gdal-mask.tif", "GeoTIFF with an internal mask")
def _(rasterio, path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), gtiff(rasterio, path, GRAY) as file:
        file.write(GRAY, 1)
        file.write_mask(GRAY > 50)
    return GRAY, "mask gdal-mask.tif"


@writes("rasterio", "gdal-mask-beside.tif", "GeoTIFF with a mask beside it")
def _(rasterio, path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), gtiff(rasterio, path, GRAY) as file:
        file.write(GRAY, 1)
        file.write_mask(GRAY > 50)
    return GRAY, "mask gdal-mask-beside.tif.msk"


@writes("rasterio", "gdal-palette.tif", "GeoTIFF of classes with a colour table")
def _(rasterio, path):
    with gtiff(rasterio, path, GRAY // 64) as file:
        table = {0: (255, 0, 0, 255), 1: (0, 128, 0, 255), 2: (0, 0, 64, 255), 3: (9, 8, 7, 255)}
        file.write_colormap(1, table)
        file.write(GRAY // 64, 1)
    return first(np.array([table[i][:3] for i in range(4)], np.uint8)[GRAY // 64]), "the palette is applied"


@writes("rasterio", "gdal-late-palette.tif", "GeoTIFF of grays whose colour table came after the pixels")
def _(rasterio, path):
    with gtiff(rasterio, path, GRAY // 64) as file:
        file.write(GRAY // 64, 1)
        file.write_colormap(1, {0: (255, 0, 0, 255), 1: (0, 128, 0, 255)})
    return GRAY // 64, "does not ask for is not applied"


@writes("rasterio", "gdal-scaled.tif", "GeoTIFF with scale and offset")
def _(rasterio, path):
    with gtiff(rasterio, path, NOISE) as file:
        file.write(NOISE, 1)
        file.scales, file.offsets = (0.001,), (5.0,)
    return NOISE, "scale 0.001 and offset 5"


@writes("rasterio", "gdal-bands.tif", "GeoTIFF of four named bands, one after another, big-endian")
def _(rasterio, path):
    bands = np.stack([NOISE, NOISE[::-1], NOISE[:, ::-1], NOISE // 2])
    with gtiff(rasterio, path, bands, interleave="band", endianness="big", photometric="minisblack") as file:
        file.write(bands)
        file.descriptions = ("red", "green", "blue", "nir")
    return bands, "names red, green, blue, nir"


@writes("rasterio", "gdal-alpha.tif", "GeoTIFF of three colours and alpha, LZW")
def _(rasterio, path):
    bands = np.concatenate([first(RGB), (GRAY > 50)[None].astype(np.uint8) * 255])
    with gtiff(rasterio, path, bands, compress="lzw", photometric="rgb", alpha="yes") as file:
        file.write(bands)
    return bands, "the last sample is alpha"


@writes("rasterio", "gdal-sparse.tif", "GeoTIFF of which most tiles are not stored")
def _(rasterio, path):
    from rasterio.windows import Window

    with gtiff(rasterio, path, np.zeros((1024, 1024), np.uint8), tiled=True, sparse_ok=True, nodata=7) as file:
        file.write(GRAY[:64, :64], 1, window=Window(256, 256, 64, 64))
    return rasterio.open(path).read(1), "segments are not stored"


def converted(rasterio, path, driver):
    """Write NOISE as a GeoTIFF, and have GDAL make *path* of it."""
    with gtiff(rasterio, path.with_suffix(".tif"), NOISE) as file:
        file.write(NOISE, 1)
    import rasterio.shutil

    rasterio.shutil.copy(path.with_suffix(".tif"), path, driver=driver)
    path.with_suffix(".tif").unlink()


@writes("rasterio", "gdal.png", "PNG of 16 bits, with its .aux.xml")
def _(rasterio, path):
    converted(rasterio, path, "PNG")
    return NOISE, ""


@writes("rasterio", "gdal.zarr", "Zarr by GDAL, with rows of coordinates")
def _(rasterio, path):
    converted(rasterio, path, "Zarr")
    return NOISE, "crs EPSG:32633"


@writes("pyvips", "vips-pyramid.tif", "tiled pyramid, JPEG")
def _(pyvips, path):
    image = pyvips.Image.new_from_array(np.tile(RGB, (4, 4, 1)))
    image.tiffsave(str(path), tile=True, pyramid=True, compression="jpeg", Q=90)
    return first(pyvips.Image.new_from_file(str(path)).numpy()), ""


@writes("pyvips", "vips-strips.tif", "strips of 16 bits, deflate, resolution in cm")
def _(pyvips, path):
    pyvips.Image.new_from_array(NOISE).tiffsave(
        str(path), compression="deflate", predictor="horizontal", resunit="cm", xres=20, yres=20
    )
    return NOISE, "that of a print"


@writes("pyvips", "vips-bilevel.tif", "one bit, CCITT group 4, 0 is white")
def _(pyvips, path):
    image = pyvips.Image.new_from_array((GRAY > 99).astype(np.uint8) * 255)
    image.tiffsave(str(path), bitdepth=1, compression="ccittfax4", miniswhite=True)
    return (GRAY <= 99).astype(np.uint8), "0 is white"


@writes("pyvips", "vips-lab.tif", "CIELab of 8 bits")
def _(pyvips, path):
    image = pyvips.Image.new_from_array(RGB).copy(interpretation="srgb")
    image.colourspace("labq").tiffsave(str(path))
    return None, "CIELab"


@writes("pyvips", "vips-palette.png", "PNG with a palette")
def _(pyvips, path):
    few = (RGB // 128 * 127).astype(np.uint8)
    pyvips.Image.new_from_array(few).copy(interpretation="srgb").pngsave(str(path), palette=True, dither=0, Q=100)
    return first(pyvips.Image.new_from_file(str(path)).numpy()[..., :3]), "the palette is applied"


@writes("PIL", "pillow-palette.tif", "TIFF with a palette, PackBits")
def _(PIL, path):
    from PIL import Image

    picture = Image.fromarray(RGB).quantize(64)
    picture.save(path, compression="packbits")
    return first(np.asarray(picture.convert("RGB"))), "the palette is applied"


@writes("PIL", "pillow-lzw.tif", "RGB, LZW, 300 pixels per inch, turned by EXIF")
def _(PIL, path):
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 8
    Image.fromarray(RGB).save(path, compression="tiff_lzw", dpi=(300, 300), exif=exif)
    return first(RGB), "the orientation tag 8"


@writes("PIL", "pillow-cmyk.tif", "CMYK, JPEG")
def _(PIL, path):
    from PIL import Image

    Image.fromarray(RGB).convert("CMYK").save(path, compression="tiff_adobe_deflate")
    return first(np.asarray(Image.fromarray(RGB).convert("CMYK"))), "CMYK"


@writes("PIL", "pillow-progressive.jpg", "progressive JPEG, turned by EXIF")
def _(PIL, path):
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(RGB).save(path, progressive=True, exif=exif)
    return first(np.asarray(Image.open(path))), "the orientation tag 6"


@writes("PIL", "pillow-gray-palette.png", "PNG with a palette of grays")
def _(PIL, path):
    from PIL import Image

    picture = Image.fromarray(GRAY).convert("P")
    picture.save(path)
    return GRAY, "pixels are gray"


@writes("cv2", "opencv.tif", "RGB of 16 bits, LZW")
def _(cv2, path):
    pixels = np.stack([NOISE, NOISE // 2, NOISE // 3], axis=-1)
    cv2.imwrite(str(path), pixels[..., ::-1])
    return first(pixels), ""


@writes("cv2", "opencv-float.tif", "floats")
def _(cv2, path):
    cv2.imwrite(str(path), NOISE.astype(np.float32) / 3)
    return NOISE.astype(np.float32) / 3, ""


@writes("cv2", "opencv.png", "PNG with alpha")
def _(cv2, path):
    pixels = np.concatenate([RGB, GRAY[..., None]], axis=-1)
    cv2.imwrite(str(path), pixels[..., [2, 1, 0, 3]])
    return first(pixels), "the last sample is alpha"


@writes("tifffile", "imagej.tif", "ImageJ hyperstack with look-up tables and labels")
def _(tifffile, path):
    pixels = RNG.integers(0, 255, (3, 2, 40, 50), np.uint8)
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.stack([ramp, ramp * 0, ramp * 0]), np.stack([ramp * 0, ramp, ramp])]
    words = {"axes": "ZCYX", "unit": "um", "spacing": 2.0, "LUTs": tables, "Labels": ["DAPI", "GFP"] * 3}
    tifffile.imwrite(path, pixels, imagej=True, resolution=(4, 4), metadata=words)
    return pixels.swapaxes(0, 1), "names DAPI, GFP; colours FF0000, 00FFFF; 0.25 micrometer"


@writes("tifffile", "pyramid.ome.tif", "OME-TIFF with levels in SubIFDs, names and colours")
def _(tifffile, path):
    pixels = RNG.integers(0, 4095, (2, 256, 256), np.uint16)
    words = {"axes": "CYX", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 325}
    words |= {"PhysicalSizeYUnit": "nm", "SignificantBits": 12}
    words["Channel"] = {"Name": ["DAPI", "Cy5"], "Color": [65535, -16776961]}
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, subifds=1, tile=(64, 64), compression="zlib", metadata=words)
        file.write(pixels[:, ::2, ::2], subfiletype=1, tile=(64, 64), compression="zlib")
    return pixels, "names DAPI, Cy5; colours 0000FF, FF0000; 325 nanometer"


def dataset(xarray, **encoding):
    pixels = (NOISE / 100 - 200).astype(np.float32)
    pixels[3:9, 40:60] = np.nan
    rows = {"latitude": 50 - np.arange(150) * 0.25, "longitude": 5 + np.arange(200) * 0.25}
    data = xarray.Dataset({"t2m": (("latitude", "longitude"), pixels, {"units": "K"})}, coords=rows)
    data["t2m"].encoding = encoding
    return data, pixels


@writes("xarray", "xarray-3.zarr/t2m", "Zarr 3 by xarray, _FillValue -9999 in base64")
def _(xarray, path):
    data, pixels = dataset(xarray, _FillValue=np.float32(-9999))
    data.to_zarr(path.parent, zarr_format=3, consolidated=False)
    return np.where(np.isnan(pixels), -9999, pixels), "nodata -9999"


@writes("xarray", "xarray-2.zarr/t2m", "Zarr 2 by xarray, whole numbers with scale, offset and _FillValue")
def _(xarray, path):
    data, pixels = dataset(xarray, _FillValue=-32768, scale_factor=0.01, add_offset=100.0, dtype="int16")
    data.to_zarr(path.parent, zarr_format=2)
    stored = np.round((pixels.astype(np.float64) - 100) / 0.01)
    return np.where(np.isnan(stored), -32768, stored).astype(np.int16), "scale 0.01 and offset 100; nodata -32768"


@writes("rioxarray", "rioxarray.zarr/band", "Zarr 3 by rioxarray, with a grid mapping")
def _(rioxarray, path):
    import xarray

    rows = {"y": 6e6 - 10 * np.arange(150) - 5, "x": 5e5 + 10 * np.arange(200) + 5}
    data = xarray.DataArray(NOISE, dims=("y", "x"), coords=rows, name="band").rio.write_crs(32633)
    data.rio.write_transform().to_dataset().to_zarr(path.parent, zarr_format=3, consolidated=False)
    return NOISE, "crs PROJCS; transform 10.0, 0.0, 500000.0, 0.0, -10.0, 6000000.0"


@writes("zarr", "zarr-{}.zarr", "a Zarr array with chunks that do not divide it")
def _(zarr, path):
    words = {"dimension_names": ("z", "y", "x")} if zarr.__version__ > "3" else {}
    pixels = np.stack([NOISE, NOISE // 2])
    array = zarr.open_array(str(path), mode="w", shape=pixels.shape, chunks=(1, 64, 96), dtype="u2", **words)
    array[:] = pixels
    return pixels, ""


def main(folder: Path) -> None:
    """Write every file whose library is there, and the manifest."""
    entries = []
    for name, (library, what, function) in WRITERS.items():
        try:
            module = importlib.import_module(library)
        except ImportError:
            continue
        version = getattr(module, "__version__", "?")
        path = folder / name.format(version.partition(".")[0])
        expected, says = function(module, path)
        stored = f"{path.relative_to(folder).as_posix().replace('/', '-')}.npy"
        if expected is not None:
            np.save(folder / stored, expected)
        extra = f" (GDAL {module.__gdal_version__})" if library == "rasterio" else ""
        entry = {"file": path.relative_to(folder).as_posix(), "by": f"{library} {version}{extra}", "what": what}
        entries.append(entry | {"expected": stored if expected is not None else None, "says": says})
    (folder / f"manifest-{Path(sys.prefix).name}.json").write_text(json.dumps(entries))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
