"""What ``output.pyramid`` says: which levels stand beside the full size, and how they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, Literal

from tileconv.bounds import Ge
from tileconv.operations.parameters import Count
from tileconv.operations.shrink import Method
from tileconv.quick import dataclass

Step = Literal["auto"] | Count
FACTOR: Mapping[Literal["z", "y", "x"], Step] = {"z": "auto", "y": 2, "x": 2}


@dataclass(frozen=True)
class PyramidSpec:
    """The levels of an output; ``auto`` leaves a choice to the plan."""

    levels: Annotated[
        Literal["auto"] | Annotated[int, Ge(1)],
        "How many there are with the full size; auto ends at one of at most 1024 pixels along y and x.",
    ] = "auto"
    method: Annotated[
        Literal["auto"] | Method, "How pixels of a level are made of those below; auto is mean, and mode of labels."
    ] = "auto"
    factor: Annotated[
        Mapping[Literal["z", "y", "x"], Step],
        "How much smaller each level is; along z auto is 2 where voxels stay roughly cubic, and else 1.",
    ] = field(default_factory=lambda: FACTOR)


def pyramid_of(said: Any) -> Any:
    """Return what a file says of a pyramid as it is held: a word, or a mapping with all its factors."""
    return PyramidSpec(**said | {"factor": {**FACTOR, **said.get("factor", {})}}) if isinstance(said, dict) else said
