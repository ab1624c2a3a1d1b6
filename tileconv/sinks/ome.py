"""OME-Zarr metadata of an image and its levels: https://ngff.openmicroscopy.org/0.5/, and 0.4 of the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from tileconv.errors import SinkError
from tileconv.images import RGB, ImageInfo
from tileconv.quick import dataclass
from tileconv.sinks.levels import Level
from tileconv.storage import Format

_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_COLOURS = ("FF0000", "00FF00", "0000FF", "FFFF00", "FF00FF", "00FFFF")
SHOWN = len(_COLOURS)
"""Channels that are shown at first: of more the sum is no picture."""


@dataclass(frozen=True)
class Window:
    """Which values of a channel a viewer shows as darkest and brightest, and between which these can be moved."""

    start: float
    end: float
    min: float
    max: float


def ome_attributes(
    info: ImageInfo, levels: Sequence[Level] = (), *, name: str, windows: Sequence[Window] = (), version: Format = "0.5"
) -> dict[str, Any]:
    """Return the attributes of a group whose array ``0`` is *info*.

    Parameters
    ----------
    info
        The image as stored.
    levels
        Those above the full size, whose arrays are ``1``, ``2`` and so on.
    name
        Name of the image, for viewers; also that of the channel of an image that has no axis of channels.
    windows
        What is shown of each channel; without any nothing is said of channels.
    version
        Of OME-Zarr.

    Raises
    ------
    SinkError
        If the image has fewer than two spatial axes, which the format requires.

    Examples
    --------
    >>> import numpy as np
    >>> info = ImageInfo((4, 5), "yx", np.dtype("u1"), (4, 5), scale=(0.5, 0.5), units=("micrometer",) * 2)
    >>> ome_attributes(info, name="cells")["ome"]["multiscales"][0]["datasets"][0]["path"]
    '0'
    """
    if sum(_TYPES[axis] == "space" for axis in info.axes) < 2:
        raise SinkError(f"OME-Zarr needs two or three of the axes z, y and x, found {info.axes!r}")
    axes = [
        {"name": axis, "type": _TYPES[axis]} | ({"unit": unit} if unit else {})
        for axis, unit in zip(info.axes, info.units, strict=True)
    ]
    datasets = [
        {"path": str(number), "coordinateTransformations": transforms_of(one)}
        for number, one in enumerate((info, *(level.info for level in levels)))
    ]
    image: dict[str, object] = {"name": name, "axes": axes, "datasets": datasets}
    image |= {"type": levels[0].shrink.method} if levels else {}
    shown = {"omero": _omero(info, name, windows)} if windows else {}
    if version == "0.4":
        return {"multiscales": [{"version": version, **image}], **shown}
    return {"ome": {"version": version, "multiscales": [image], **shown}}


def transforms_of(info: ImageInfo) -> list[dict[str, object]]:
    """Return what takes the numbers of pixels to places: the middle of the first lies at the origin."""
    transforms: list[dict[str, object]] = [{"type": "scale", "scale": list(map(float, info.scale))}]
    if any(info.origin):
        transforms.append({"type": "translation", "translation": list(map(float, info.origin))})
    return transforms


def _omero(info: ImageInfo, name: str, windows: Sequence[Window]) -> dict[str, Any]:
    count = len(windows)
    labels = info.channels or ([f"channel {number}" for number in range(count)] if "c" in info.axes else [name])
    shown = 3 if info.channels == RGB else SHOWN  # alpha is no light
    stated = info.colours or [""] * count
    usual = ["FFFFFF"] if count == 1 else list(islice(cycle(_COLOURS), count))
    channels = [
        {"label": label, "color": colour or own, "active": number < shown, "window": vars(window)}
        for number, (label, colour, own, window) in enumerate(zip(labels, stated, usual, windows, strict=True))
    ]
    return {"channels": channels} | ({"rdefs": {"model": "color"}} if info.channels[:3] == RGB[:3] else {})
