"""The channels of stages: those that several inputs agree on, and those that one acts on and passes others on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tileconv.engines.values import Values
from tileconv.errors import PlanError
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
    if stage.domain_out != stage.domain_in or max(stage.stride) > 1:
        problem = f"it makes {stage.domain_out} of {stage.domain_in}, and passes other channels on as they are"
        raise PlanError(problem, fix="Remove channels, or the stage's stride or padding.")
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
