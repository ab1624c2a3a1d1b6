"""Stores to export, and what their levels are, by code that shares nothing with the export."""

from dataclasses import replace

import numpy as np
from sinks.sink_help import fill, sink_of
from sources.sources_help import noise


def store_of(path, shape=(133, 79), dtype="uint16", axes="yx", chunks=None, provenance=None, pixels=None, **info):
    """Write a finished store, and return its pixels."""
    chunks = chunks or tuple(min(48, n) if axis in "yx" else 1 for axis, n in zip(axes, shape, strict=True))
    sink = sink_of(path, shape, dtype, chunks, axes)
    sink = replace(sink, layout=replace(sink.layout, info=replace(sink.layout.info, **info)))
    pixels = noise(shape, dtype) if pixels is None else pixels
    sink.create()
    fill(sink, pixels, chunks)
    sink.finish(provenance or {}, name="cells")
    return pixels


def halved(pixels, nodata=None):
    """Return means of what lies in each square of two rows and columns, at the far edges of fewer."""
    odd = [(0, 0)] * (pixels.ndim - 2) + [(0, n % 2) for n in pixels.shape[-2:]]
    whole = np.pad(np.where(pixels == nodata, np.nan, pixels.astype(float)), odd, constant_values=np.nan)
    squares = np.stack([whole[..., y::2, x::2] for y in (0, 1) for x in (0, 1)])
    valid = np.isfinite(squares)
    means = np.where(valid, squares, 0).sum(0) / np.maximum(valid.sum(0), 1)
    means = np.where(valid.any(0), means, np.nan if nodata is None else nodata)
    return means.astype(pixels.dtype) if pixels.dtype.kind == "f" else np.rint(means).astype(pixels.dtype)
