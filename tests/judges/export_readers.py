"""What each program says of exported files; run by the environment that tests/judges/export.py makes."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np


def with_tifffile(told, pixels):
    import tifffile

    with tifffile.TiffFile(told["file"]) as file:
        series = file.series[0]
        assert len(series.levels) == told["levels"], f"{len(series.levels)} levels"
        near(series.asarray(), canonical(pixels, told), told)
        if told["ome"]:
            check_xml(file.ome_metadata)


def check_xml(text):
    """Validate OME-XML by its schema, and read it."""
    import ome_types
    import xmlschema

    schema = next((Path(ome_types.__file__).parent).rglob("ome*2016-06*.xsd"))
    xmlschema.validate(text, schema)
    ome_types.from_xml(text)


def with_libvips(told, pixels):
    import pyvips

    image = pyvips.Image.new_from_file(told["file"])
    if told["ome"] and image.get_n_pages() > 1:
        plane = image.numpy()
        expected = pixels.reshape(-1, *pixels.shape[-2:])[0]
    else:
        plane = image.numpy()
        expected = canonical(pixels, told)
    near(np.squeeze(plane), expected, told)
    words = {"subifd": 0} if told["ome"] else {"page": 1}
    level = pyvips.Image.new_from_file(told["file"], **words)
    assert (level.width, level.height) == tuple(-(-n // 2) for n in pixels.shape[:-3:-1]), "level"


def with_bioio(told, pixels):
    if not told["ome"]:
        return "left out: no OME-TIFF"
    import bioio_ome_tiff

    image = bioio_ome_tiff.Reader(told["file"])
    order = image.dims.order
    data = image.get_image_data("TCZYX" + "S" * ("S" in order)) if "S" in order else image.get_image_data("TCZYX")
    if "S" in order:
        near(np.squeeze(data), canonical(pixels, told), told)
    else:
        near(data.reshape(pixels.shape), pixels, told)
        assert image.channel_names == told["names"], image.channel_names
    size = image.physical_pixel_sizes
    assert tuple(told["scale"][-2:]) == (size.Y, size.X), size
    return None


def with_rasterio(told, pixels):
    if told["ome"]:
        return "left out: no raster"
    import rasterio
    from rasterio.crs import CRS

    with rasterio.open(told["file"]) as file:
        near(file.read().squeeze(), pixels, told)
        assert len(file.overviews(1)) == told["levels"] - 1, file.overviews(1)
        assert file.nodata == told["nodata"], file.nodata
        if place := told["place"]:
            text = place["crs"]
            assert file.crs == CRS.from_string(text), file.crs
            assert tuple(file.transform)[:6] == tuple(place["transform"]), file.transform
    return None


def with_cogeo(told, _pixels):
    if told["ome"]:
        return "left out: no raster"
    from rio_cogeo.cogeo import cog_validate

    valid, errors, warnings = cog_validate(told["file"], strict=True, quiet=True)
    assert valid, f"{errors} {warnings}"
    return None


def canonical(pixels, told):
    """Return pixels as TIFF readers order them: colours last."""
    colours = told["names"] == ["red", "green", "blue"]
    return np.moveaxis(pixels, 0, -1) if colours or (pixels.ndim == 3 and not told["ome"]) else pixels


def near(found, expected, told):
    assert found.shape == expected.shape, f"{found.shape}, not {expected.shape}"
    if told["exact"]:
        assert (found == expected).all(), "other pixels"


JUDGES = {
    "tifffile": with_tifffile,
    "pyvips": with_libvips,
    "bioio-ome-tiff": with_bioio,
    "rasterio": with_rasterio,
    "rio-cogeo": with_cogeo,
}


def main():
    wrong = 0
    for told in json.loads(Path(sys.argv[1]).read_text()):
        pixels = np.load(told["pixels"])
        for name, judge in JUDGES.items():
            try:
                left_out = "-zstd" in told["file"] and name == "pyvips"
                said = "left out: its libtiff has no zstd" if left_out else judge(told, pixels) or "right"
            except Exception as error:
                said = f"**WRONG** {type(error).__name__}: {str(error)[:300]}"
                wrong += 1
            sys.stdout.write(f"| {name} | {version(name)} | {Path(told['file']).name} | {said} |\n")
            sys.stdout.flush()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
