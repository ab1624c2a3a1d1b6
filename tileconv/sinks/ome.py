"""OME-Zarr 0.5 metadata of a single-level image: https://ngff.openmicroscopy.org/0.5/."""

from __future__ import annotations

from itertools import cycle

import numpy as np

from tileconv.errors import SinkError
from tileconv.images import ImageInfo

_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_COLOURS = ("FF0000", "00FF00", "0000FF", "FFFF00", "FF00FF", "00FFFF")


def ome_attributes(info: ImageInfo, *, name: str, window: tuple[float, float] | None = None) -> dict[str, object]:
    """Return the value of the ``ome`` attribute for a group whose array ``0`` is *info*.

    Parameters
    ----------
    info
        The image as stored.
    name
        Name of the image, for viewers.
    window
        The values to show as darkest and brightest. None means the range of an integer type. Channel names are
        written where these values are known, since the format has no names without them: a float image without
        *window* goes without.

    Raises
    ------
    SinkError
        If the image has fewer than two spatial axes, which the format requires.

    Examples
    --------
    >>> info = ImageInfo((4, 5), "yx", np.dtype("u1"), (4, 5), scale=(0.5, 0.5), units=("micrometer",) * 2)
    >>> ome_attributes(info, name="cells")["multiscales"][0]["datasets"][0]["path"]
    '0'
    """
    if sum(_TYPES[axis] == "space" for axis in info.axes) < 2:
        raise SinkError(f"OME-Zarr needs two or three of the axes z, y and x, found {info.axes!r}")
    axes = [
        {"name": axis, "type": _TYPES[axis]} | ({"unit": unit} if unit else {})
        for axis, unit in zip(info.axes, info.units, strict=True)
    ]
    transforms: list[dict[str, object]] = [{"type": "scale", "scale": list(map(float, info.scale))}]
    if any(info.origin):
        transforms.append({"type": "translation", "translation": list(map(float, info.origin))})
    level = {"path": "0", "coordinateTransformations": transforms}
    ome: dict[str, object] = {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": axes, "datasets": [level]}],
    }
    if window is None and info.dtype.kind in "iu":
        limits = np.iinfo(info.dtype)
        window = (limits.min, limits.max)
    if info.channels and window is not None:
        low, high = window
        shown = {"min": low, "max": high, "start": low, "end": high}
        ome["omero"] = {
            "channels": [
                {"label": label, "color": colour, "active": True, "window": shown}
                for label, colour in zip(info.channels, cycle(_COLOURS), strict=False)
            ]
        }
    return ome
