"""Pixels of a whole TIFF tile to the bytes that stand for them: differences of neighbours first, then a codec."""

from __future__ import annotations

from typing import Any, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tileconv.errors import PlanError
from tileconv.formats.front import Value, shorts
from tileconv.quick import dataclass
from tileconv.storage import CODECS, LEVELS, TILED

_TAGS = {"none": 1, "lzw": 5, "jpeg": 7, "deflate": 8, "zstd": 50000}
_GRAY, _RGB, _YCBCR = 1, 2, 6
_CHROMA = {"colorspace": "RGB", "outcolorspace": "YCBCR", "subsampling": "420"}
_EXTRA = {"": 0, "associated": 1, "straight": 2}
"""What an extra sample is by the kind of alpha: none, one by which colours are multiplied, and one by which not."""
_WHOLE, _FLOAT = 2, 3
"""Predictors: differences of whole numbers; of the bytes of floats, sorted by their weight."""


@dataclass(frozen=True)
class Encoding:
    """How tiles of *dtype* are encoded whose pixels hold as many *samples*, of which so many are *colours*: 3 or 1.

    The last one is *alpha* of that kind, ``straight`` or ``associated``, or none.

    Raises
    ------
    PlanError
        If there is no such codec, or it has no such level.
    """

    dtype: np.dtype[Any]
    samples: int
    colours: int
    codec: str = "deflate"
    level: int | None = None
    alpha: str = ""

    def __post_init__(self) -> None:
        if self.codec not in TILED:
            raise PlanError(f"expected one of the codecs {', '.join(TILED)}, found {self.codec!r}")
        if self.level is not None:
            low, high = LEVELS.get(self.codec, (0, -1))
            if not low <= self.level <= high:
                expected = f"a level from {low} to {high}" if self.codec in LEVELS else "no level"
                raise PlanError(f"expected {expected} for {self.codec}, found {self.level}")

    @property
    def _chosen(self) -> int | None:
        return CODECS[self.codec].level if self.level is None else self.level

    @property
    def predictor(self) -> int:
        """The predictor; 1 is none."""
        if self.codec in ("none", "jpeg"):
            return 1
        return _FLOAT if self.dtype.kind == "f" else _WHOLE

    def tags(self, bands: int) -> dict[int, Value]:
        """Return what a directory of *bands* says of how its tiles are encoded, and of what a pixel is."""
        shown = (_YCBCR if self.codec == "jpeg" else _RGB) if self.colours == 3 else _GRAY
        tags = {
            258: shorts(*[8 * self.dtype.itemsize] * bands),
            259: shorts(_TAGS[self.codec]),
            262: shorts(shown),
            277: shorts(bands),
            284: shorts(1 if bands == self.samples else 2),
            339: shorts(*["uif".index(self.dtype.kind) + 1] * bands),
        }
        if extra := bands - self.colours:
            tags[338] = shorts(*[0] * (extra - 1), _EXTRA[self.alpha])
        if self.predictor > 1:
            tags[317] = shorts(self.predictor)
        return tags | ({530: shorts(2, 2)} if shown == _YCBCR else {})

    def encode(self, tile: NDArray[Any]) -> bytes:
        """Return the bytes of a whole tile, (y, x) or (y, x, sample)."""
        pixels: Any = np.ascontiguousarray(tile, self.dtype.newbyteorder("<"))
        if self.codec == "jpeg":
            words: dict[str, Any] = _CHROMA if self.colours == 3 else {}
            return cast("bytes", imagecodecs.jpeg8_encode(pixels, level=self._chosen, **words))
        if self.predictor == _WHOLE:
            pixels = imagecodecs.delta_encode(pixels, axis=1)
        elif self.predictor == _FLOAT:
            pixels = imagecodecs.floatpred_encode(pixels, axis=1)
        if self.codec == "none":
            return bytes(pixels.tobytes())
        if self.codec == "lzw":
            return cast("bytes", imagecodecs.lzw_encode(pixels))
        if self.codec == "deflate":
            return cast("bytes", imagecodecs.deflate_encode(pixels, level=self._chosen))
        return cast("bytes", imagecodecs.zstd_encode(pixels, level=self._chosen))
