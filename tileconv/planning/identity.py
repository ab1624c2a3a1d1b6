"""What determines a result: one value, by which runs are resumed and compared, and of which the fingerprint is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tileconv.boxes import SPACE
from tileconv.planning.encoding import by_field, encoded
from tileconv.quick import dataclass

if TYPE_CHECKING:
    from tileconv.planning.parts import Missing
    from tileconv.planning.stages import Stage

FOLLOW = (
    *("domain_in", "domain_out", "values_in", "padded", "values_out", "coverage"),
    *("channels_in", "channels_out", "stride", "first", "grid", "values_made", "times"),
)
"""Fields of a stage that follow from the others and from the image that it reads."""

Told = Mapping[str, Any]
"""Plain JSON values by name."""


@dataclass(frozen=True)
class Identity:
    """All that determines the pixels of a result, and how they are stored, in plain JSON values.

    Attributes
    ----------
    input
        What is read, by what is declared of it.
    content
        What its bytes are, and where it lies; empty where there is a plan and no file.
    stages
        Of each in order: its name, its operation with all its fields, digests of kernels, borders, engines.
    passes
        The names of the stages of each pass.
    output
        What is stored: all that is known of the image, and of how its files are.
    versions
        Those of tileconv and of the libraries that take part; empty where there is only a plan.
    """

    input: Told
    precision: str
    missing: Missing | None
    stages: tuple[Told, ...]
    passes: tuple[tuple[str, ...], ...]
    output: Told
    content: Told
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values, in the order in which two of them are compared."""
        told = by_field(self)
        return {"input": told.pop("content") | told.pop("input"), **told}

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all that determines the pixels but the input's content and the versions.

        How the pixels are stored is no part of it, unless that changes them, as JPEG does. What it is made of is
        written as it ever was, so that outputs keep their fingerprints; what a stage tells beyond that comes last.
        """
        rows = []
        for name, border, extent, operation, kernels, engine, *more in (stage.values() for stage in self.stages):
            rows.append([name, [*operation, kernels], [*border.values()], extent, engine, *more])
        nodata = [value for value in [self.output["nodata"]] if value is not None]
        made = (str(self.missing), self.output["dtype"], self.output["overflow"], self.precision, *nodata)
        read = [
            self.input[name]
            for name in ("shape", "axes", "dtype", "series", "level", "mask", "stack", "select", "region")
            if name in self.input
        ]
        lossy = [self.output["file"]["codec"]] if self.lossy else []
        return hashlib.sha256(json.dumps([rows, made, read, *lossy]).encode()).hexdigest()

    @property
    def lossy(self) -> bool:
        """Whether the codec of a file that is made changes pixels."""
        return "file" in self.output and self.output["file"]["codec"]["name"] == "jpeg"

    def of_stages(self, part: str) -> dict[str, Any]:
        """Return one *part* of every stage, by the names of the stages."""
        return {stage["name"]: stage[part] for stage in self.stages}


def stage_identity(stage: Stage) -> dict[str, Any]:
    """Return what of a stage determines its pixels, in plain JSON values: all its fields but those that follow."""
    told = {f.name: getattr(stage, f.name) for f in fields(stage) if f.name not in FOLLOW}
    operation, choices = told.pop("operation"), told.pop("choices")
    told = {name: value for name, value in told.items() if value is not None}  # as it was before there were such words
    return {
        "name": told.pop("name"),
        "border": {axis: str(border) for axis, border in zip(SPACE, told.pop("borders"), strict=True)},
        "extent": told.pop("extent"),
        "operation": [type(operation).__name__, _parameters(operation)],
        "kernels": [choice.kernel.digest for choice in choices] or [*operation.digests],
        "engine": [choice.engine for choice in choices] or [*filter(None, [operation.engine(stage.made)])],
        **encoded(told),
    }


def _parameters(operation: Any) -> dict[str, Any]:
    """Return the fields of an operation but its kernels, which are told by their digests."""
    summed = (operation.kernels, *operation.kernels)
    return by_field(operation, but=[f.name for f in fields(operation) if getattr(operation, f.name) in summed])
