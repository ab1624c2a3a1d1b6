"""Missing pixels of a stage, which are NaN: filled, refused, or left out of its sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box
from tileconv.engines.cast import exactly
from tileconv.engines.coverage import renormalize
from tileconv.engines.nonfinite import bands
from tileconv.engines.sums import kernel_sums
from tileconv.errors import TileError
from tileconv.planning.stages import Stage

Array = NDArray[Any]


def any_missing(pixels: Array) -> bool:
    """Return whether one of *pixels* (z, y, x) is NaN."""
    return any(np.isnan(pixels[:, rows].min(initial=np.inf)) for rows in bands(pixels))


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
