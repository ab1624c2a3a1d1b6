"""TIFF files whose structure, codecs or metadata are hostile; see ``tiff_corpus`` for those whose tags are wrong."""

from __future__ import annotations

import io
import struct
import zlib

import imagecodecs
import numpy as np
from PIL import Image
from tiff_corpus import BYTES, HUGE, PIXELS, Case, made
from tiff_writer import (
    BITS,
    COMPRESSION,
    DESCRIPTION,
    FORMAT,
    LENGTH,
    LONG,
    LONG8,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    SAMPLES,
    SHORT,
    SUB_IFDS,
    TABLES,
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

STACK = noise((3, 40, 48), "u2", seed=1)
DEFLATE, ZSTD, LZW, JPEG = 8, 50000, 5, 7


def stack(pointers=None, **options):
    """Return a file of three pages of the same size, whose pointers to the next may lie."""
    file = File(pointers=pointers or {}, **options)
    file.pages = [listed(page(file, plane)) for plane in STACK]
    return file


def headers():
    """Files that are not what their first bytes say."""
    good = bytes(made({}))
    yield Case("empty file", b"")
    yield Case("eight bytes", good[:8])
    yield Case("four bytes", good[:4])
    yield Case("wrong byte order mark", b"IM" + good[2:])
    yield Case("wrong magic", bytes(made({}, file=File(magic=44))))
    yield Case("BigTIFF magic 44", bytes(made({}, file=File(big=True, magic=44))))
    yield Case("BigTIFF with offsets of 4 bytes", bytes(made({}, file=File(big=True))).replace(b"\x08\0", b"\x04\0", 1))
    yield Case("magic of BigTIFF, body of TIFF", bytes(made({}, file=File(magic=43))))
    yield Case("magic of TIFF, body of BigTIFF", bytes(made({}, file=File(big=True, magic=42))))
    yield Case("big-endian mark, little-endian body", b"MM\0*" + good[4:])
    yield Case("NDPI mark", bytes(made({65420: tag(LONG, 1)})), "either", PIXELS)
    for name, offset in (("0", 0), ("4", 4), ("beyond the end", 2**31), ("at the last byte", len(good) - 1)):
        yield Case(f"first IFD at {name}", bytes(made({}, file=File(first=offset))))
    yield Case("big-endian", bytes(made({}, order=">")), "read", PIXELS)
    yield Case("BigTIFF", bytes(made({}, big=True)), "read", PIXELS)
    yield Case("big-endian BigTIFF", bytes(made({}, big=True, order=">")), "read", PIXELS)


def pages():
    """Chains and trees of IFDs that do not end, or lead nowhere."""
    yield Case("stack", bytes(stack()), "read", STACK)
    for name, target in (("itself", 2), ("the first", 0), ("the second", 1)):
        yield Case(f"last IFD points to {name}", bytes(stack({2: ("ifd", target)})), "either", STACK)
    yield Case("first IFD points to itself", bytes(stack({0: ("ifd", 0)})), "either", STACK[0])
    for name, offset in (("beyond the end", 2**31), ("into the header", 4), ("into pixels", 40)):
        yield Case(f"next IFD {name}", bytes(stack({2: offset})), "either", STACK)
    yield Case("second IFD beyond the end", bytes(stack({0: 2**32 - 2})))
    yield Case("IFD of 65535 entries", bytes(made({}, file=File(entries={0: 65535}))), "either", PIXELS)
    yield Case("IFD of no entries", bytes(made({}, file=File(entries={0: 0}))))
    yield Case("BigTIFF IFD of 2^63 entries", bytes(made({}, file=File(big=True, entries={0: 2**63}))))
    yield Case("entries cut by the end", bytes(made({}))[:-120])
    tags = page(File(), PIXELS)
    twice = [*((code, one) for code, one in listed(tags)), (WIDTH, tag(LONG, 480)), (TILE_OFFSETS, tag(LONG, 0))]
    file = File()
    page(file, PIXELS)
    file.pages = [twice]
    yield Case("tags given twice, the second wrong", bytes(file), "either", PIXELS)
    file = File()
    tags = listed(page(file, PIXELS))
    file.pages = [tags[::-1]]
    yield Case("tags in reverse order", bytes(file), "either", PIXELS)
    for code in (COMPRESSION, PREDICTOR, PHOTOMETRIC, PLANAR):
        yield Case(f"513 values of tag {code}", bytes(made({code: tag(SHORT, *[1] * 513)})))
    file = File()
    tags = page(file, PIXELS)
    file.pages = [listed(tags | {SUB_IFDS: tag(LONG, *[("ifd", 1)] * 20)})]
    for number in range(1, 7):
        deeper = {SUB_IFDS: tag(LONG, *[("ifd", number + 1)] * 20)} if number < 6 else {}
        file.pages.append(listed(tags | deeper))
    file.pointers = dict.fromkeys(range(7), 0)
    yield Case("SubIFDs that branch 20 ways at 6 levels", bytes(file), "either", np.stack([PIXELS] * 2))
    file = File()
    tags = page(file, PIXELS)
    file.pages = [listed(tags | {SUB_IFDS: tag(LONG, ("ifd", 1))}), listed(tags | {SUB_IFDS: tag(LONG, ("ifd", 0))})]
    file.pointers = {0: 0, 1: ("ifd", 1)}
    yield Case("SubIFDs in a circle", bytes(file), "either", np.stack([PIXELS] * 2))
    file = File()
    tags = page(file, PIXELS)
    file.pages = [listed(tags)] * 3000
    file.pointers = {2999: ("ifd", 0)}
    yield Case("3000 pages in a circle", bytes(file), "either", np.broadcast_to(PIXELS, (3000, 40, 48)))
    first, second = noise((40, 48), "u2", 2), noise((40, 48), "u1", 3)
    file = File()
    file.pages = [listed(page(file, first)), listed(page(file, second))]
    yield Case("pages of two types", bytes(file), "either", first)


def declared(sizes):
    """A BigTIFF of some 131 kB that declares 2^31 - 1 rows and columns of uint16, 9.2 EB."""
    change = {code: tag(LONG, HUGE) for code in (WIDTH, LENGTH)} | sizes
    return made(change, noise((256, 256), "u2"), big=True, tile=(256, 256))


def bombs():
    """Small files that declare, or decode to, far more than they hold."""
    yield Case("9 EB in 131 kB", bytes(declared({})))
    yield Case("9 EB in tiles of 2^31", bytes(declared({code: tag(LONG, 2**31) for code in (TILE_WIDTH, TILE_LENGTH)})))
    many = made(
        {TILE_OFFSETS: tag(LONG8, 16, 16, count=2**40), TILE_COUNTS: tag(LONG8, 512, 512, count=2**40)}, big=True
    )
    yield Case("2^40 offsets", bytes(many))
    zeros = zlib.compressobj(9)
    block = zeros.compress(bytes(2**22)) + zeros.flush(zlib.Z_FULL_FLUSH)
    middle = block[2:]
    yield from packed("deflate of 4 GiB", DEFLATE, block + middle * 1023, must="refuse")
    window, run = b"\x28\xb5\x2f\xfd\x00\x38", struct.pack("<I", (2**17 << 3) | 2)[:3] + b"\x07"
    last = struct.pack("<I", (2**17 << 3) | 3)[:3] + b"\x07"
    yield from packed("zstd of 4 GiB", ZSTD, window + run * (2**15 - 1) + last)
    stated = b"\x28\xb5\x2f\xfd\xc0\x38" + struct.pack("<Q", 2**32)
    yield from packed("zstd of 4 GiB that says so", ZSTD, stated + run * (2**15 - 1) + last)
    yield from packed("zstd that says 2^62", ZSTD, b"\x28\xb5\x2f\xfd\xc0\x38" + struct.pack("<Q", 2**62) + last)
    yield from packed("LZMA of 1 GiB", 34925, imagecodecs.lzma_encode(bytes(2**24)) * 64, "either")
    yield from packed("packbits of 1 MiB", 32773, b"\x81\x07" * 2**13)
    yield from packed("PNG of 20000 x 20000", 34933, picture_bomb(20_000, 20_000))
    yield from packed("PNG of 2^31 x 1", 34933, picture_bomb(HUGE, 1))
    for name, width, height in (("65500 x 65500", 65500, 65500), ("20000 x 20000", 20000, 20000), ("0 x 0", 0, 0)):
        yield from packed(f"JPEG of {name}", JPEG, jpeg_of(width, height))
    jpeg2000 = bytearray(imagecodecs.jpeg2k_encode(BYTES[:16, :16], codecformat="j2k"))
    at = jpeg2000.index(b"\xff\x51") + 6
    for name, side in (("20000 x 20000", 20_000), ("2^31 x 2^31", HUGE)):
        jpeg2000[at : at + 24] = struct.pack(">6I", side, side, 0, 0, side, side)
        yield from packed(f"JPEG 2000 of {name}", 34712, bytes(jpeg2000))
    yield from packed("webp of 12000 x 12000", 50001, webp_bomb(12_000), samples=3)
    yield from packed("JPEG XL of 6000 x 6000", 50002, imagecodecs.jpegxl_encode(np.ones((6000, 6000), "u1"), effort=1))
    yield from packed("lerc of 6000 x 6000", 34887, imagecodecs.lerc_encode(np.ones((6000, 6000), "u1")))
    yield from packed("JPEG XR of 6000 x 6000", 22610, imagecodecs.jpegxr_encode(np.ones((6000, 6000), "u1")))


def tiled(segment):
    """Return the image whose tiles are all this JPEG."""
    return np.tile(np.asarray(Image.open(io.BytesIO(segment))), (3, 3))[:40, :48]


def packed(name, compression, segment, must="refuse", samples=1, truth=None):
    """Yield a file of bytes whose tiles are all *segment*; by default they decode to zeros, as bombs do."""
    image = BYTES if samples == 1 else np.dstack([BYTES] * samples)
    file = File()
    tags = page(file, image, encode=lambda _: b"", compression=compression)
    at = file.add(segment)
    tags[TILE_OFFSETS] = tag(LONG, *[at] * 9)
    tags[TILE_COUNTS] = tag(LONG, *[len(segment)] * 9)
    file.pages = [listed(tags)]
    yield Case(name, bytes(file), must, np.zeros((40, 48), "u1") if truth is None else truth)


def picture_bomb(width, height):
    """Return a gray PNG of zeros of that size, at most a few hundred kilobytes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    body = zlib.compress(bytes(min((width + 1) * height, 2**28)), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def webp_bomb(side):
    """Return a small WebP whose header declares another size."""
    data = bytearray(imagecodecs.webp_encode(np.dstack([BYTES[:16, :16]] * 3), lossless=True))
    at = data.index(b"VP8L") + 9
    bits = int.from_bytes(data[at : at + 4], "little") >> 28 << 28 | (side - 1) << 14 | (side - 1)
    data[at : at + 4] = bits.to_bytes(4, "little")
    return bytes(data)


def jpeg(image=BYTES[:16, :16]):
    """Return a baseline JPEG of *image*."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG")
    return out.getvalue()


