"""What is known of an image without reading a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import AXES, Box
from tileconv.errors import GeometryError
from tileconv.georeference import NOWHERE, Georeference
from tileconv.quick import dataclass

DECODED_CACHE_BYTES = 64 * 2**20
"""The most decoded chunks of compressed images that one process keeps where no plan says which are read again."""


RGB = ("red", "green", "blue", "alpha")
"""Names of the channels of a colour picture, with alpha or without."""


def alpha_of(channels: Sequence[str]) -> str:
    """Return which kind of alpha an image of OME-Zarr with *channels* has: by their names alone, for nothing tells it.

    Examples
    --------
    >>> alpha_of(("Red", "green", "blue", "alpha")), alpha_of(("DAPI",))
    ('straight', '')
    """
    return "straight" if tuple(name.lower() for name in channels) == RGB else ""


def exact_number(value: float) -> float:
    """Return *value* as a float, or as the int that it is where a float would be another number."""
    return int(value) if isinstance(value, Integral) and int(value) != float(value) else float(value)


def as_text(value: float) -> str:
    """Return *value* with all its digits, a whole number without a point."""
    return str(value).removesuffix(".0")


def holds(dtype: np.dtype[Any], value: float) -> bool:
    """Return whether a pixel of *dtype* can have *value*; a float may be rounded, but not to infinity or 0.

    Examples
    --------
    >>> holds(np.dtype("u1"), 255), [holds(np.dtype("f4"), value) for value in (0.1, 1e39, 1e-50)]
    (True, [True, False, False])
    """
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return bool(limits.min <= value <= limits.max and value == int(value))
    with np.errstate(over="ignore", under="ignore"):
        rounded = dtype.type(value)
    return bool(np.isinf(rounded) == np.isinf(value) and (rounded == 0) == (value == 0))


def equal(pixels: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Return which *pixels* have *value*: whole numbers exactly, none where their type cannot hold it.

    Floats are compared with the number of their type that is nearest to *value*, as files round it too.
    """
    if pixels.dtype.kind in "iu":
        if not holds(pixels.dtype, value):
            return np.zeros(pixels.shape, bool)
        return np.asarray(pixels == pixels.dtype.type(int(value)))  # beside a float NumPy would round both
    return np.asarray(pixels == float(value))


@dataclass(frozen=True)
class ImageInfo:
    """Shape, axes, type and storage layout of one image.

    Attributes
    ----------
    shape
        Pixels per axis, in the order of ``axes``.
    axes
        Names of the axes: letters of ``tczyx`` in that order; colour is ``c``, wherever the file keeps it.
    dtype
        Type of a pixel, in native byte order.
    chunks
        Pixels per stored chunk along each axis: what one read must decode at least.
    scale
        Size of a pixel along each axis, in ``units``; 1.0 where unknown.
    origin
        Where the first pixel lies along each axis, in ``units``; 0.0 where unknown.
    units
        Name of the unit per axis (``micrometer``, ``second``), or ``""`` where unknown.
    nodata
        The value that marks missing pixels by the file's own word, or None; an int where no float is that number.
    channels
        Names of the channels, or empty.
    compressed
        Whether stored chunks must be decoded.
    notes
        What a reader of the numbers should know: what the file declares and is not used or not carried.
    colours
        Colour of each channel as ``RRGGBB``, ``""`` for one that has none; or empty.
    georeference
        Where the pixels lie on the earth, if anywhere.
    masks
        What the file says of which pixels are missing that is not used, each as ``an internal mask``.
    inverted
        Whether 0 is white.
    mask
        Another image that tells which pixels are missing, and is read with them.
    alpha
        What the last channel is: ``straight`` alpha, or ``associated``, by which colours are multiplied; or nothing.
    labels
        Whether pixels are names of things, of which there is no mean.
    """

    shape: tuple[int, ...]
    axes: str
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    nodata: float | None = None
    channels: tuple[str, ...] = ()
    compressed: bool = False
    notes: tuple[str, ...] = ()
    origin: tuple[float, ...] = ()
    colours: tuple[str, ...] = ()
    georeference: Georeference = NOWHERE
    masks: tuple[str, ...] = ()
    inverted: bool = False
    mask: Mask | None = None
    alpha: str = ""
    labels: bool = False

    def __post_init__(self) -> None:
        count = len(self.shape)
        if [a for a in AXES if a in self.axes] != list(self.axes) or not len(self.axes) == count == len(self.chunks):
            raise GeometryError(
                f"axes {self.axes!r} must be letters of {AXES!r} in that order, one per axis of {self.shape}"
            )
        object.__setattr__(self, "scale", self.scale or (1.0,) * count)
        object.__setattr__(self, "units", self.units or ("",) * count)
        object.__setattr__(self, "origin", self.origin or (0.0,) * count)
        if not len(self.scale) == len(self.units) == len(self.origin) == count:
            found = f"{self.scale}, {self.units} and {self.origin}"
            raise GeometryError(f"an image needs one scale, unit and origin per axis, found {found}")

    def __str__(self) -> str:
        return f"{' '.join(f'{a}={n}' for a, n in zip(self.axes, self.shape, strict=True))}, {self.dtype}"

    @property
    def channel_names(self) -> tuple[str, ...]:
        """A name per channel, empty where it has none; none at all of an image without that axis."""
        return self.channels or ("",) * (self.shape[self.axes.index("c")] if "c" in self.axes else 0)

    @property
    def box(self) -> Box:
        """The whole image."""
        return Box.of_shape(self.shape, self.axes)

    @property
    def as_read(self) -> np.dtype[Any]:
        """Type of what a read returns: of a pixel, or where there is a mask of a pixel and whether it is valid."""
        return self.dtype if self.mask is None else np.dtype([("pixel", self.dtype), ("valid", np.bool_)])

    @property
    def stored(self) -> tuple[ImageInfo, ...]:
        """The images that are read: this one, and the mask."""
        return (self,) if self.mask is None else (self, self.mask.info)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, decoded."""
        return self.box.size * self.dtype.itemsize


@dataclass(frozen=True)
class Mask:
    """The image *info*, stored at *where*, that tells which pixels of another are valid.

    These are those in whose place it is not 0, or with *inverted* is 0.
    """

    where: str
    info: ImageInfo
    inverted: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.info}, {'all but 0' if self.inverted else '0'} means missing"


def parted(read: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the pixels of what was *read* of an image, and which of them its mask calls valid; None without one."""
    if read.dtype.names is None:
        return read, None
    return np.ascontiguousarray(read["pixel"]), read["valid"]
