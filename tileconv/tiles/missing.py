"""Missing pixels: marked as NaN as they are read; of a stage they are filled, refused, or left out of its sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.alike import one_of, repeated
from tileconv.boxes import Box
from tileconv.engines.cast import exactly
from tileconv.engines.coverage import renormalize
from tileconv.engines.nonfinite import bands
from tileconv.engines.sums import each_sum, kernel_sums
from tileconv.errors import TileError
from tileconv.images import equal, parted
from tileconv.planning.parts import Missing, Pass, Read
from tileconv.planning.regions import Region
from tileconv.planning.stages import Stage

Array = NDArray[Any]


def any_missing(pixels: Array) -> bool:
    """Return whether one of *pixels* (z, y, x) is NaN."""
    return any(np.isnan(pixels[:, rows].min(initial=np.inf)) for rows in bands(pixels))


def settled(pixels: Array) -> Array:
    """Return *pixels* (z, y, x), where they are one value or all missing as one that is repeated."""
    if pixels.dtype.names:
        hidden = pixels.size > 0 and not pixels["valid"][0, 0, 0] and not pixels["valid"].any()
        return np.broadcast_to(pixels[:1, :1, :1], pixels.shape) if hidden else pixels
    made = repeated(pixels)
    if one_of(made) is None and _all_missing(pixels):
        return np.broadcast_to(np.full(1, np.nan, pixels.dtype), pixels.shape)
    return made


def _all_missing(pixels: Array) -> bool:
    """Return whether every one of *pixels* is NaN; one look at the first tells of most that they are not."""
    return pixels.dtype.kind == "f" and pixels.size > 0 and bool(np.isnan(pixels[0, 0, 0]) and np.isnan(pixels).all())


def held(stage: Stage, pixels: Array) -> Array:
    """Return *pixels* in the type of the block of *stage*, which reaches further than a pixel."""
    values = stage.padded[0]
    return exactly(pixels, values.dtype) if values.whole else pixels.astype(values.dtype, copy=False)


def followed(stage: Stage, inputs: list[Array]) -> list[Array]:
    """Return the *inputs* of *stage* once its rule for missing pixels is followed, but for those left out of sums.

    Raises
    ------
    TileError
        If a pixel is missing and the rule is ``error``.
    """
    if stage.missing is None or stage.missing.renormalizes:
        return inputs
    made = []
    for pixels, values in zip(inputs, stage.padded, strict=True):
        missing = pixels.dtype.kind == "f" and pixels.size and any_missing(pixels)
        if missing and stage.missing.value is None:
            raise TileError(
                f"missing pixels before stage {stage.name}, whose rule is missing: {{rule: error}}",
                fix="Choose another rule for the stage, or repair the input.",
            )
        if missing:
            absent, pixels = np.isnan(pixels), pixels.astype(values.dtype)
            pixels[absent] = stage.missing.value
        made.append(pixels)
    return made


def stage_sums(stage: Stage, block: Array, want: Box, out: Box) -> tuple[list[Array], Array, int]:
    """Return the sums of *stage* at *out*, the pixels that its formula reads, and FFT blocks summed directly.

    Parameters
    ----------
    block
        The pixels of *want*, extended by the border; without kernels the formula reads all of them.
    """
    if not stage.choices:
        return [], block, 0
    absent = np.isnan(block) if stage.coverage and any_missing(block) else None
    valid = block if absent is None else np.where(absent, block.dtype.type(0), block)
    offset, domain = stage.operation.sum_offset, stage.domain_out
    made = [kernel_sums(c, valid, want, out, domain, offset) for c in stage.choices]
    sums, fallbacks = [s for s, _ in made], sum(n for _, n in made)
    own = block[out.within(want)] if stage.operation.reads_pixels else block
    if absent is None:
        return sums, own, fallbacks
    for choice, coverage, summed in zip(stage.choices, stage.coverage, sums, strict=True):
        lost, _ = kernel_sums(coverage.choice, absent.view(np.uint8), want, out, domain)
        plain = kernel_sums(choice, valid, want, out, domain)[0] if offset else summed
        renormalize(coverage, lost, plain, summed, offset)
    here, inside = np.zeros(out.shape, bool), out.intersect(want)  # zeros around are not in the block of a whole image
    here[inside.within(out)] = absent[inside.within(want)]
    if stage.missing is not None and stage.missing.keep:
        for summed in sums:
            summed[here] = np.nan
    elif stage.operation.reads_pixels:  # a pixel that is filled is what is put in its place
        own = np.where(here, sums[0], own)
    return sums, own, fallbacks


def marked(
    pass_: Pass, read: Mapping[int, Sequence[Array]], steps: Mapping[int, Region], out: Box
) -> tuple[dict[int, Sequence[Array]], int]:
    """Return the volumes of each *read* with missing pixels marked, and how many *out* has of these.

    Raises
    ------
    TileError
        If a pixel is missing and the rule is ``error``.
    """
    made, missing = dict(read), 0
    for number, volumes in read.items():
        of, box = pass_.reads[-1 - number], steps[number].out
        if of.missing:
            image, ours = (pass_.regions.seen(number, b) for b in (pass_.whole, out))
            ends = _owned(of, image, ours)
            if pass_.partial and of.missing.rule == "error":  # no other tile refuses what lies in the halo
                ends = of.domain
            pixels, absent = zip(*(_mark(of, of.missing, volume, box, ends) for volume in volumes), strict=True)
            made[number], missing = [settled(volume) for volume in pixels], missing + sum(absent)
    return made, missing


def _mark(read: Read, missing: Missing, pixels: Array, have: Box, owned: Box) -> tuple[Array, int]:
    """Return *pixels* in the block's type, those *missing* as the rule says, and how many of them *owned* holds.

    One pixel that is repeated stays so.
    """
    dtype, shape, one = read.block.dtype, pixels.shape, one_of(pixels)
    pixels, valid = parted(pixels if one is None else one)
    absent = np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, bool)
    if valid is not None:
        absent |= ~valid
    if missing.nodata is not None:
        absent |= equal(pixels, missing.nodata)
    inside = have.intersect(owned)  # may be empty: a tile may lie wholly beyond the image
    if one is None:
        count = int(absent[inside.within(have)].sum()) if inside.size else 0
    else:
        count = inside.size * int(absent[0, 0, 0])
    if count and missing.rule == "error":
        raise TileError(
            f"{count:,} missing pixels under missing: {{rule: error}}",
            fix="Choose rule propagate or fill, or repair the input.",
        )
    made = exactly(pixels, dtype, besides=absent) if read.exact else pixels.astype(dtype)
    if absent.any() and missing.rule != "error":  # in the halo, where another tile refuses it
        made = np.where(absent, dtype.type(missing.value if missing.rule == "fill" else np.nan), made)
    return made if one is None else np.broadcast_to(made[0, 0, 0], shape), count


def _owned(read: Read, image: Box, tile: Box) -> Box:
    """Return *tile* grown to the image's ends where it is an outer one: ``valid`` reads pixels that no tile has."""
    domain = read.domain
    ends = zip(tile.start, tile.stop, image.start, image.stop, domain.start, domain.stop, strict=True)
    bounds = [(min(a, d) if a == i else a, max(b, e) if b == j else b) for a, b, i, j, d, e in ends]
    grown = Box(tuple(a for a, _ in bounds), tuple(b for _, b in bounds), tile.axes)
    return grown.intersect(domain)  # beyond it ``wrap`` repeats pixels of other tiles


def gathered(stage: Stage, block: Array, step: Region) -> tuple[Sequence[Array], int]:
    """Return what the stage makes of its sums, which it takes part by part."""
    fallbacks = []

    def parts() -> Iterator[tuple[int, tuple[slice, ...], Array]]:
        for number, part, sums, fell in each_sum(stage.choices, block, step.want, step.out, stage.domain_out):
            fallbacks.append(fell)
            yield number, part.within(step.out), sums

    return stage.operation.gather(parts(), step.out.shape, stage.choices, stage.made), sum(fallbacks)