def jpeg_of(width, height):
    """Return a JPEG of 16 x 16 whose header declares another size."""
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def codecs():
    """Segments that are damaged, or lack what they refer to."""
    whole = jpeg()
    without = whole[: whole.index(b"\xff\xc4")] + whole[whole.index(b"\xff\xda") :]
    yield from packed("JPEG without Huffman tables", JPEG, without, "either", truth=tiled(whole))
    yield from packed("JPEG without end", JPEG, whole[:-2])
    yield from packed("JPEG that is a PNG", JPEG, picture_bomb(16, 16))
    yield from packed("deflate cut short", DEFLATE, zlib.compress(bytes(range(256)))[:-9])
    yield from packed("deflate of too little", DEFLATE, zlib.compress(bytes(100)))
    yield from packed("deflate of nothing", DEFLATE, zlib.compress(b""))
    yield from packed("deflate with a wrong checksum", DEFLATE, zlib.compress(bytes(range(256)))[:-1] + b"\0")
    yield from packed("zstd of too little", ZSTD, imagecodecs.zstd_encode(bytes(255)))
    yield from packed("zstd of one byte", ZSTD, imagecodecs.zstd_encode(b"\x07"))
    yield from packed("LZW of noise", LZW, BYTES[:4].tobytes())
    yield from packed("LZW that begins without clearing", LZW, b"\x00\x40" * 90)
    yield from packed("packbits cut short", 32773, b"\x7f" + bytes(20))
    yield from packed("one byte per tile", DEFLATE, b"\0")
    tables = made({TABLES: Tag(UNDEFINED, b"\xff\xd8\xff\xdb\xff\xff\xff\xd9"), COMPRESSION: tag(SHORT, JPEG)}, BYTES)
    yield Case("JPEG tables of garbage", bytes(tables))
    deflate = File()
    tags = page(deflate, PIXELS, encode=lambda raw: zlib.compress(raw), compression=DEFLATE)
    deflate.pages = [listed(tags)]
    yield Case("deflate", bytes(deflate), "read", PIXELS)
    deflate.pages = [listed(tags | {BITS: tag(SHORT, 32)})]
    yield Case("deflate, 32 bits declared", bytes(deflate))
    deflate.pages = [listed(tags | {BITS: tag(SHORT, 8)})]
    yield Case("deflate, 8 bits declared", bytes(deflate))
    deflate.pages = [listed(tags | {SAMPLES: tag(SHORT, 2)})]
    yield Case("deflate, 2 samples declared", bytes(deflate))
    deflate.pages = [listed(tags | {FORMAT: tag(SHORT, 3)})]
    yield Case("deflate, floats declared", bytes(deflate), "read", PIXELS.view("f2"))
    deflate.pages = [listed(tags | {TILE_LENGTH: tag(SHORT, 32)})]
    yield Case("deflate, tiles twice as tall", bytes(deflate))
    deflate.pages = [listed(tags | {TILE_WIDTH: tag(SHORT, 8)})]
    yield Case("deflate, tiles half as wide", bytes(deflate))
    last = dict(tags)
    last[TILE_COUNTS] = tag(LONG, *tags[TILE_COUNTS].values[:-1], 2**31)
    deflate.pages = [listed(last)]
    yield Case("deflate, last count 2^31", bytes(deflate))


