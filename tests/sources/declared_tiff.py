"""Rows of docs/inputs.md for TIFF files."""

from __future__ import annotations

import json
import struct
from functools import partial

import numpy as np
import tifffile

from tests.sources.declared import GRAY, Row, Seen

RGB = np.stack([GRAY, GRAY + 1, 255 - GRAY], axis=-1)
RAMP = np.arange(256, dtype=np.uint16) * 257
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP // 2 // 257 * 257])


def tiff(folder, pixels=GRAY, name="a.tif", tags=(), **words):
    """Write *pixels* without a word of tifffile's own; *tags* are (code, type, count, value)."""
    words = {"photometric": "minisblack" if pixels.ndim == 2 else "rgb", "metadata": None, "software": False} | words
    tifffile.imwrite(folder / name, pixels, extratags=[(*tag, True) for tag in tags], **words)
    return folder / name


def as_stored(expected):
    def look(seen):
        np.testing.assert_array_equal(seen.result()[...], expected)

    return look


def sized(scale, units, **more):
    def look(seen: Seen):
        info = seen.info
        np.testing.assert_allclose(info.scale, scale, rtol=1e-6)
        assert info.units == units
        for name, value in more.items():
            assert getattr(info, name) == value

    return look


def described(text, **words):
    return partial(tiff, description=text, **words)


def text_tag(code, text):
    return (code, 2, 0, text)


def inverted(seen):
    from PIL import Image

    from tileconv.report.picture import write_picture
    from tileconv.sources.open import open_source

    write_picture(open_source(seen.path), png := seen.path.with_name("a.png"))
    shown = np.asarray(Image.open(png)).astype(int)
    assert shown[GRAY.min() == GRAY].min() == 255
    assert shown[GRAY.max() == GRAY].max() == 0
    as_stored(GRAY)(seen)


