"""The files of an output: chunks, and shards of them, so that a file is neither tiny nor more than a tile holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.planning.files import check_file
from tileconv.spec.model import OutputSpec
from tileconv.storage import USUAL, Storage, file_kind

CHUNK, LAYER_CHUNK, WASTE = 1024, 512, 1.125
"""Pixels per chunk along y and x; where layers make a pixel cost a thousand times more, and a tile has all channels;
and how much longer than the image its chunks may be together."""
LEAST_BYTES = 2**20
"""A smaller chunk takes more planes: below it files cost more than their pixels."""
FILES, SHARD_BYTES = 4096, 2**22
"""Of more files, with chunks below ``LEAST_BYTES``, shards are made, of so many bytes or up to twice that."""
MOST_BYTES = 2**30
"""The largest chunk or shard: what tileconv itself reads without being told to."""

Asked = Mapping[str, int] | Literal["none"] | None


def chunk_side(axis: str, size: int, most: int = CHUNK) -> int:
    """Return the pixels per chunk along an axis of *size* pixels that the spec leaves open.

    1 along all but y and x. There *most*, but chunks of one length where these would reach far beyond the image: what a
    chunk has outside is encoded and stored as well.

    Examples
    --------
    >>> chunk_side("y", 16384), chunk_side("y", 1104), chunk_side("y", 700), chunk_side("c", 3)
    (1024, 552, 700, 1)
    """
    if axis not in "yx":
        return 1
    count = -(-size // most)
    even = -(-size // count)
    return most if size > most and count * most <= WASTE * size else even


def chunks_of(info: ImageInfo, asked: Mapping[str, int], shards: Asked, most: int = CHUNK) -> tuple[int, ...]:
    """Return the pixels per chunk along each axis of *info*, as *asked*, and otherwise so that a chunk has 1 MiB.

    Small planes are put together along z, then t: 96 x 220 pixels of float32 make chunks of 14 planes. Where the size
    of *shards* is stated and that of chunks is not, a chunk is the largest part of a shard up to 1024 pixels. None that
    is not asked for is longer than *most*.
    """
    parts = {axis: _part(size) for axis, size in shards.items()} if isinstance(shards, Mapping) else {}
    stated = parts | dict(asked)
    sides = {
        axis: stated.get(axis, chunk_side(axis, size, most)) for axis, size in zip(info.axes, info.shape, strict=True)
    }
    sides = {axis: min(sides[axis], size) for axis, size in zip(info.axes, info.shape, strict=True)}
    for axis in "zt":
        count = math.prod(sides.values()) * info.dtype.itemsize
        if axis in sides and axis not in stated and count < LEAST_BYTES:
            size = info.shape[info.axes.index(axis)]
            sides[axis] = -(-size // max(1, size // -(-LEAST_BYTES // count)))
    return tuple(sides.values())


def _part(size: int) -> int:
    """Return the largest divisor of *size* up to ``CHUNK``."""
    return next(part for part in range(min(size, CHUNK), 0, -1) if size % part == 0)


def storage_of(info: ImageInfo, output: OutputSpec) -> Storage:
    """Return how the image *info*, whose chunks are known, is stored.

    Raises
    ------
    PlanError
        If the output is a file that does not hold such an image, shards are no whole number of chunks, or what one
        file holds is larger than 1 GiB.
    """
    kind = file_kind(output.path.name)
    if kind:
        check_file(info, kind, output.codec.name, output.key)
    shards = _shards(info, output) if output.format == "0.5" else ()
    checksum = output.checksum or ("crc32c" if output.format == "0.5" else "none")
    storage = Storage(USUAL.codec if kind else output.codec, checksum, shards, output.format)
    unit = storage.unit(info.chunks)
    if math.prod(unit) * info.dtype.itemsize > MOST_BYTES:
        what = "shards" if shards else "chunks"
        raise PlanError(
            f"a file of {' x '.join(map(str, unit))} pixels of {info.dtype} holds more than 1 GiB",
            where=f"{output.key}.{what}",
            fix="Use smaller ones.",
        )
    return storage


def _shards(info: ImageInfo, output: OutputSpec) -> tuple[int, ...]:
    asked = output.shards
    sides = dict(zip(info.axes, info.chunks, strict=True))
    whole = {a: -(-n // c) * c for a, n, c in zip(info.axes, info.shape, info.chunks, strict=True)}
    if asked == "none":
        return ()
    if asked is not None:
        for axis in (axis for axis in sides if axis in asked):
            size, chunk = asked[axis], sides[axis]
            if size % chunk and size < whole[axis]:
                raise PlanError(
                    f"shards of {size} pixels along {axis} are no whole number of chunks of {chunk}",
                    where=f"{output.key}.shards",
                    fix=f"Use {-(-size // chunk) * chunk}, or set {output.key}.chunks.",
                )
            sides[axis] = min(size, whole[axis])
        return tuple(sides.values())
    files = math.prod(whole[axis] // sides[axis] for axis in sides)
    held = math.prod(info.chunks) * info.dtype.itemsize
    if held >= LEAST_BYTES or files <= FILES:
        return ()
    for axes in ("yx", "z", "t", "c"):
        growing = [axis for axis in axes if axis in sides]
        while held < SHARD_BYTES and (growing := [axis for axis in growing if sides[axis] < whole[axis]]):
            axis = min(growing, key=sides.__getitem__)
            longer = min(2 * sides[axis], whole[axis])
            held, sides[axis] = held * longer // sides[axis], longer
    return tuple(sides.values())