OME = (
    '<?xml version="1.0"?>{dtd}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="{order}" Type="{type}" SizeX="{x}" SizeY="{y}" SizeC="{c}" SizeZ="{z}" '
    'SizeT="{t}" {more}>{channel}{data}</Pixels></Image></OME>'
)
OME_WORDS = {"dtd": "", "order": "XYZCT", "type": "uint16", "x": 48, "y": 40, "c": 1, "z": 3, "t": 1, "more": "",
             "channel": '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>', "data": "<TiffData/>"}  # fmt: skip


def described(words):
    """Return three pages of which the first carries *words*."""
    file = File()
    tags = [page(file, plane) for plane in STACK]
    tags[0][DESCRIPTION] = text(words)
    file.pages = [listed(one) for one in tags]
    return bytes(file)


def named(name):
    return f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:7</UUID></TiffData>'


LAUGHS = '<!DOCTYPE OME [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{("&" + a + ";") * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
) + "]>"  # fmt: skip
OME_LIES = {
    "of another size": {"x": 480},
    "of size 0": {"x": 0},
    "of negative size": {"z": -3},
    "of 10^30 planes": {"z": 10**30},
    "of size words": {"x": "wide"},
    "of more planes": {"z": 4},
    "of 2^31 planes": {"z": HUGE},
    "of floats": {"type": "float"},
    "of unknown type": {"type": "quaternion"},
    "of unknown order": {"order": "ABCDE"},
    "of short order": {"order": "XY"},
    "with laughs": {"dtd": LAUGHS, "channel": '<Channel ID="&i;"/>'},
    "with an external entity": {"dtd": '<!DOCTYPE OME [<!ENTITY x SYSTEM "file:///etc/hostname">]>'},
    "in ../other.tif": {"data": named("../other.tif")},
    "in /etc/hostname": {"data": named("/etc/hostname")},
    "in a file of another system": {"data": named("C:\\\\other.tif")},
    "at IFD 99": {"data": '<TiffData IFD="99"/>'},
    "at IFD -1": {"data": '<TiffData IFD="-1"/>'},
    "at IFD words": {"data": '<TiffData IFD="one"/>'},
    "at plane 10^9": {"data": '<TiffData FirstZ="1000000000" PlaneCount="1"/>'},
    "of 10^9 planes at once": {"data": '<TiffData IFD="0" PlaneCount="1000000000"/>'},
    "of 65535 samples": {"channel": '<Channel ID="C" SamplesPerPixel="65535"/>'},
    "of samples words": {"channel": '<Channel ID="C" SamplesPerPixel="three"/>'},
    "of pixels without size": {"more": 'PhysicalSizeX="nan" PhysicalSizeY="-1"'},
    "of pixels of size words": {"more": 'PhysicalSizeX="wide" PhysicalSizeY="1e999"'},
    "without planes": {"data": ""},
}


