"""What is checked of a TIFF file before libraries act on it: the chain of its pages, and what segments decode to."""

from __future__ import annotations

import struct
from typing import Any

from tileconv.errors import SourceError

PAGE_LIMIT = 2**20
"""Pages of one file, and planes that its metadata may speak of: both become lists in memory."""
ENTRY_LIMIT = 4096
"""Tags of one page; tifffile calls more suspicious and stops there."""
LARGER = 4
"""How much larger than its segment an embedded picture may be; some writers pad, none does so beyond this."""

_LERC2, _JXR = b"Lerc2 ", b"II\xbc"
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
_TELLING = {270: "description", 42113: "nodata value", 50839: "ImageJ metadata"}
"""Texts of the first page that say what pixels mean; tifffile reads a file without those that it cannot find."""
_SUBFILE_TYPE = 254
_JPEG_BARE = {0x01, *range(0xD0, 0xD9)}


def check_pages(file: Any, where: str) -> bool:
    """Refuse a chain of pages that runs in a circle, leads out of the file or is too long; tifffile would stop there.

    Returns
    -------
    bool
        Whether a page is a transparency mask for another one.

    Raises
    ------
    SourceError
        Because what lies behind the break is lost, and the pages before it look like a whole image.
    """
    form, handle = file.tiff, file.filehandle
    seen: set[int] = set()
    masked = False
    offset = int(file.pages.first.offset)
    while offset:
        if offset in seen or len(seen) == PAGE_LIMIT:
            circle = f"page {len(seen) - 1} is followed by an earlier one", "It is damaged: copy the file again."
            many = f"it has more than {PAGE_LIMIT:,} pages", "Split the file, or write it as OME-Zarr."
            problem, fix = circle if offset in seen else many
            raise SourceError(problem, where=where, fix=fix)
        seen.add(offset)
        try:
            handle.seek(offset)
            count = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))[0]
            if count > ENTRY_LIMIT:
                raise ValueError
            entries = handle.read(count * form.tagsize + form.offsetsize)
            offset = int(struct.unpack(form.offsetformat, entries[count * form.tagsize :])[0])
            masked |= _is_mask(entries, form)
            if len(seen) == 1:
                _check_telling(entries[: count * form.tagsize], form, handle.size, where)
        except (struct.error, ValueError, OSError) as error:
            raise SourceError(
                f"the tags of page {len(seen) - 1} should lie at byte {offset} of {handle.size}, and do not",
                where=where,
                fix="The file is truncated or damaged: copy it again.",
            ) from error
    return masked


def _is_mask(entries: bytes, form: Any) -> bool:
    """Return whether the first tag, or the one after it, is a NewSubfileType with the bit of a mask."""
    wide = form.offsetsize == 8
    for at in range(0, min(len(entries) - form.offsetsize, 2 * form.tagsize), form.tagsize):
        code, kind = struct.unpack_from(f"{form.byteorder}HH", entries, at)
        if code == _SUBFILE_TYPE:
            (value,) = struct.unpack_from(
                form.byteorder + ("H" if kind == 3 else "I"), entries, at + (12 if wide else 8)
            )
            return bool(value & 4)
    return False


def _check_telling(entries: bytes, form: Any, size: int, where: str) -> None:
    for at in range(0, len(entries), form.tagsize):
        code, kind, count, offset = struct.unpack_from(
            form.byteorder + ("HHII", "HHQQ")[form.offsetsize == 8], entries, at
        )
        if code in _TELLING and kind in (1, 2, 7) and count > form.offsetsize and offset + count > size:
            raise SourceError(
                f"the {_TELLING[code]} should lie at byte {offset} of {size}, and does not",
                where=where,
                fix="The file is truncated or damaged: copy it again.",
            )


def check_segment(data: bytes, segment: tuple[int, ...]) -> None:
    """Refuse an embedded picture whose own header declares far more pixels than its segment has.

    Raises
    ------
    SourceError
        Before a decoder allocates what the header asks for.
    """
    size = declared(data)
    if size is not None and (0 in size or size[0] * size[1] > LARGER * max(segment[1] * segment[2], 2**16)):
        raise SourceError(f"a segment of {segment[2]} x {segment[1]} px holds a picture of {size[0]} x {size[1]} px")


def declared(data: bytes) -> tuple[int, int] | None:
    r"""Return columns and rows that the header of an embedded picture declares, or None without such a header.

    Examples
    --------
    >>> declared(b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes((0, 0, 0, 5, 0, 0, 0, 4)))
    (5, 4)
    """
    try:
        if data.startswith(b"\x89PNG"):
            return struct.unpack(">II", data[16:24])
        if data.startswith(b"\xff\xd8"):
            frame = jpeg_frame(data)
            return frame and frame[2:]
        if data.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")):
            at = data.index(b"\xff\x4f\xff\x51") + 8
            right, bottom, left, top = struct.unpack(">4I", data[at : at + 16])
            return right - left, bottom - top
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(_LERC2):
            at = 10 if struct.unpack("<i", data[6:10])[0] < 3 else 14
            rows, columns = struct.unpack("<2i", data[at : at + 8])
            return columns, rows
        if data.startswith(_JXR):
            return _jpeg_xr(data)
        if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
            return _jpeg_xl(data)
    except (struct.error, ValueError, IndexError):
        pass  # the decoder says what is wrong
    return None


def jpeg_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Return the marker of the frame of a JPEG, bits per sample, columns and rows; None where *data* holds none."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        if data[at + 1] in _JPEG_FRAMES:
            bits, rows, columns = struct.unpack(">BHH", data[at + 4 : at + 9])
            return data[at + 1], bits, columns, rows
        if data[at + 1] == 0xFF:
            at += 1
        elif data[at + 1] in _JPEG_BARE:
            at += 2
        else:
            at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None


def _webp(data: bytes) -> tuple[int, int]:
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    columns, rows = struct.unpack("<HH", data[26:30])
    return columns & 0x3FFF, rows & 0x3FFF


def _jpeg_xr(data: bytes) -> tuple[int, int]:
    at = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[at : at + 2])[0]
    entries = [struct.unpack("<HHII", data[at + 2 + 12 * i : at + 14 + 12 * i]) for i in range(count)]
    sizes = {code: value & (0xFFFF if kind == 3 else 0xFFFFFFFF) for code, kind, _, value in entries}
    return sizes.get(0xBC80, 1), sizes.get(0xBC81, 1)


def _jpeg_xl(data: bytes) -> tuple[int, int]:
    """Read the SizeHeader of ISO/IEC 18181-1, which follows the mark 0xFF0A, bit by bit from the lowest."""
    at = data.index(b"\xff\x0a") + 2
    bits, used = int.from_bytes(data[at : at + 12], "little"), 0

    def take(count: int) -> int:
        nonlocal used
        value = bits >> used & (1 << count) - 1
        used += count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take((9, 13, 18, 30)[take(2)])

    rows = side()
    ratio = take(3)
    above, below = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    return (side() if ratio == 0 else rows * above // below), rows
