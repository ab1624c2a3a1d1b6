"""PNG, JPEG and ``.npy`` images, and paths that are no plain files: one error of ours each, or the right pixels."""

from __future__ import annotations

import io
import os
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from hostile_help import Trial, assert_trials
from PIL import Image
from tiff_writer import noise

GRAY = noise((30, 40), "u1", seed=1)
COLOUR = noise((30, 40, 3), "u1", seed=2)
DEEP = noise((30, 40), "u2", seed=3)
PLANES = np.moveaxis(COLOUR, -1, 0)


def saved(image, kind, **options):
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return out.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, body, *, bits=8, colour=0, interlace=0, extra=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def zeros(count):
    """Return a zlib stream of *count* MiB of zeros, made from one that is repeated."""
    stream = zlib.compressobj(9)
    block = stream.compress(bytes(2**20)) + stream.flush(zlib.Z_FULL_FLUSH)
    return block + block[2:] * (count - 1)


def interlaced(image):
    """Return a PNG of *image*, gray, in Adam7 order."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b"".join(b"\0" + row.tobytes() for y, x, dy, dx in passes for row in image[y::dy, x::dx])
    return png(image.shape[1], image.shape[0], zlib.compress(rows), interlace=1)


def npy(header, data=b"", version=1):
    text = header.encode().ljust(117) + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + size + text + data


def array_header(shape, descr="<f8", order=False):
    return f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}"


def pictures():
    whole, photo = saved(GRAY, "PNG"), saved(GRAY, "JPEG", quality=95)
    shown = np.asarray(Image.open(io.BytesIO(photo)))
    at = photo.index(b"\xff\xc0") + 5
    yield "png", whole, "read", GRAY
    yield "colour", saved(COLOUR, "PNG"), "read", PLANES
    yield "16 bits", imagecodecs.png_encode(DEEP), "read", DEEP
    yield "interlaced", interlaced(GRAY), "read", GRAY
    yield "animated", saved(GRAY, "PNG", save_all=True, append_images=[Image.fromarray(255 - GRAY)]), "either", GRAY
    for part in range(0, 100, 7):
        yield f"png at {part} %", whole[: len(whole) * part // 100], "refuse", None
        yield f"jpeg at {part} %", photo[: len(photo) * part // 100], "refuse", None
        yield f"16 bits at {part} %", imagecodecs.png_encode(DEEP)[: 2400 * part // 100], "refuse", None
    for name, position in (("header", 17), ("data", len(whole) // 2)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        yield f"wrong checksum of the {name}", bytes(damaged), "refuse", None
    yield "more pixels than data", png(40, 30, zlib.compress(bytes(41 * 20))), "refuse", None
    yield "one row of no pixels", png(40, 30, zlib.compress(b"\0")), "refuse", None
    yield "more bits than data", png(40, 30, zlib.compress(bytes(6 * 20)), bits=1), "refuse", None
    yield "40 pixels, 1 GiB of data", png(40, 30, zeros(1024)), "either", np.zeros((30, 40), "u1")
    for side in (0, 2**31 - 1, 2**32 - 1, 14_000):
        yield f"{side} squared", png(side, side, zlib.compress(bytes(1000))), "refuse", None
    yield "16 bits, 13000 squared", png(13_000, 13_000, zlib.compress(bytes(1000)), bits=16), "refuse", None
    yield "16 bits, RGBA, 13000 squared", png(13_000, 13_000, zeros(300), bits=16, colour=6), "refuse", None
    yield "bits 3", png(40, 30, zlib.compress(bytes(999)), bits=3), "refuse", None
    yield "colour type 5", png(40, 30, zlib.compress(bytes(999)), colour=5), "refuse", None
    yield "palette without palette", png(40, 30, zlib.compress(bytes(41 * 30)), colour=3), "refuse", None
    yield "filter 9", png(40, 30, zlib.compress((b"\x09" + bytes(40)) * 30)), "refuse", None
    text = zlib.compress(bytes(2**26))
    yield (
        "text of 64 MiB",
        png(40, 30, zlib.compress(bytes(41 * 30)), extra=chunk(b"zTXt", b"a\0\0" + text)),
        "either",
        np.zeros((30, 40), "u1"),
    )
    yield (
        "profile of 64 MiB",
        png(40, 30, zlib.compress(bytes(41 * 30)), extra=chunk(b"iCCP", b"a\0\0" + text)),
        "either",
        np.zeros((30, 40), "u1"),
    )
    yield "length 2^31", whole[:8] + b"\x7f\xff\xff\xff" + whole[12:], "refuse", None
    yield "jpeg of 65500 squared", photo[:at] + b"\xff\xdc\xff\xdc" + photo[at + 4 :], "refuse", None
    yield "jpeg of 13000 squared", photo[:at] + struct.pack(">HH", 13_000, 13_000) + photo[at + 4 :], "refuse", None
    yield "jpeg of 0 rows", photo[:at] + b"\0\0" + photo[at + 2 :], "refuse", None
    yield "jpeg without tables", photo[: photo.index(b"\xff\xc4")] + photo[photo.index(b"\xff\xda") :], "either", shown
    yield "jpeg of two bytes", b"\xff\xd8\xff", "refuse", None
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0" * 40
    yield (
        "jpeg with damaged EXIF",
        photo[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + photo[2:],
        "either",
        shown,
    )


def arrays():
    plain = np.arange(1, 13.0).reshape(3, 4)
    yield "npy", npy(array_header((3, 4)), plain.tobytes()), "read", plain
    yield "Fortran", npy(array_header((4, 3), order=True), plain.tobytes()), "read", plain.T
    yield "header bomb", npy(array_header((10**12,))), "refuse", None
    yield "header bomb in two axes", npy(array_header((10**6, 10**6)), bytes(96)), "refuse", None
    yield "header over 64 bits", npy(array_header((2**40, 2**40))), "refuse", None
    yield "objects", npy(array_header((1, 2), "|O"), b"cos\nsystem\n(S'false'\ntR."), "refuse", None
    yield (
        "structures",
        npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 4)}", bytes(48)),
        "refuse",
        None,
    )
    yield "complex", npy(array_header((3, 4), "<c16"), bytes(192)), "refuse", None
    yield "texts", npy(array_header((3, 4), "<U4"), bytes(192)), "refuse", None
    yield "type of 2^31 bytes", npy(array_header((1, 1), "|V2147483647"), bytes(96)), "refuse", None
    yield "dates", npy(array_header((3, 4), "<M8[s]"), bytes(96)), "refuse", None
    yield "header that computes", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9**9**9, 4)}"), "refuse", None
    yield "header that calls", npy("{'descr': '<f8', 'fortran_order': exit(), 'shape': (3, 4)}"), "refuse", None
    yield "header of 4 GiB", b"\x93NUMPY\x02\0\xff\xff\xff\xff{", "refuse", None
    yield "header of 1 MiB", b"\x93NUMPY\x02\0\0\0\x10\0" + b"(" * 2**20, "refuse", None
    yield "version 9", b"\x93NUMPY\x09\0" + npy(array_header((3, 4)), plain.tobytes())[8:], "refuse", None
    yield "negative shape", npy(array_header((-3, -4)), plain.tobytes()), "refuse", None
    yield "one byte too few", npy(array_header((3, 4)), plain.tobytes()[:-1]), "refuse", None
    yield "65 axes", npy(array_header((1,) * 65), bytes(8)), "refuse", None
    yield "pickle", b"\x80\x04\x95\x00\x00\x00\x00", "refuse", None
    yield "archive", b"PK\x03\x04" + bytes(100), "refuse", None


@pytest.mark.parametrize("files", [pictures, arrays])
def test_broken_files(tmp_path, files):
    trials = []
    for number, (name, content, must, truth) in enumerate(files()):
        path = tmp_path / f"{number}.dat"
        path.write_bytes(content)
        trials.append(Trial(name, path, must, truth))
    assert_trials(trials)


def test_paths_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "store").mkdir()
    os.mkfifo(tmp_path / "store" / "zarr.json")
    (tmp_path / "secret").write_bytes(npy(array_header((3, 4)), bytes(96)))
    (tmp_path / "secret").chmod(0)
    names = ["pipe", "folder", "empty", "circle", "dangling", "store", "a" * 300, "empty/below", "nul\0byte"]
    names += ["/dev/zero", "/dev/null", "/dev/stdin", "/proc/self/mem", "/proc/self/environ", "~nobody/x", ""]
    names += ["secret"] if os.geteuid() else []
    trials = [Trial(name, os.path.join(tmp_path, name), "refuse") for name in names]  # noqa: PTH118 a NUL may stand in it
    assert_trials(trials)
