"""xarray's labelled arrays: axes by their own names, and results that keep their labels.

xarray is recognised where the caller has imported it, and is not imported here.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import wraps
from typing import Any, SupportsIndex, TypeVar

import numpy as np

from tileconv.errors import PlanError
from tileconv.units import metres, unit_of

Function = TypeVar("Function", bound=Callable[..., Any])
SPACE = ("z", "y", "x")
EVEN = 1e-6
"""By how much of the first distance between coordinates others may differ from it: files round them."""
NO_AXES = {"missing", "kernels", "gabor", "steerable"}
"""Words of functions whose mappings name no axes."""


def is_labelled(image: object) -> bool:
    """Return whether *image* is an xarray.DataArray."""
    library = sys.modules.get("xarray")
    return library is not None and isinstance(image, library.DataArray)


def channel_names(image: Any, dim: Hashable) -> tuple[str, ...]:
    """Return the names that the coordinate along *dim* of a DataArray gives to its channels; none without one."""
    return tuple(map(str, image.coords[dim].values)) if dim is not None and dim in image.coords else ()


def labelled(function: Function) -> Function:
    """Return *function*, whose first argument is an image, for an xarray.DataArray as well."""

    @wraps(function)
    def on_any(*args: Any, **words: Any) -> Any:
        image = words.get("image", args[0] if args else None)
        if not is_labelled(image):
            return function(*args, **words)
        try:
            given = inspect.signature(function).bind(*args, **words).arguments
        except TypeError:
            return function(*args, **words)  # which says what is wrong
        return _on_labelled(function, image, given | given.pop("options", {}))

    return on_any  # type: ignore[return-value]


def _on_labelled(function: Callable[..., Any], image: Any, given: dict[str, Any]) -> Any:
    """Return what *function* makes of the pixels of *image*, with its labels."""
    there = [name for name in SPACE if name in image.dims] if {"y", "x"} <= set(image.dims) else []
    moved = image.transpose(..., *there)
    words = _in_our_words(given, image, moved.dims, takes_scale="scale" in inspect.signature(function).parameters)
    made = function(**words | {"image": moved.data})
    return with_labels(made, moved, words.get("output_nodata")).transpose(..., *image.dims)


def with_labels(pixels: Any, image: Any, nodata: float | None = None) -> Any:
    """Return *pixels* that were made of *image*, whose axes they have, with its labels.

    Where *pixels* have one axis more, that is the first, and is called c, or kernel where there is a c.
    Coordinates along an axis whose length ``extent`` changes are left out; so is the encoding, which says how the
    values of before were packed in a file. A *nodata* value is an attribute, as rioxarray and writers of files read it.
    """
    more = ["kernel" if "c" in image.dims else "c"] * (pixels.ndim - image.ndim)
    dims = (*more, *image.dims)
    sizes = dict(zip(dims, pixels.shape, strict=True))
    other = [name for name, c in image.coords.items() if any(sizes[d] != image.sizes[d] for d in c.dims)]
    labels = image.drop_vars(other).coords
    told = {} if nodata is None else {"_FillValue": pixels.dtype.type(nodata)}
    return type(image)(pixels, coords=labels, dims=dims, name=image.name, attrs=image.attrs | told)


def pixel_sizes(image: Any) -> dict[Hashable, tuple[float, str]]:
    """Return how far apart the pixels of *image* are, and in which unit, along axes whose coordinates tell."""
    found = {}
    for name in image.dims:
        unit = image.coords[name].attrs.get("units", "") if name in image.coords else ""
        places = np.asarray(image.coords[name].values) if unit else np.empty(0)
        if len(places) > 1 and places.dtype.kind in "iuf":
            steps = np.diff(places.astype(np.float64))
            if np.allclose(steps, steps[0], rtol=EVEN, atol=0) and steps[0]:
                found[name] = abs(float(places[-1]) - float(places[0])) / (len(places) - 1), str(unit)
    return found


def scale_of(image: Any, dims: Sequence[Hashable]) -> dict[str, Any]:
    """Return the fields of ``ImageInfo`` that say how large a pixel of *image* is along *dims*, as far as it tells."""
    sizes = pixel_sizes(image)
    known = [
        (size * unit[0], unit[1]) if (unit := unit_of(text)) else (1.0, "")
        for size, text in (sizes.get(name, (1.0, "")) for name in dims)
    ]
    return {"scale": tuple(size for size, _ in known), "units": tuple(unit for _, unit in known)}


def _in_our_words(
    given: Mapping[str, Any], image: Any, moved: tuple[Hashable, ...], *, takes_scale: bool
) -> dict[str, Any]:
    """Return the arguments *given* with axes as their places in *moved*, and the letters z, y and x for their names.

    Sizes of pixels that *image* tells are among them where the function *takes_scale*.
    """
    words, own = dict(given), image.dims
    for word in {"axes", "channel_axis"} & given.keys():
        words[word] = _place(given[word], own, moved, word)
    chosen = words.get("axes")
    if chosen is None:
        chosen = [place for place in range(len(moved)) if place != words.get("channel_axis")]
    places = [place for place in np.ravel(chosen).tolist() if place in range(len(moved))]
    letters = dict(zip([moved[place] for place in reversed(places)], reversed(SPACE), strict=False))
    if takes_scale and isinstance(words.get("scale", {}), Mapping):
        told = {name: f"{size!r} {unit}" for name, (size, unit) in pixel_sizes(image).items() if metres(unit)}
        told |= words.get("scale", {})
        words["scale"] = {name: size for name, size in told.items() if name in letters or name not in own}
    for word, value in words.items():
        if isinstance(value, Mapping) and word not in NO_AXES and "rule" not in value:
            words[word] = {_letter(name, letters, word): item for name, item in value.items()}
        elif word == "component" and value != "magnitude":
            words[word] = _letter(value, letters, word)
    return words


def _place(value: Any, own: tuple[Hashable, ...], moved: tuple[Hashable, ...], word: str) -> Any:
    """Return the place in *moved* of an axis, given by its name or its place in *own*, or of several."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [_place(one, own, moved, word) for one in value]
    if isinstance(value, SupportsIndex) and -len(own) <= int(value) < len(own):
        return moved.index(own[value])
    if isinstance(value, str) and value not in own:
        raise PlanError(f"{word} names the axis {value!r}, and the array has {', '.join(map(str, own))}")
    return moved.index(value) if isinstance(value, str) else value  # another kind is refused by the function


def _letter(name: Any, letters: Mapping[Hashable, str], word: str) -> str:
    if name not in letters:
        raise PlanError(
            f"{word} names the axis {name!r}, and the function acts on {', '.join(map(str, letters))}",
            fix="Use the array's own names of its axes; axes= says which of them the function acts on.",
        )
    return letters[name]
