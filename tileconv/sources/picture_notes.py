"""What a PNG or JPEG file says of its pixels beyond their numbers."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from PIL import Image

from tileconv.sources.notes import TURNED

CHUNK_LIMIT = 2**20
"""Chunks of a PNG that are looked at; writers make those of pixels 8 KiB long, so that these are pictures of 8 GiB."""
_KEPT_BYTES = 65536
_KEPT = (b"eXIf", b"tRNS", b"sBIT", b"pHYs")
_PROFILES = {b"iCCP": "an ICC profile", b"cICP": "a colour space", b"gAMA": "a gamma"}
_SRGB_GAMMA = 45455
_ORIENTATION = 274
_PRINT = "the resolution of {:g} x {:g} pixels per {} is that of a print and is taken for no pixel size"


def png_notes(file: BinaryIO, bits: int, *, palette: bool) -> list[str]:
    """Return notes on a PNG of *bits* per sample; chunks behind the pixels are looked at as well."""
    chunks = _chunks(file)
    notes = _turned(chunks[b"eXIf"]) if b"eXIf" in chunks else []
    if b"tRNS" in chunks and not palette:
        notes.append("one value is declared transparent, and is taken as any other")
    significant = [*chunks.get(b"sBIT", b"")]
    if significant and min(significant) < bits:
        fewest = min(significant)
        notes.append(f"{fewest} of the {bits} bits of a sample are significant; values are taken as stored")
    if profiles := [text for name, text in _PROFILES.items() if name in chunks]:
        notes.append(f"not applied and not carried: {', '.join(profiles)}")
    if len(chunks.get(b"pHYs", b"")) == 9:
        across, down, unit = struct.unpack(">IIB", chunks[b"pHYs"])
        notes += [_PRINT.format(across, down, "meter")] * (unit == 1)
    return notes


def jpeg_notes(picture: Any) -> list[str]:
    """Return notes on a JPEG file that Pillow has opened."""
    notes = _orientation(picture.getexif())
    if "icc_profile" in picture.info:
        notes.append(f"not applied and not carried: {_PROFILES[b'iCCP']}")
    if "dpi" in picture.info:
        notes.append(_PRINT.format(*map(float, picture.info["dpi"]), "inch"))
    return notes


def _chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """Return the chunks of a PNG that are told of, by name; those of profiles without their content."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    for _ in range(CHUNK_LIMIT):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            break
        length, name = struct.unpack(">I4s", head)
        if name in _KEPT or name in _PROFILES:
            content = file.read(min(length, _KEPT_BYTES))
            if not (name == b"gAMA" and content == _SRGB_GAMMA.to_bytes(4)):
                chunks.setdefault(name, content)
        at += 12 + length
    return chunks


def _turned(exif: bytes) -> list[str]:
    found = Image.Exif()
    found.load(exif)
    return _orientation(found)


def _orientation(exif: Any) -> list[str]:
    turned = exif.get(_ORIENTATION, 1)
    return [] if turned == 1 else [TURNED.format(turned)]