def metadata():
    """OME-XML, ImageJ and GeoTIFF descriptions that lie."""
    yield Case("OME", described(OME.format(**OME_WORDS)), "read", STACK)
    for name, lie in OME_LIES.items():
        yield Case(f"OME {name}", described(OME.format(**OME_WORDS | lie)), "either", STACK)
    whole = OME.format(**OME_WORDS)
    yield Case("OME cut in the middle", described(whole[:200]), "either", STACK)
    yield Case("OME nested 10^5 deep", described(whole.replace("<Image", "<a>" * 100_000 + "<Image")), "either", STACK)
    yield Case("OME with a NUL", described(whole.replace("Image:0", "Image\0")), "either", STACK)
    yield Case("OME without anything", described("<OME></OME>"), "either", STACK)
    yield Case("OME of two roots", described(whole + whole), "either", STACK)
    for name, words in {
        "more slices": "ImageJ=1.53\nimages=300\nslices=300\nhyperstack=true\n",
        "more than there can be": "ImageJ=1.53\nimages=1000000000000\nslices=1000000000000\n",
        "slices that do not multiply": "ImageJ=1.53\nimages=3\nchannels=7\nslices=5\nframes=11\nhyperstack=true\n",
        "negative": "ImageJ=1.53\nimages=-3\nslices=-3\n",
        "words": "ImageJ=1.53\nimages=three\nslices=three\n",
        "spacing words": "ImageJ=1.53\nimages=3\nslices=3\nunit=um\nspacing=wide\nfinterval=soon\n",
        "bare": "ImageJ=\n",
        "a minimum of garbage": "ImageJ=1.53\nimages=3\nslices=3\nmin=x\nmax=\x01\n",
    }.items():
        yield Case(f"ImageJ {name}", described(words), "either", STACK)
    for name, words in {
        "of another shape": '{"shape": [7, 40, 48]}',
        "of a huge shape": '{"shape": [1000000000000, 40, 48]}',
        "of a negative shape": '{"shape": [-3, 40, 48]}',
        "of no list": '{"shape": "three"}',
        "cut short": '{"shape": [3, 40',
        "deep": "{" + '"shape": ' + "[" * 50_000,
    }.items():
        yield Case(f"shaped {name}", described(words), "either", STACK)
    yield Case("SCN without XML", described('<?xml version="1.0"?><scn'), "either", STACK)
    yield Case("Aperio of nothing", described("Aperio Image Library\nAppMag = x|MPP = y"), "either", STACK[::2])
    yield Case("metaseries", described("<MetaData>"), "either", STACK)


def cases():
    """Every case of this module."""
    for group in (headers, pages, bombs, codecs, metadata):
        yield from group()
