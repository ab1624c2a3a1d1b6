"""Rows of docs/inputs.md for PNG and JPEG files."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from tests.sources.declared import GRAY, Row

COLOURS = np.stack([np.arange(256), 255 - np.arange(256), np.arange(256) // 2], axis=1).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)


def png(pixels=GRAY, *, palette=None, chunks=(), behind=(), **words):
    """Write a PNG; *chunks* lie before its pixels, those *behind* after them."""

    def write(folder):
        picture, stored = Image.fromarray(pixels), BytesIO()
        if palette is not None:
            picture.putpalette(palette.tobytes())
        picture.save(stored, "PNG", **words)
        data = stored.getvalue()
        before, after = (b"".join(map(chunk, *zip(*some, strict=True))) if some else b"" for some in (chunks, behind))
        (folder / "a.png").write_bytes(data[:33] + before + data[33:-12] + after + data[-12:])
        return folder / "a.png"

    return write


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def jpeg(pixels=NOISE, mode=None, **words):
    def write(folder):
        Image.fromarray(pixels, mode).save(folder / "a.jpg", "JPEG", **words)
        return folder / "a.jpg"

    return write


def turned():
    exif = Image.Exif()
    exif[274] = 6
    return exif.tobytes()


def mpo(folder):
    first, second = Image.fromarray(NOISE), Image.fromarray(255 - NOISE)
    exif = Image.Exif()
    exif[274] = 6
    first.save(folder / "a.jpg", "MPO", save_all=True, append_images=[second], exif=exif)
    return folder / "a.jpg"


def gives(expected):
    def look(seen):
        np.testing.assert_array_equal(seen.result()[...], expected)

    return look


def planes(pixels):
    return np.moveaxis(pixels, -1, 0)


def near(seen):
    with Image.open(seen.path) as picture:
        np.testing.assert_array_equal(seen.result()[...], planes(np.asarray(picture)))


def gdal_beside(folder):
    (folder / "a.png.aux.xml").write_bytes(b"<PAMDataset/>")
    return png()(folder)


GRAYS = np.repeat(np.arange(255, -1, -1, dtype=np.uint8)[:, None], 3, axis=1)
CLEAR = bytes(range(256))
FRAMES = (b"acTL", struct.pack(">II", 3, 0))

PICTURES = [
    Row("PNG", "16 bits", "used", png(GRAY.astype(np.uint16) * 300), look=gives(GRAY.astype(np.uint16) * 300)),
    Row("PNG", "a palette of colours", "used: pixels become red, green and blue", png(palette=COLOURS),
        "the palette is applied: pixels are RGB", gives(planes(COLOURS[GRAY]))),
    Row("PNG", "a palette of grays", "used: a gray image", png(palette=GRAYS),
        "the palette is applied: pixels are gray", gives(255 - GRAY)),
    Row("PNG", "a palette with transparency", "used: alpha beside the colours",
        png(palette=GRAYS, transparency=CLEAR), "the last sample is alpha", gives(np.stack([255 - GRAY, GRAY]))),
    Row("PNG", "alpha", "used: colours are weighted by it", png(np.stack([GRAY] * 4, axis=-1)),
        "the last sample is alpha"),
    Row("PNG", "one transparent value (tRNS)", "told: taken as any other", png(transparency=3),
        "one value is declared transparent"),
    Row("PNG", "significant bits (sBIT)", "told: values as stored", png(chunks=[(b"sBIT", b"\5")]),
        "5 of the 8 bits of a sample are significant"),
    Row("PNG", "ICC profile, colour space, gamma", "told: not applied, not carried",
        png(chunks=[(b"gAMA", struct.pack(">I", 100000))]), "not applied and not carried: a gamma"),
    Row("PNG", "orientation (eXIf), before or behind the pixels", "told: rows and columns as stored",
        png(behind=[(b"eXIf", turned()[6:])]), "the orientation tag 6 is ignored"),
    Row("PNG", "resolution (pHYs)", "told: that of a print, no pixel size", png(dpi=(254, 127)),
        "10000 x 5000 pixels per meter is that of a print"),
    Row("PNG", "frames (APNG)", "told: the first is taken", png(chunks=[FRAMES]),
        "pictures in the file is read"),
    Row("PNG, JPEG", "statistics and more beside the file (`.aux.xml`)", "told: not read", gdal_beside,
        "a.png.aux.xml beside the file is not read"),
    Row("JPEG", "YCbCr", "used: red, green and blue", jpeg(), look=near),
    Row("JPEG", "CMYK", "refused", jpeg(np.stack([GRAY] * 4, axis=-1), "CMYK"), "found mode CMYK"),
    Row("JPEG", "orientation (EXIF)", "told: rows and columns as stored", jpeg(exif=turned()),
        "the orientation tag 6 is ignored", near),
    Row("JPEG", "ICC profile", "told: not applied, not carried", jpeg(icc_profile=b"profile"),
        "not applied and not carried: an ICC profile", near),
    Row("JPEG", "resolution", "told: that of a print, no pixel size", jpeg(dpi=(300, 300)),
        "300 x 300 pixels per inch is that of a print", near),
    Row("JPEG", "further pictures (MPO)", "told: the first is taken", mpo,
        "the first of 2 pictures in the file is read", near),
]  # fmt: skip
