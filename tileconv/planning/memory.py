"""How much memory a tile takes, as a literal sum: the largest moment of its life, worked out from sizes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tileconv.engines.choose import Choice
from tileconv.engines.direct import LOADABLE
from tileconv.engines.transform import LANES, strips
from tileconv.engines.values import Dtype, Values
from tileconv.planning.stages import Stage
from tileconv.storage import Storage

BASE_BYTES = 300 * 2**20
"""A process that has imported everything and compiles its loops, as a first run does; others take 150 MiB less."""
SHARD_PART_BYTES = 2**20
"""``GATHER`` of ``sinks.zarr``: what of a shard is gathered, at least, before it is written."""
_ZSTD_BYTES = tuple((level, size * 2**20) for level, size in ((3, 4), (6, 8), (9, 32), (12, 64), (19, 128)))
"""What zstd takes of its own up to a level, for any size of chunk (ZSTD_estimateCCtxSize of zstd 1.5.7, rounded up)."""
FFT_COPIES = 7
"""Arrays of a transform's size that one FFT block holds at once, in float64."""


@dataclass(frozen=True)
class Bytes:
    """One line of the sum: the name of what is held, and how many bytes of it."""

    name: str
    count: int


@dataclass(frozen=True)
class TileSizes:
    """The largest tile of a pass, in pixels; ``lead`` is how many planes or volumes (t, c) it holds.

    ``read`` and ``computed`` are pixels of one such volume at both ends; ``strip`` those made at once, for which
    ``have``, ``want`` and ``out`` give the pixels per stage.
    """

    lead: int
    read: int
    computed: int
    strip: int
    have: tuple[int, ...]
    want: tuple[int, ...]
    out: tuple[int, ...]


def tile_bytes(
    stages: Sequence[Stage], px: TileSizes, source: Dtype, block: Dtype, output: Dtype, decoded: int, encoding: int
) -> tuple[Bytes, ...]:
    """Return what is held at the worst moment of the largest tile.

    Parameters
    ----------
    source, block, output
        Pixel types of the file, of the block once missing pixels are marked, and of the output.
    decoded
        Bytes of one stored chunk of the input.
    encoding
        What ``encoding_bytes`` says of the output.
    """
    read = Bytes("block read", px.lead * px.read * source.itemsize)
    tile = Bytes("tile in the output's type", px.lead * px.computed * output.itemsize)
    moments: list[tuple[Bytes, ...]] = [(read, Bytes("chunk being decoded", 2 * decoded))]
    if block != source:
        marked = px.have[0] if stages else px.read
        moments.append((read, tile, Bytes("missing pixels marked", marked * (block.itemsize + 1))))
    for number, (stage, have, want, out) in enumerate(zip(stages, px.have, px.want, px.out, strict=True)):
        first = number == 0 and block == source
        moments.append((read, tile, *_stage_bytes(stage, 0 if first else have, want, out)))
    last = stages[-1].values_out.dtype if stages else block
    cast = px.strip * (last.itemsize + output.itemsize) if last != output else px.strip * last.itemsize
    moments.append((read, tile, Bytes("last stage's output", cast)))
    moments.append((tile, Bytes("chunks being encoded", encoding)))
    return max(moments, key=total)


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


def peak_bytes(process: int, tile: int, workers: int, executor: str) -> int:
    """Return the memory of a whole run: every process with what it always holds, every worker with its largest tile."""
    return processes_of(workers, executor) * process + workers * tile


def _stage_bytes(stage: Stage, have: int, want: int, out: int) -> tuple[Bytes, ...]:
    made = stage.values_out.dtype
    sums = sum(c.sums.accumulate.itemsize for c in stage.choices)
    cast = sum(made.itemsize for c in stage.choices if c.sums.accumulate != made)
    return (
        Bytes(f"input of {stage.name}", have * stage.values_in.dtype.itemsize),
        Bytes("extended by the border", want * stage.padded.dtype.itemsize if stage.choices else 0),
        Bytes("sums", out * (sums + cast)),
        Bytes("engine's own", max((_scratch(c, stage.padded, want) for c in stage.choices), default=0)),
        Bytes(f"output of {stage.name}", stage.operation.copies * out * made.itemsize),
    )


def _scratch(choice: Choice, values: Values, want: int) -> int:
    """Return what an engine holds beside its input and its sums."""
    if choice.engine == "fft":
        grid = choice.grid
        own = FFT_COPIES * 8 * math.prod(grid.length)  # of a paired block: what one of both takes in float64
        if grid.paired:  # beside it the centred pixels, the strips of the transform, and the one under work
            _, rows, columns = grid.length
            own += 4 * math.prod(s + k - 1 for s, k in zip(grid.step, choice.shape, strict=True))
            own += 8 * LANES * (strips(rows) * columns + rows)
        return own
    size = choice.sums.accumulate.itemsize
    copied = want * size if values.dtype.name not in LOADABLE[choice.sums.accumulate] else 0
    deep = want * size if choice.engine == "separable" and choice.shape[0] > 1 else 0
    return copied + deep


def kernel_bytes(stages: Sequence[Stage]) -> int:
    """Return what kernels take in one process: grids of weights where an engine wants them, and their transforms."""
    count = 0
    for choice in (c for s in stages for c in s.choices):
        if choice.engine != "separable" or choice.kernel.dense is not None:
            count += 3 * 8 * math.prod(choice.shape)  # as given, as checked, in the type of the sums
        if choice.engine == "fft":
            grid = choice.grid
            last = grid.length[grid.transformed[-1]]
            half = grid.points // last * (last // 2 + 1)
            # each is kept with the weights; blocks that float32 would drown have a second transform, in float64
            narrow = 8 * (strips(grid.length[1]) * LANES * last if grid.paired else half)
            keys, kept = (2, narrow + 16 * half) if grid.narrow else (1, 16 * half)
            count += kept + keys * 8 * math.prod(choice.shape)
    return count
