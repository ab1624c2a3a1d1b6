"""The channels of stages, and time points: what several inputs agree on, what one acts on, what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tileconv.boxes import AXES
from tileconv.engines.values import Values
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.sources.part import positions_in

if TYPE_CHECKING:
    from tileconv.planning.stages import Stage


def passing_on(stage: Stage, asked: Sequence[int | str] | None, names: Sequence[str]) -> Stage:
    """Return *stage*, acting on the channels that are *asked* for alone, of which there is one for each of *names*.

    Raises
    ------
    PlanError
        If there is no such channel, or the stage makes other pixels than those that it would pass on.
    """
    if asked is None:
        return stage
    numbers = positions_in(asked, names or ("",), "channels")
    if len(numbers) == max(1, len(names)):
        return stage
    if stage.domain_out != stage.domain_in or max(stage.stride) > 1 or stage.operation.folds:
        sizes = "one time point of all" if stage.operation.folds == "t" else f"{stage.domain_out} of {stage.domain_in}"
        problem = f"it makes {sizes}, and passes other channels on as they are"
        fix = "Remove channels, or the stage's stride or padding; where alpha is passed on, say input.alpha: filter."
        raise PlanError(problem, fix=fix)
    (passed, *_), made = stage.values_in, stage.values_out
    return replace(stage, channels=tuple(sorted(numbers)), values_made=made, values_out=both(passed, made))


def agreed(channels: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[str, ...]:
    """Return the channels of all inputs, each with whose they are; PlanError where they are not as many."""
    (name, first), *others = channels
    for other, names in others:
        if max(1, len(names)) != max(1, len(first)):
            raise PlanError(
                f"{name} has {max(1, len(first))} channels, and {other} has {max(1, len(names))}",
                why="channels are put together one by one",
                fix="Let the stage read what has the same channels.",
            )
    return max((names for _, names in channels), key=len)


def both(one: Values, other: Values) -> Values:
    """Return what pixels are like of which some are like *one* and some like *other*.

    64-bit whole numbers beside floats are held in float64, and those that it would round are refused when they are met.

    Examples
    --------
    >>> both(Values.of(np.dtype("uint32")), Values.of(np.dtype("float32"))).dtype
    dtype('float64')
    """
    return Values(
        np.promote_types(one.dtype, other.dtype),
        whole=one.whole and other.whole,
        low=min(one.low, other.low),
        high=max(one.high, other.high),
        nan=one.nan or other.nan,
    )


def with_channels(image: ImageInfo, names: tuple[str, ...]) -> ImageInfo:
    """Return *image* with channels of these *names*; where it has no such axis and there are any, it gets one."""
    if names == image.channel_names:
        return image
    axes = "".join(a for a in AXES if a in image.axes + "c")

    def by_axis(values: Sequence[Any], of_channels: Any) -> tuple[Any, ...]:
        own = dict(zip(image.axes, values, strict=True)) | {"c": of_channels}
        return tuple(own[a] for a in axes)

    return replace(
        image,
        axes=axes,
        shape=by_axis(image.shape, len(names)),
        chunks=by_axis(image.chunks, 1),
        scale=by_axis(image.scale, 1.0),
        units=by_axis(image.units, ""),
        origin=by_axis(image.origin, 0.0),
        channels=names if any(names) else (),
        colours=(),
        alpha="",
    )


def with_times(image: ImageInfo, times: int) -> ImageInfo:
    """Return *image* with so many *times*: one, as long as all and in their middle, or those that it has."""
    at = image.axes.find("t")
    count = image.shape[at] if at >= 0 else times
    if times == count:
        return image

    def one(values: Sequence[Any], of_time: Any) -> tuple[Any, ...]:
        return (*values[:at], of_time, *values[at + 1 :])

    step = image.scale[at]
    return replace(
        image,
        shape=one(image.shape, times),
        chunks=one(image.chunks, 1),
        scale=one(image.scale, step * count),
        origin=one(image.origin, image.origin[at] + (count - 1) / 2 * step),
    )
