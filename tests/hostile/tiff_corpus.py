"""Malformed TIFF files: every case is a name, what must become of it, and the bytes, made from scratch.

The image of every case is ``PIXELS`` (or what the case names), which holds no 0: an invented 0 is a wrong pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tiff_writer import (
    BITS,
    BYTE,
    COMPRESSION,
    DOUBLE,
    EXTRA,
    FILL_ORDER,
    FORMAT,
    IFD,
    LENGTH,
    LONG,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    RATIONAL,
    ROWS,
    SAMPLES,
    SBYTE,
    SHORT,
    SLONG,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    SUB_IFDS,
    SUBSAMPLING,
    TILE_COUNTS,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_WIDTH,
    UNDEFINED,
    WIDTH,
    File,
    Tag,
    listed,
    noise,
    page,
    tag,
    text,
)  # fmt: skip

PIXELS = noise((40, 48), "u2")
BYTES = noise((40, 48), "u1")
HUGE = 2**31 - 1
TILES = 9


@dataclass(frozen=True)
class Case:
    """One file; *must* is ``refuse``, ``read`` or ``either``: refused, or *truth* and nothing else."""

    name: str
    content: bytes
    must: str = "refuse"
    truth: np.ndarray | None = None


def made(change, image=PIXELS, *, big=False, order="<", more=(), file=None, **options):
    """Return a file of one page whose tags are replaced, or left out where *change* says None."""
    file = file or File(big=big, order=order)
    tags = page(file, image, **options)
    file.pages = [listed(tags | change) + list(more)]
    return file


def with_entries(change, *, tile=True, **options):
    """Return a file with single entries of the lists of offsets or byte counts replaced."""
    file = File(big=options.get("big", False))
    tags = page(file, PIXELS, **({} if tile else {"tile": None, "rows": 8}))
    for (code, index), value in change.items():
        values = list(tags[code].values)
        values[index] = value
        tags[code] = Tag(tags[code].kind, tuple(values))
    file.pages = [listed(tags)]
    return file


STRIPS = {"tile": None, "rows": 8}
MUST_HAVE = {
    "width": WIDTH, "length": LENGTH, "samples of RGB": SAMPLES, "photometric": PHOTOMETRIC,
    "compression": COMPRESSION, "tile width": TILE_WIDTH, "tile length": TILE_LENGTH, "tile offsets": TILE_OFFSETS,
    "tile counts": TILE_COUNTS, "sample format": FORMAT,
}  # fmt: skip

TILED_TAGS = {
    "width 0": {WIDTH: tag(LONG, 0)},
    "length 0": {LENGTH: tag(LONG, 0)},
    "width 2^31": {WIDTH: tag(LONG, 2**31)},
    "width and length 2^32-1": {WIDTH: tag(LONG, 2**32 - 1), LENGTH: tag(LONG, 2**32 - 1)},
    "width and tile 2^31 - 1": {code: tag(LONG, HUGE) for code in (WIDTH, LENGTH, TILE_WIDTH, TILE_LENGTH)},
    "width negative": {WIDTH: tag(SLONG, -48)},
    "width of two values": {WIDTH: tag(LONG, 48, 48)},
    "width of no value": {WIDTH: tag(LONG, count=0)},
    "width as text": {WIDTH: text("48")},
    "width as fraction": {WIDTH: tag(RATIONAL, 48, 1)},
    "width as float": {WIDTH: tag(DOUBLE, 48.0)},
    "width not a number": {WIDTH: tag(DOUBLE, float("nan"))},
    "width of unknown type 99": {WIDTH: Tag(SHORT, (48,), None)},
    "width far away": {WIDTH: tag(LONG, 48, 48, offset=2**31)},
    "bits 0": {BITS: tag(SHORT, 0)},
    "bits 65": {BITS: tag(SHORT, 65)},
    "bits 65535": {BITS: tag(SHORT, 65535)},
    "bits mixed": {BITS: tag(SHORT, 8, 16, 16), SAMPLES: tag(SHORT, 3)},
    "samples 0": {SAMPLES: tag(SHORT, 0)},
    "samples 65535": {SAMPLES: tag(SHORT, 65535)},
    "samples 2": {SAMPLES: tag(SHORT, 2)},
    "format complex integer": {FORMAT: tag(SHORT, 5)},
    "format complex float": {FORMAT: tag(SHORT, 6)},
    "format complex of 64 bits": {FORMAT: tag(SHORT, 6), BITS: tag(SHORT, 64), TILE_WIDTH: tag(SHORT, 16)},
    "format void": {FORMAT: tag(SHORT, 4)},
    "format 99": {FORMAT: tag(SHORT, 99)},
    "format mixed": {FORMAT: tag(SHORT, 1, 3), SAMPLES: tag(SHORT, 2)},
    "tile width 0": {TILE_WIDTH: tag(SHORT, 0)},
    "tile width 17": {TILE_WIDTH: tag(SHORT, 17)},
    "tile width 65535": {TILE_WIDTH: tag(SHORT, 65535)},
    "tile length 0": {TILE_LENGTH: tag(SHORT, 0)},
    "tile length negative": {TILE_LENGTH: tag(SLONG, -16)},
    "tile depth 0": {32998: tag(LONG, 0)},
    "tile depth 2^31": {32998: tag(LONG, 2**31)},
    "image depth 2^31": {32997: tag(LONG, 2**31)},
    "predictor 77": {PREDICTOR: tag(SHORT, 77)},
    "predictor of floats on integers": {PREDICTOR: tag(SHORT, 3)},
    "compression 0": {COMPRESSION: tag(SHORT, 0)},
    "compression 61234": {COMPRESSION: tag(SHORT, 61234)},
    "compression old JPEG": {COMPRESSION: tag(SHORT, 6)},
    "compression JPEG": {COMPRESSION: tag(SHORT, 7)},
    "compression LZW": {COMPRESSION: tag(SHORT, 5)},
    "compression packbits": {COMPRESSION: tag(SHORT, 32773)},
    "compression CCITT": {COMPRESSION: tag(SHORT, 4)},
    "compression deflate": {COMPRESSION: tag(SHORT, 8)},
    "compression zstd": {COMPRESSION: tag(SHORT, 50000)},
    "compression lerc": {COMPRESSION: tag(SHORT, 34887)},
    "compression JPEG 2000": {COMPRESSION: tag(SHORT, 34712)},
    "compression webp": {COMPRESSION: tag(SHORT, 50001)},
    "compression JPEG XL": {COMPRESSION: tag(SHORT, 50002)},
    "compression EER": {COMPRESSION: tag(SHORT, 65000)},
    "planar 3": {PLANAR: tag(SHORT, 3)},
    "planes that are not there": {PLANAR: tag(SHORT, 2), SAMPLES: tag(SHORT, 3), BITS: tag(SHORT, 16, 16, 16)},
    "fill order 3": {FILL_ORDER: tag(SHORT, 3)},
    "palette": {PHOTOMETRIC: tag(SHORT, 3)},
    "palette cut short": {PHOTOMETRIC: tag(SHORT, 3), 320: tag(SHORT, 1, 2, 3)},
    "colour filter array": {PHOTOMETRIC: tag(SHORT, 32803)},
    "YCbCr, subsampled 0": {PHOTOMETRIC: tag(SHORT, 6), SUBSAMPLING: tag(SHORT, 0, 0)},
    "offsets of type BYTE": {TILE_OFFSETS: Tag(BYTE, bytes(range(16, 16 + TILES)))},
    "offsets of type SBYTE": {TILE_OFFSETS: tag(SBYTE, *[-1] * TILES)},
    "offsets negative": {TILE_OFFSETS: tag(SLONG, *[-512] * TILES)},
    "offsets as text": {TILE_OFFSETS: text("12345678")},
    "offsets as float": {TILE_OFFSETS: tag(DOUBLE, *[16.0 + 512 * i for i in range(TILES)])},
    "offsets one too few": {TILE_OFFSETS: tag(LONG, *[16] * (TILES - 1))},
    "offsets none": {TILE_OFFSETS: tag(LONG, count=0)},
    "offsets 2^32-1 in number": {TILE_OFFSETS: tag(LONG, 16, 16, count=2**32 - 1)},
    "offsets beyond the end": {TILE_OFFSETS: tag(LONG, *[2**31 + i for i in range(TILES)])},
    "offsets in the header": {TILE_OFFSETS: tag(LONG, *[4] * TILES)},
    "offsets 0": {TILE_OFFSETS: tag(LONG, *[0] * TILES)},
    "offsets and counts 0": {code: tag(LONG, *[0] * TILES) for code in (TILE_OFFSETS, TILE_COUNTS)},
    "counts 0": {TILE_COUNTS: tag(LONG, *[0] * TILES)},
    "counts one too few": {TILE_COUNTS: tag(LONG, *[512] * (TILES - 1))},
    "counts one too many": {TILE_COUNTS: tag(LONG, *[512] * (TILES + 1))},
    "counts one short": {TILE_COUNTS: tag(LONG, *[511] * TILES)},
    "counts 2^32-1": {TILE_COUNTS: tag(LONG, *[2**32 - 1] * TILES)},
    "counts negative": {TILE_COUNTS: tag(SLONG, *[-512] * TILES)},
    "extra samples lie": {EXTRA: tag(SHORT, 1, 2, 0)},
    "SubIFD beyond the end": {SUB_IFDS: tag(LONG, 2**31)},
    "SubIFD that is itself": {SUB_IFDS: tag(IFD, ("ifd", 0))},
    "SubIFDs 10^8": {SUB_IFDS: tag(LONG, 16, 16, count=10**8)},
    "text of 4 GiB": {270: text("x", count=2**32 - 1)},
    "text that is binary": {270: Tag(2, bytes(range(256)))},
    "text that is UTF-16": {270: Tag(2, "pixels".encode("utf-16"))},
    "nodata is garbage": {42113: text("\x00\xff-- none of it")},
    "nodata is NaN": {42113: text("nan")},
    "nodata of 10^5 digits": {42113: text("9" * 100_000)},
    "resolution divided by 0": {282: tag(RATIONAL, 1, 0), 283: tag(RATIONAL, 0, 0), 296: tag(SHORT, 3)},
    "resolution of no value": {282: tag(RATIONAL, count=0), 283: tag(RATIONAL, 1, 1), 296: tag(SHORT, 3)},
    "resolution as text": {282: text("wide"), 283: text("high"), 296: tag(SHORT, 3)},
    "resolution unit of three values": {282: tag(RATIONAL, 1, 1), 283: tag(RATIONAL, 1, 1), 296: tag(SHORT, 3, 3, 3)},
    "orientation as text": {274: text("up")},
    "orientation of two values": {274: tag(SHORT, 1, 6)},
    "GeoTIFF keys garbage": {34735: tag(SHORT, 1, 1, 0, 65535), 33550: tag(DOUBLE, float("nan"), 0.0, 0.0)},
    "private tag of 1 EB": {65000: Tag(UNDEFINED, b"12345678", 2**32 - 1, 2**31)},
}
READABLE = {
    "text that is binary", "text that is UTF-16", "nodata is garbage", "resolution divided by 0", "resolution as text",
    "nodata is NaN",
}  # fmt: skip
"""Lies about what is no pixel: these files must be read. Others whose tags do not concern pixels may be."""
HARMLESS = READABLE | {
    "width of two values", "width as fraction", "width as float", "width of no value", "resolution of no value",
    "palette cut short", "orientation as text", "orientation of two values", "GeoTIFF keys garbage",
    "counts one too many",
    "SubIFD beyond the end", "SubIFD that is itself", "SubIFDs 10^8", "text of 4 GiB", "nodata of 10^5 digits",
    "planar 3", "fill order 3", "width of unknown type 99", "extra samples lie", "private tag of 1 EB", "format 99",
    "YCbCr, subsampled 0", "tile depth 0", "compression 0",
    "samples 0", "format void", "offsets as float", "width as text", "resolution unit of three values",
}  # fmt: skip

STRIP_TAGS = {
    "rows per strip 0": {ROWS: tag(LONG, 0)},
    "rows per strip 2^32-1": {ROWS: tag(LONG, 2**32 - 1)},
    "rows per strip 7": {ROWS: tag(LONG, 7)},
    "rows per strip negative": {ROWS: tag(SLONG, -8)},
    "strip offsets too few": {STRIP_OFFSETS: tag(LONG, 16, 784)},
    "strip offsets 0": {STRIP_OFFSETS: tag(LONG, *[0] * 5)},
    "strip counts left out": {STRIP_COUNTS: None},
    "strip counts huge": {STRIP_COUNTS: tag(LONG, *[2**31] * 5)},
    "strips and tiles": {TILE_WIDTH: tag(SHORT, 16), TILE_LENGTH: tag(SHORT, 16)},
    "length 2^32-1 in strips": {LENGTH: tag(LONG, 2**32 - 1)},
    "all of 2^31 in one strip": {WIDTH: tag(LONG, HUGE), LENGTH: tag(LONG, HUGE), ROWS: tag(LONG, HUGE)},
    "width 2^32-1 in LZW strips": {WIDTH: tag(LONG, 2**32 - 1), COMPRESSION: tag(SHORT, 5)},
}
ENTRIES = {
    "one offset 0": {(TILE_OFFSETS, 4): 0},
    "one offset beyond the end": {(TILE_OFFSETS, 8): 2**31},
    "one offset one byte too far": {(TILE_OFFSETS, 8): 16 + 512 * 8 + 2000},
    "one count 0": {(TILE_COUNTS, 3): 0},
    "one count short": {(TILE_COUNTS, 3): 100},
    "one count to the end and over": {(TILE_COUNTS, 8): 100_000},
}


def cases():
    """Every case of this module."""
    yield Case("tiles", bytes(made({})), "read", PIXELS)
    yield Case("strips", bytes(made({}, **STRIPS)), "read", PIXELS)
    for name, change in TILED_TAGS.items():
        must = "read" if name in READABLE else "either" if name in HARMLESS else "refuse"
        yield Case(f"tiles, {name}", bytes(made(change)), must, PIXELS)
    for name, change in STRIP_TAGS.items():
        yield Case(f"strips, {name}", bytes(made(change, **STRIPS)), "either", PIXELS)
    for name, code in MUST_HAVE.items():
        yield Case(f"tiles, no {name}", bytes(made({code: None})), "either", PIXELS)
    for name, change in ENTRIES.items():
        yield Case(f"tiles, {name}", bytes(with_entries(change)))
