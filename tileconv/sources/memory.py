"""An array in memory as a source."""

from __future__ import annotations

import hashlib

import numpy as np

from tileconv.boxes import Box, default_axes
from tileconv.images import ImageInfo
from tileconv.sources.source import Fingerprint, Pixels, Reads, pixel_type


class MemorySource:
    """A NumPy array whose axes are letters of ``tczyx`` in that order; by default the last ones, ``yx``, ``zyx`` ...

    Examples
    --------
    >>> MemorySource(np.arange(12).reshape(3, 4)).read(Box((1, 2), (3, 4)))
    array([[ 6,  7],
           [10, 11]])
    """

    cache_bytes = 0
    changed = 0
    libraries: tuple[str, ...] = ()
    where = "array in memory"

    def __init__(self, array: Pixels, axes: str | None = None, *, copies: bool = True) -> None:
        self.info = ImageInfo(
            array.shape, axes or default_axes(array.ndim), pixel_type(array.dtype, self.where), (1,) * array.ndim
        )
        self._array, self._copies = array, copies

    @property
    def fingerprint(self) -> Fingerprint:
        """Size in bytes and digest of all pixels."""
        digest = hashlib.sha256(np.ascontiguousarray(self._array).data).hexdigest()[:32]
        return {"size": self._array.nbytes, "digest": digest}

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:  # noqa: ARG002  no chunk is kept
        """Return the pixels of *box*: a copy, or where ``copies`` is off perhaps a view that nobody may write to."""
        return self._array[box.within(self.info.box)].astype(self.info.dtype, order="C", copy=self._copies)

    def check_stored(self) -> None:
        """See ``Source.check_stored``: the pixels went with the recipe."""

    def missing_chunks_total(self) -> tuple[int, int]:
        """Nothing is missing: the array is one chunk."""
        return 0, 1

    def acquired(self) -> str:
        """See ``Source.acquired``."""
        return ""
