"""Which segments of a TIFF a block of pixels is made of, and what of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tileconv.boxes import Box
from tileconv.sources.axes import AxisMap
from tileconv.sources.source import Pixels, Window, cells
from tileconv.sources.tiff_layout import Layout


class Piece(NamedTuple):
    """The *part* of the segment that belongs in *out*; the segment lies *at* a window of the file's axes."""

    segment: tuple[int, int]
    part: Window
    out: Pixels
    at: Window


def pieces_of(layout: Layout, axes: AxisMap, box: Box, block: Pixels) -> Iterator[Piece]:
    """Yield the parts of segments of which *block* is made, in the order in which they lie in the file."""
    window = axes.window(box)
    trailing = 3 if layout.page[4] > 1 else 2
    area = (*window[-trailing:], slice(0, 1))[:3]
    planes = np.arange(layout.planes).reshape(layout.shape[:-trailing])[window[:-trailing]]
    view = axes.as_in_file(block)
    view = view if trailing == 3 else view[..., np.newaxis]
    if not planes.ndim:
        planes, view = planes.reshape(1), view[np.newaxis]
    deep = window[-trailing - 1] if len(window) > trailing else slice(0, 1)
    for lead in np.ndindex(planes.shape[:-1]):
        at = tuple(slice(s.start + i, s.start + i + 1) for s, i in zip(window, lead, strict=False))
        for (slab,), part, place in cells((deep,), layout.segment[:1]):
            whole = (*at, slice(slab * layout.segment[0], (slab + 1) * layout.segment[0]))[: len(window) - trailing]
            first = int(planes[lead][place][0])
            yield from _in_slab(layout, first, (*part, *area), view[lead][place], whole)


def _in_slab(layout: Layout, plane: int, area: Window, out: Pixels, at: Window) -> Iterator[Piece]:
    """Yield the parts of *out*, planes by rows by columns by samples: the window *area* of planes of one segment.

    *plane* is the first of them; *area* counts planes from where the segment begins, and *at* is the segment along
    the axes of the file before its rows.
    """
    samples, depth, rows, columns, _ = layout.page
    page, inner = divmod(plane, samples * depth)
    sample, slab = divmod(inner, depth)
    _, high, wide, _ = layout.segment
    tall, broad = -(-rows // high), -(-columns // wide)
    first = (sample * -(-depth // layout.segment[0]) + slab // layout.segment[0]) * tall * broad
    for (_, down, across, _), part, place in cells(area, layout.segment):
        inside = slice(down * high, (down + 1) * high), slice(across * wide, (across + 1) * wide)
        yield Piece((page, first + down * broad + across), part, out[place], (*at, *inside))


def chunks_of(layout: Layout, axes: AxisMap) -> tuple[int, ...]:
    """Return the chunk that one read decodes at least, in canonical order: a segment, or a row of a plain strip."""
    trailing = 3 if layout.page[4] > 1 else 2
    rows = 1 if layout.plain and not layout.tiled else layout.segment[1]
    inside = (rows, layout.segment[2], layout.segment[3])[:trailing]
    lead = [1] * (len(layout.shape) - trailing)
    if lead and layout.segment[0] > 1:
        lead[-1] = layout.segment[0]
    return tuple(min(c, n) for c, n in zip(axes.of_file((*lead, *inside)), axes.of_file(layout.shape), strict=True))
