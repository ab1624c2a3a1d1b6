"""A small PNG of an image of any size, read in parts, so that people see what a run made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tileconv.boxes import Box, TileGrid
from tileconv.errors import GeometryError, SourceError
from tileconv.images import ImageInfo, equal, parted
from tileconv.sinks.files import sink_errors
from tileconv.sources.source import Source
from tileconv.stores import steady

_PART_PX = 2**21  # pixels per read: 16 MiB as float64
_SIGNED_SHARE = 0.25  # negative values deeper than this share of the peak are signal; sharpened photographs stay below


def write_picture(source: Source, png: Path | str, *, max_px: int = 1024, signed: bool = False, zoom: int = 1) -> None:
    """Write *source* as a PNG whose longer side has at most *max_px* pixels, *zoom* of them for one that is shown.

    What is shown is the mean of a square of the image; the image is read in parts of a few megapixels. Of
    the axes t and z the first plane is shown; three or four channels are shown as red, green and blue, else the first
    channel. Values from the 0.5th to the 99.5th percentile span black to white, or white to black where 0 is white
    (``info.inverted``); with marked negative values (edges) zero is mid-gray. Where no pixel is finite, or all are
    missing (``info.nodata``, ``info.mask``), the picture is black. A *signed* picture is of the first channel: 0 is
    white, values above it are blue and those below red, up to the 99.5th percentile of the absolute values; what is
    missing is gray.

    Raises
    ------
    GeometryError
        If the image has fewer than two axes, or no pixels.
    SourceError
        If the image cannot be read.
    SinkError
        If the file system refuses the PNG.
    """
    values = _reduced(source, _plane(source.info), max(1, max_px // zoom))
    pixels = _about_zero(values[0]) if signed else _to_bytes(values, inverted=source.info.inverted)
    pixels = pixels.repeat(zoom, axis=1).repeat(zoom, axis=2)
    bands = [Image.fromarray(channel) for channel in pixels]
    encoded = BytesIO()
    (Image.merge("RGB", bands) if len(bands) == 3 else bands[0]).save(encoded, "PNG")
    with sink_errors(Path(png)):
        steady.replace(Path(png), [[encoded.getvalue()]])


def smallest_level(opened: Callable[[int], Source], max_px: int) -> Source:
    """Return the smallest level of an image that is large enough for a picture of at most *max_px* pixels.

    A picture of it has three quarters of the pixels along a side that one of the full size would have, or more. Levels
    whose planes are not those of the full size, made smaller by one whole number along y and x, are passed over.

    Parameters
    ----------
    opened
        Opens a level of the image, 0 for the full size; SourceError if there is no such level.
    """
    chosen = opened(0)
    shape = chosen.info.shape
    side = max(shape[-2:])
    with suppress(SourceError):
        for number in count(1) if side > max_px else ():
            level = opened(number)
            planes, sides = level.info.shape[:-2], level.info.shape[-2:]
            factor = max(1, round(side / max(1, *sides)))
            if _pixels(-(-side // factor), max_px) < 0.75 * _pixels(side, max_px):
                break
            halved = all(n // factor <= m <= -(-n // factor) for n, m in zip(shape[-2:], sides, strict=True))
            chosen = level if halved and planes == shape[:-2] else chosen
    return chosen


def _pixels(side: int, max_px: int) -> int:
    """Return how many squares of whole pixels a *side* is cut into, *max_px* at most."""
    return -(-side // -(-side // max_px))


def _plane(info: ImageInfo) -> Box:
    """Return the part to show: one t and z, one or three channels, all along the last two axes."""
    if len(info.axes) < 2 or not info.box.size:
        raise GeometryError(f"a picture needs pixels of two axes, found {info.box}")
    lead = zip(info.axes[:-2], info.shape[:-2], strict=True)
    shown = [3 if axis == "c" and size in (3, 4) else 1 for axis, size in lead]
    return Box((0,) * len(info.axes), (*shown, *info.shape[-2:]), info.axes)


def _reduced(source: Source, plane: Box, max_px: int) -> NDArray[np.float64]:
    """Return (channel, y, x): means of squares of *plane*, NaN where a square has no valid pixel."""
    height, width = plane.shape[-2:]
    step = -(-max(height, width) // max_px)
    # As wide as the stored chunks, so that few are decoded twice; as high as the memory allows.
    across = _whole(min(width, max(1024, source.info.chunks[-1])), step)
    down = max(step, _PART_PX // across // step * step)
    out = np.empty((plane.size // (height * width), -(-height // step), -(-width // step)))
    for part in TileGrid(plane, (*plane.shape[:-2], down, across)):
        block, unmasked = parted(source.read(part))
        values = block.reshape(-1, *part.shape[-2:]).astype(np.float64)
        valid = np.isfinite(values)
        if source.info.nodata is not None:
            valid &= ~equal(block, source.info.nodata).reshape(values.shape)
        if unmasked is not None:
            valid &= unmasked.reshape(values.shape)
        values[~valid] = 0.0
        with np.errstate(invalid="ignore"):
            means = _sums(values, step) / _sums(valid.astype(np.float64), step)
        top, left = ((a - o) // step for a, o in zip(part.start[-2:], plane.start[-2:], strict=True))
        out[:, top : top + means.shape[1], left : left + means.shape[2]] = means
    return out


def _about_zero(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return (red, green, blue; y, x) of *values*: white at 0, blue above, red below, gray where there is none."""
    shown = np.isfinite(values)
    sizes = np.abs(values[shown])
    peak = float(np.percentile(sizes, 99.5)) or float(sizes.max()) if sizes.size else 0.0
    share = np.clip(np.where(shown, values, 0) / (peak or 1.0), -1, 1)
    light = np.stack([1 - share.clip(min=0), 1 - np.abs(share), 1 + share.clip(max=0)])
    made: NDArray[np.uint8] = np.rint(np.where(shown, light, 0.5) * 255).astype(np.uint8)
    return made


def _whole(pixels: int, step: int) -> int:
    return -(-pixels // step) * step


def _sums(values: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    rows = np.add.reduceat(values, np.arange(0, values.shape[1], step), axis=1)
    return np.add.reduceat(rows, np.arange(0, values.shape[2], step), axis=2)


def _to_bytes(values: NDArray[np.float64], *, inverted: bool) -> NDArray[np.uint8]:
    shown = np.isfinite(values)
    finite = values[shown]
    if not finite.size:
        return np.zeros(values.shape, np.uint8)
    low, high = (float(v) for v in np.percentile(finite, (0.5, 99.5)))
    if low == high:  # a few bright points on an even ground
        low, high = float(finite.min()), float(finite.max())
    if low < -_SIGNED_SHARE * high:
        high = max(-low, high)
        low = -high
    spread = high - low or 1.0
    light = np.clip(np.nan_to_num((values - low) / spread, nan=0.0), 0, 1)
    return np.rint((np.where(shown, 1 - light, 0) if inverted else light) * 255).astype(np.uint8)
