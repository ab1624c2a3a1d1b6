"""How much memory a tile takes, as a literal sum: the largest moment of its life, worked out from sizes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from heapq import nlargest

from numpy import can_cast

from tileconv.engines.values import Dtype
from tileconv.images import ImageInfo
from tileconv.planning.stages import Stage
from tileconv.quick import dataclass
from tileconv.storage import Storage

BASE_BYTES, BARE_BYTES = 300 * 2**20, 128 * 2**20
"""A process that has imported everything and compiles its loops, as a first run does, and one that has no loops."""
SHARD_PART_BYTES = 2**20
"""``GATHER`` of ``sinks.zarr``: what of a shard is gathered, at least, before it is written."""
_ZSTD_BYTES = tuple((level, size * 2**20) for level, size in ((3, 4), (6, 8), (9, 32), (12, 64), (19, 128)))
"""What zstd takes of its own up to a level, for any size of chunk (ZSTD_estimateCCtxSize of zstd 1.5.7, rounded up)."""


@dataclass(frozen=True)
class Bytes:
    """One line of the sum: the name of what is held, and how many bytes of it."""

    name: str
    count: int


@dataclass(frozen=True)
class TileSizes:
    """The largest tile of a pass, in pixels.

    ``read``, of each array, and ``computed`` are pixels of all its planes or volumes (t, c) at both ends; ``strip``
    those of one volume that are made at once, for which ``want`` gives the pixels per stage, and ``out`` those of
    stages and reads by their numbers. Of these as many ``volumes`` are held at once: one where nothing is said.
    """

    read: tuple[int, ...]
    computed: int
    strip: int
    want: tuple[int, ...]
    out: Mapping[int, int]
    volumes: Mapping[int, int] = field(default_factory=dict)


def tile_bytes(
    stages: Sequence[Stage],
    reads: Sequence[tuple[ImageInfo, Dtype]],
    writes: Sequence[tuple[int, Dtype, bool]],
    px: TileSizes,
    decoded: int,
    encoding: int,
) -> tuple[Bytes, ...]:
    """Return what is held at the worst moment of the largest tile.

    Parameters
    ----------
    reads
        Each array that is read, as it is stored, and its pixel type once missing pixels are marked.
    writes
        Of each array that is written the number of its stage, or read, its pixel type, and whether NaN becomes a value.
    decoded
        Bytes of one stored chunk of what is read.
    encoding
        What ``encoding_bytes`` says of what is written.
    """
    read = Bytes("block read", sum(n * of.as_read.itemsize for n, (of, _) in zip(px.read, reads, strict=True)))
    apart = max((n * _apart(of) for n, (of, _) in zip(px.read, reads, strict=True)), default=0)
    tile = Bytes("tile in the output's type", px.computed * sum(dtype.itemsize for _, dtype, _ in writes))
    types = {-1 - n: block for n, (_, block) in enumerate(reads)} | {
        n: s.values_out.dtype for n, s in enumerate(stages)
    }
    size = {n: px.volumes.get(n, 1) * px.out[n] * dtype.itemsize for n, dtype in types.items()}
    own = size | {
        -1 - n: 0 for n, (of, block) in enumerate(reads) if of.as_read == block
    }  # they are views of the block
    last = last_reader(stages)

    def kept(number: int) -> tuple[Bytes, ...]:
        """Return the results that wait while stage *number* is made, or cast, for one after it."""
        others = [n for n in own if n < number and last.get(n, -1) > number and n not in stages[number].inputs]
        return (Bytes("results that later stages read", sum(own[n] for n in others)),) if others else ()

    moments: list[tuple[Bytes, ...]] = [
        (read, Bytes("chunk being decoded", 2 * decoded), Bytes("image or mask alone", apart))
    ]
    for n, (of, block) in enumerate(reads):
        if block != of.as_read:
            marked = px.out[-1 - n] * (1 + (of.dtype.itemsize if of.mask else 0))
            moments.append((read, tile, Bytes("missing pixels marked", size[-1 - n] + marked)))
    for number, (stage, want) in enumerate(zip(stages, px.want, strict=True)):
        given, volumes = sum(own[i] for i in set(stage.inputs)), px.volumes.get(number, 1)
        moments.append((read, tile, *_stage_bytes(stage, given, want, px.out[number], volumes), *kept(number)))
    for number, dtype, marked in writes:
        cast = px.strip * (dtype.itemsize * (marked or not can_cast(types[number], dtype)) + 2 * marked)  # two masks
        moments.append(
            (read, tile, Bytes("last stage's output", size[number] + cast), *(kept(number) if number >= 0 else ()))
        )
    moments.append((tile, Bytes("chunks being encoded", encoding)))
    return max(moments, key=total)


def _apart(info: ImageInfo) -> int:
    """Return the bytes of a pixel of an image, or of its mask, that is read and not yet beside the other."""
    return max(of.dtype.itemsize for of in info.stored) + 1 if info.mask else 0


def last_reader(stages: Sequence[Stage]) -> dict[int, int]:
    """Return the last stage that reads each stage and read, by their numbers; what none reads is left out."""
    return {i: number for number, stage in enumerate(stages) for i in stage.inputs}


def encoding_bytes(storage: Storage, chunk: int) -> int:
    """Return what a worker holds while it encodes a chunk of *chunk* bytes: copies of it, and what the codec takes.

    Of a shard what is gathered of it to be written at once is held as well, and copied as it grows.
    """
    codec = storage.codec
    own = next((size for level, size in _ZSTD_BYTES if codec.level and codec.level <= level), 0)
    gathered = 2 * (chunk + SHARD_PART_BYTES) if storage.shards else 0
    return 3 * chunk + gathered + own * (codec.name == "zstd")


def total(parts: Sequence[Bytes]) -> int:
    """Return the sum of *parts* in bytes."""
    return sum(part.count for part in parts)


def processes_of(workers: int, executor: str) -> int:
    """Return how many processes of this machine a run takes."""
    return workers + 1 if executor == "processes" else 1


def peak_bytes(process: int, tiles: Iterable[tuple[int, int]], workers: int, executor: str) -> int:
    """Return the memory of a whole run: every process with what it always holds, every worker with its largest tile.

    *tiles* are the bytes of one, and how many there are: a worker for which none is left has none.
    """
    at_once = nlargest(workers, (size for size, count in tiles for _ in range(min(count, workers))))
    return processes_of(workers, executor) * process + sum(at_once)


def _stage_bytes(stage: Stage, given: int, want: int, out: int, volumes: int) -> tuple[Bytes, ...]:
    """Return what *stage* takes while it makes *volumes* of *out* pixels; of one, or of one by one, if it does not mix.

    The formula's own are those of one channel, beside those that are made.
    """
    type_out, held = stage.values_out.dtype, stage.padded[0]
    together = stage.volumes_in if stage.operation.mixes_channels else 1
    whole = together > 1 or stage.operation.makes_channels
    waiting = volumes if whole else volumes - max(1, volumes // stage.volumes_in)
    viewed = not stage.reaches or stage.operation.padding == (0, 0, 0)  # nothing lies around it
    extended = (stage.reaches or together > 1) and not (viewed and stage.values_in[0].dtype == held.dtype)
    gathers = stage.operation.gathers
    at_once = max if gathers else sum
    sums = at_once([c.sums.accumulate.itemsize for c in stage.choices] or [0])
    cast = at_once([type_out.itemsize * (c.sums.accumulate != type_out) for c in stage.choices] or [0])
    widened = type_out != stage.made.dtype
    own = [c.by.scratch(c, held, want) for c in stage.every_choice]
    return (
        Bytes(f"input of {stage.name}", given),
        Bytes("extended by the border", together * want * held.dtype.itemsize if extended else 0),
        Bytes("sums", out * (sums + cast)),
        Bytes("engine's own", (1 + gathers) * max(own, default=stage.operation.scratch(held, want))),
        Bytes("missing pixels and coverage", _coverage_bytes(stage, want, out)),
        Bytes(f"output of {stage.name}", (stage.operation.copies + waiting + widened) * out * type_out.itemsize),
    )


def _coverage_bytes(stage: Stage, want: int, out: int) -> int:
    """Return what leaving missing pixels out takes: their mask, pixels with zeros for them, and sums of one kernel."""
    sums = (c.choice.sums.accumulate.itemsize for c in stage.coverage)
    bare = (c.sums.accumulate.itemsize for c in stage.choices if stage.operation.sum_offset)
    own = want * (1 + stage.padded[0].dtype.itemsize) if stage.coverage else 0
    return own + out * (max(sums, default=0) + max(bare, default=0) * bool(stage.coverage))


def kernel_bytes(stages: Sequence[Stage]) -> int:
    """Return what kernels take in one process: grids of weights where an engine wants them, and their transforms."""
    own = sum(s.operation.kernel_bytes(s.made) for s in stages)
    return own + sum(c.by.kernel_bytes(c) for s in stages for c in s.every_choice)