def expanded(seen):
    expected = (COLOURS.T // 257)[GRAY]
    np.testing.assert_array_equal(seen.result()[...], np.moveaxis(expected, -1, 0))
    box = seen.info.box
    from tileconv.boxes import Box
    from tileconv.sources.open import open_source

    part = Box((1, 3, 5), (3, 9, 24), box.axes)
    np.testing.assert_array_equal(open_source(seen.path).read(part), np.moveaxis(expected, -1, 0)[1:3, 3:9, 5:24])


def palette(table):
    return partial(tiff, photometric="palette", colormap=table)


def gray_table(seen):
    assert seen.info.axes == "yx"
    as_stored(255 - GRAY)(seen)


def ignores_nodata(seen):
    assert "nodata: none" in seen.refusal()
    np.testing.assert_array_equal(seen.result(nodata="none").shape, (3, *GRAY.shape))


def named(*names):
    def look(seen):
        assert seen.info.channels == names
        seen.result()
        assert [channel["label"] for channel in seen.omero()] == [*names]

    return look


def jpeg_colours(seen):
    assert np.abs(np.moveaxis(seen.pixels, 0, -1).astype(int) - 100 * np.array([2, 1, 0])).max() < 4


def masked(*masks):
    def write(folder):
        with tifffile.TiffWriter(folder / "a.tif") as file:
            file.write(GRAY, photometric="minisblack", metadata=None)
            for mask in masks:
                file.write(mask, photometric="mask", subfiletype=4, metadata=None)
        return folder / "a.tif"

    return write


def masked_beside(folder):
    tifffile.imwrite(folder / "a.tif.msk", 255 * (GRAY > 9).astype(np.uint8), metadata=None)
    return tiff(folder)


def mask_used(seen):
    assert "missing by a mask" in seen.refusal()
    out = seen.result(missing={"rule": "propagate"})[...]
    np.testing.assert_array_equal(np.isnan(out), GRAY <= 9)
    takes_all(seen)


def takes_all(seen):
    np.testing.assert_array_equal(seen.result(nodata="none")[...], GRAY)


def beside(suffix):
    def write(folder):
        (folder / f"a.tif{suffix}").write_bytes(b"II*\0")
        return tiff(folder)

    return write


def gdal(*items):
    xml = "".join(f'<Item name="{name}" {more}>{text}</Item>' for name, more, text in items)
    return partial(tiff, tags=[text_tag(42112, f"<GDALMetadata>{xml}</GDALMetadata>")])


SCALED = gdal(("SCALE", 'sample="0" role="scale"', "0.001"), ("OFFSET", 'sample="0" role="offset"', "5"))
BANDS = gdal(
    *(("DESCRIPTION", f'sample="{i}" role="description"', name) for i, name in enumerate(("red", "nir", "b3")))
)


def rescaled(seen):
    words = seen.info.notes[-1].split("{op: rescale, ")[1].split("}")[0]
    stage = {"op": "rescale"} | {k: float(v) for k, _, v in (w.partition(": ") for w in words.split(", "))}
    np.testing.assert_allclose(seen.result(stages=[stage])[...], GRAY * 0.001 + 5, rtol=1e-6)
    as_stored(GRAY)(seen)


def missing(value):
    def look(seen):
        assert seen.info.nodata == value
        out = seen.result(missing={"rule": "propagate"})[...]
        np.testing.assert_array_equal(np.isnan(out), seen.pixels == value)

    return look


def geo(*tags, keys=(1024, 0, 1, 1, 3072, 0, 1, 32633)):
    directory = (1, 1, 0, len(keys) // 4, *keys)
    return partial(tiff, tags=[*tags, (34735, 3, len(directory), directory)])


PLACE = ((33550, 12, 3, (10.0, 20.0, 0.0)), (33922, 12, 6, (0.0, 0.0, 0.0, 500.0, 900.0, 0.0)))
TIED = ((33550, 12, 3, (10.0, 20.0, 0.0)), (33922, 12, 6, (2.0, 3.0, 0.0, 520.0, 840.0, 0.0)))
TURNED = ((34264, 12, 16, (3.0, 1.0, 0.0, 500.0, 2.0, -4.0, 0.0, 900.0, *(0.0,) * 7, 1.0)),)
POINTS = ((33922, 12, 12, tuple(map(float, range(12)))),)


def placed(crs, transform):
    def look(seen):
        assert seen.georeference() == (crs, transform)

    return look


def fei(folder):
    return tiff(folder, tags=[text_tag(34682, "[Scan]\r\nPixelWidth=2e-9\r\nPixelHeight=4e-9\r\n")])


def metaseries(folder):
    words = {"spatial-calibration-x": 0.25, "spatial-calibration-y": 0.5}
    props = "".join(f'<prop id="{name}" type="float" value="{size}"/>' for name, size in words.items())
    state = '<prop id="spatial-calibration-state" type="bool" value="on"/>'
    units = '<prop id="spatial-calibration-units" type="string" value="um"/>'
    xml = f"<MetaData><PlaneInfo>{state}{props}{units}</PlaneInfo></MetaData>"
    return tiff(folder, description=xml, software="MetaSeries")


def micromanager(folder):
    summary = {"PixelSize_um": 0.5, "z-step_um": 2.0, "ChNames": ["DAPI"], "ChColors": [-16776961]}
    stored = json.dumps(summary).encode()
    path = tiff(folder, tags=[text_tag(51123, json.dumps({"PixelSizeUm": 0.5}))], bigtiff=False)
    data = path.read_bytes()  # the summary lies between the header and the first page in files of Micro-Manager
    grown = bytearray(40 + len(stored) - 8)
    struct.pack_into("<II", grown, 32 - 8, 2355492, len(stored))
    grown[40 - 8 :] = stored
    path.write_bytes(moved(data, bytes(grown)))
    return path


def moved(data, between):
    """Return a little-endian TIFF of one page with *between* behind its header, all offsets made larger."""
    data, by = bytearray(data), len(between)
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8}
    for at in range(first + 2, first + 2 + 12 * count, 12):
        code, kind, items, value = struct.unpack_from("<HHII", data, at)
        if code == 273 or sizes[kind] * items > 4:
            struct.pack_into("<I", data, at + 8, value + by)
    struct.pack_into("<I", data, 4, first + by)
    return bytes(data[:8]) + between + bytes(data[8:])


def imagej(pixels=GRAY, **metadata):
    def write(folder):
        words = {"resolution": (4.0, 2.0)} if "unit" in metadata else {}
        axes = {"axes": "CYX"} if pixels.ndim == 3 else {}
        tifffile.imwrite(folder / "a.tif", pixels, imagej=True, metadata=axes | metadata, **words)
        return folder / "a.tif"

    return write


def lut(*brightest):
    return np.stack([np.arange(256) * n // 255 for n in brightest]).astype(np.uint8)


TWO = np.stack([GRAY, GRAY + 1])


def ome(pixels=GRAY, **metadata):
    def write(folder):
        axes = "CYX" if pixels.ndim == 3 else "YX"
        tifffile.imwrite(folder / "a.ome.tif", pixels, metadata={"axes": axes, **metadata}, photometric="minisblack")
        return folder / "a.ome.tif"

    return write


def acquired(seen):
    seen.result()
    assert "of cells" in seen.path.with_name("out.ome.zarr").joinpath("OME", "METADATA.ome.xml").read_text("utf-8")


def microns(unit):
    return ome(PhysicalSizeX=0.5, PhysicalSizeXUnit=unit, PhysicalSizeY=2, PhysicalSizeYUnit=unit)


NONE = sized((1.0, 1.0), ("", ""))
MICRONS = ("micrometer",) * 2
INK = np.stack([GRAY] * 4, axis=-1)


def twelve(folder):
    return tiff(folder, GRAY.astype(np.uint16) * 16, bitspersample=12, rowsperstrip=20)


TIFF = [
    Row("TIFF", "pixels of 1 to 64 bits", "used: as stored", twelve, look=as_stored(GRAY.astype(np.uint16) * 16)),
    Row("TIFF", "0 is white (photometric 0)", "told: values as stored; `tileconv picture` shows 0 as white",
        partial(tiff, photometric="miniswhite"), "0 is white", inverted),
    Row("TIFF", "a palette of colours", "used: pixels become red, green and blue",
        palette(COLOURS), "the palette is applied: pixels are RGB", expanded),
    Row("TIFF", "a palette of grays", "used: a gray image",
        palette(np.stack([RAMP[::-1]] * 3)), "the palette is applied: pixels are gray", gray_table),
    Row("TIFF", "a palette that is the gray ramp", "used: the image as it is", palette(np.stack([RAMP] * 3))),
    Row("TIFF", "a palette whose size is not that of the indices", "refused",
        partial(tiff, tags=[(320, 3, 6, (0, 1, 2, 3, 4, 5))], photometric="palette"), "a palette that is not there"),
    Row("TIFF", "a palette beside a photometric interpretation that is none", "told: values as stored",
        partial(tiff, tags=[(320, 3, 768, tuple(COLOURS.ravel()))]), "does not ask for is not applied"),
    Row("TIFF", "a palette and a nodata value", "refused, unless `input.nodata` is `none`",
        partial(tiff, photometric="palette", colormap=COLOURS, tags=[text_tag(42113, "3")]),
        "the nodata value 3 of a palette", ignores_nodata),
    Row("TIFF", "YCbCr in JPEG", "used: red, green and blue",
        partial(tiff, pixels=np.full((64, 64, 3), (200, 100, 0), np.uint8), compression="jpeg"), look=jpeg_colours),
    Row("TIFF", "YCbCr otherwise", "told: samples as stored, named luma, blue and red difference",
        partial(tiff, pixels=RGB, photometric="ycbcr", tags=[(530, 3, 2, (1, 1))]), "luma and chroma (YCbCr)",
        named("luma", "blue difference", "red difference")),
    Row("TIFF", "CMYK", "told: samples as stored, named cyan, magenta, yellow, black",
        partial(tiff, pixels=INK, photometric="separated"), "amounts of ink (CMYK)",
        named("cyan", "magenta", "yellow", "black")),
    Row("TIFF", "CIELab of whole numbers, whose a\\* and b\\* are signed", "refused",
        partial(tiff, pixels=RGB, photometric="cielab"), "signed numbers kept as unsigned ones"),
    Row("TIFF", "CIELab of floats; ICCLab, ITULab", "told: samples as stored, named L\\*, a\\*, b\\*",
        partial(tiff, pixels=RGB, photometric="icclab"), "L*, a* and b* (ICCLab", named("L*", "a*", "b*")),
    Row("TIFF", "a colour filter array", "refused", partial(tiff, photometric="cfa"), "a colour filter array"),
    Row("TIFF", "logarithms of luminance (LogL, LogLuv)", "refused",
        partial(tiff, pixels=GRAY.astype(np.int16), photometric="logl"), "logarithms of luminance"),
    Row("TIFF", "linear values of a sensor; depths", "told: values as stored",
        partial(tiff, pixels=GRAY, photometric="depth_map"), "the samples are depths"),
    Row("TIFF", "a page that is a mask, given as the image", "refused",
        partial(tiff, pixels=GRAY > 9, photometric="mask"), "a transparency mask"),
    Row("TIFF", "orientation (tag 274)", "told: rows and columns as stored",
        partial(tiff, tags=[(274, 3, 1, 6)]), "the orientation tag 6 is ignored"),
    Row("TIFF", "alpha, associated or not", "used: colours are weighted by it",
        partial(tiff, pixels=INK, photometric="rgb", extrasamples="unassalpha"), "the last sample is alpha"),
    Row("TIFF", "other extra samples", "told: filtered like colours",
        partial(tiff, pixels=INK, photometric="rgb", extrasamples="unspecified"), "extra samples, which are filtered"),
    Row("TIFF", "ICC profile, transfer function, gray response, RPC, black levels", "told: not applied, not carried",
        partial(tiff, iccprofile=b"profile"), "not applied and not carried: an ICC profile"),
    Row("TIFF", "a resolution in inch or centimeter", "told: that of a print, no pixel size",
        partial(tiff, resolution=(100, 50), resolutionunit="centimeter"), "100 x 50 pixels per cm is that of a print",
        NONE),
    Row("Aperio", "microns per pixel (MPP)", "used: pixel size",
        described("Aperio Image Library v1.0|AppMag = 20|MPP = 0.499"), look=sized((0.499, 0.499), MICRONS)),
    Row("Hamamatsu NDPI", "resolution", "used: pixel size",
        partial(tiff, tags=[(65420, 4, 1, 1), text_tag(271, "Hamamatsu")], resolution=(20000, 10000),
                resolutionunit="centimeter"), look=sized((1e-4, 5e-5), ("centimeter",) * 2)),
    Row("PerkinElmer QPTIFF", "resolution", "used: pixel size",
        partial(tiff, software="PerkinElmer-QPI", resolution=(20000, 20000), resolutionunit="centimeter"),
        look=sized((5e-5, 5e-5), ("centimeter",) * 2)),
    Row("FEI", "pixel width and height", "used: pixel size", fei, look=sized((4e-9, 2e-9), ("meter",) * 2)),
    Row("Zeiss SEM", "image pixel size", "used: pixel size",
        partial(tiff, tags=[text_tag(34118, "AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 5 nm\r\n")]),
        look=sized((5.0, 5.0), ("nanometer",) * 2)),
    Row("MetaSeries", "spatial calibration", "used: pixel size", metaseries, look=sized((0.5, 0.25), MICRONS)),
    Row("Micro-Manager", "pixel size, names and colours of channels", "used", micromanager,
        look=sized((0.5, 0.5), MICRONS, channels=("DAPI",), colours=("0000FF",))),
    Row("LSM, STK, SIS, FluoView, SCN, Philips, Ventana and others", "pixel size in words of their own",
        "told: not read", partial(tiff, tags=[text_tag(33471, "[Magnification]\r\n")]), "Olympus SIS file is stated",
        NONE),
    Row("ImageJ", "pixel size, spacing, interval, and their unit", "used: pixel size", imagej(unit="micron"),
        look=sized((0.5, 0.25), MICRONS)),
    Row("ImageJ", "the unit `pixel`", "used: no size is stated", imagej(unit="pixel"), look=NONE),
    Row("ImageJ", "labels of the channels", "used: names of channels",
        imagej(TWO, Labels=["DAPI", "GFP"]), look=named("DAPI", "GFP")),
    Row("ImageJ", "look-up tables from black to one colour", "used: colours of channels; values as stored",
        imagej(TWO, LUTs=[lut(0, 0, 255), lut(255, 128, 0)]),
        look=sized((1.0,) * 3, ("",) * 3, colours=("0000FF", "FF8000"))),
    Row("ImageJ", "other look-up tables", "told: not carried; values as stored",
        imagej(TWO, LUTs=[lut(0, 0, 255), lut(255, 255, 0)[:, ::-1]]), "a look-up table that is no ramp"),
    Row("OME-TIFF", "physical sizes", "used: pixel size", microns("nm"), look=sized((2, 0.5), ("nanometer",) * 2)),
    Row("OME-TIFF", "units that OME-Zarr lacks: `thou`, `li`, `pt`, `dam`, `ua`, `ly`", "used: translated",
        microns("thou"), look=sized((0.002, 0.0005), ("inch",) * 2)),
    Row("OME-TIFF", "sizes in `pixel`, `reference frame`", "told: left out", microns("pixel"),
        "a pixel size of 0.5 'pixel' is left out", NONE),
    Row("OME-TIFF", "names of channels", "used", ome(TWO, Channel={"Name": ["DAPI", "GFP"]}),
        look=named("DAPI", "GFP")),
    Row("OME-TIFF", "colours of channels", "used", ome(TWO, Channel={"Color": [-16776961, 65535]}),
        look=sized((1.0,) * 3, ("",) * 3, colours=("FF0000", "0000FF"))),
    Row("OME-TIFF", "instrument, settings, date, people; times and places of planes",
        "used: `OME/METADATA.ome.xml` of the result", ome(GRAY, Description="of cells"), look=acquired),
    Row("OME-TIFF", "significant bits", "told: values as stored",
        ome(GRAY.astype(np.uint16), SignificantBits=12), "12 of the 16 bits of a pixel are significant"),
    Row("GeoTIFF", "a nodata value", "used: missing pixels",
        partial(tiff, tags=[text_tag(42113, "5")]), look=missing(5)),
    Row("GeoTIFF", "a nodata value that no pixel can have", "told: ignored",
        partial(tiff, tags=[text_tag(42113, "-9999")]), "the nodata tag '-9999' is no value of uint8"),
    Row("GeoTIFF", "an internal mask", "used: missing pixels, unless `input.nodata` or `input.mask` is given",
        masked(GRAY > 9), look=mask_used),
    Row("GeoTIFF", "several internal masks, or of another size",
        "refused, unless `input.nodata` or `input.mask` is given",
        masked(GRAY > 9, GRAY > 5), "an internal mask", takes_all),
    Row("GeoTIFF", "a mask beside the file (`.msk`)",
        "used: missing pixels, unless `input.nodata` or `input.mask` is given", masked_beside, look=mask_used),
    Row("GeoTIFF", "statistics and more beside the file (`.aux.xml`)", "told: not read", beside(".aux.xml"),
        "a.tif.aux.xml beside the file is not read"),
    Row("GeoTIFF", "scale and offset of bands", "told, with the `rescale` stage that applies them", SCALED,
        "scale 0.001 and offset 5 are not applied", rescaled),
    Row("GeoTIFF", "names of bands", "used: names of channels", partial(BANDS, pixels=RGB),
        look=named("red", "nir", "b3")),
    Row("GeoTIFF", "other GDAL metadata", "told: not carried", gdal(("CLOUDS", "", "3")),
        "GDAL metadata that is not carried: CLOUDS"),
    Row("GeoTIFF", "reference system with an EPSG code; pixel size and tie point", "used: attributes of the result",
        geo(*PLACE), look=placed("EPSG:32633", [10, 0, 500, 0, -20, 900])),
    Row("GeoTIFF", "a tie point elsewhere", "used", geo(*TIED), look=placed("EPSG:32633", [10, 0, 500, 0, -20, 900])),
    Row("GeoTIFF", "a transformation with rotation", "used",
        geo(*TURNED), look=placed("EPSG:32633", [3, 1, 500, 2, -4, 900])),
    Row("GeoTIFF", "coordinates of the middle of a pixel", "used",
        geo(*PLACE, keys=(1025, 0, 1, 2, 2048, 0, 1, 4326)), look=placed("EPSG:4326", [10, 0, 495, 0, -20, 910])),
    Row("GeoTIFF", "a reference system without EPSG code", "told: not carried",
        geo(*PLACE, keys=(2048, 0, 1, 4326, 3072, 0, 1, 32767)), "has no EPSG code",
        placed(None, [10, 0, 500, 0, -20, 900])),
    Row("GeoTIFF", "ground control points", "told: not carried", geo(*POINTS), "is no affine transform",
        placed("EPSG:32633", None)),
]  # fmt: skip
