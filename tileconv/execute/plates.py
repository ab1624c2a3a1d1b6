"""Plates that a batch writes: an output whose path ends in ``{row}/{column}/{field}`` has the layout of its input.

What says that it is a plate tells of the fields that are whole, and grows as runs complete.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from tileconv.execute.images import Images
from tileconv.quick import dataclass
from tileconv.record.batch import EVERY_S
from tileconv.sinks.files import sink_errors
from tileconv.sinks.plates import check_plate_free, write_plate, write_well
from tileconv.sources.series import plate_of, well_of
from tileconv.spec.model import PipelineSpec
from tileconv.storage import Format
from tileconv.stores.anywhere import Place, place_of
from tileconv.stores.location import Location

LAYOUT = "/{row}/{column}/{field}"

Well = tuple[str, str]


@dataclass
class _Plate:
    """One plate out: where it lies, the image that tells of the input's, and which fields are whole by their wells."""

    root: Location
    source: Place
    format: Format
    whole: dict[Well, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    changed: bool = False
    written: float = 0.0

    def add(self, source: Place, well: Well, name: str) -> None:
        """Tell of the field *name* of a *well* that it is whole."""
        fields = self.whole.setdefault(well, {})
        fields[name] = next((one for one in well_of(source.parent) if str(one.get("path")) == name), {"path": name})
        with sink_errors(self.root):
            write_well(self.root.store(), well, [*fields.values()], self.format)
        self.changed = True
        if time.monotonic() - self.written > EVERY_S:
            self.write()

    def write(self) -> None:
        """Write which wells there are; SinkError if the file system refuses."""
        if not self.changed:
            return
        with sink_errors(self.root):
            wells = {well: [*fields] for well, fields in self.whole.items()}
            write_plate(self.root.store(), plate_of(self.source), wells, self.format)
        self.changed, self.written = False, time.monotonic()


class Plates:
    """The plates of a batch of *images*; none where no output has the layout of one.

    Raises
    ------
    SinkError
        If something else lies where one is to be.
    """

    def __init__(self, images: Images) -> None:
        self._plates: dict[Location, _Plate] = {}
        self._fields: dict[str, list[tuple[_Plate, Place, Well, str]]] = {}
        asked = [str(output.path).endswith(LAYOUT) for output in images.spec.outputs]
        for one, (name, image) in zip(images.inputs, images.named(), strict=True) if any(asked) else ():
            if one.series is None or not isinstance(image, PipelineSpec):
                continue
            source, well = (
                place_of(replace(image.input.path, text=one.series.path)),
                (one.series.row, one.series.column),
            )
            tail = f"/{'/'.join(well)}/{one.series.field}"
            for kept, output in zip(asked, image.outputs, strict=True):
                if kept:
                    root = replace(output.path, text=output.path.text.removesuffix(tail))
                    plate = self._plates.setdefault(root, _Plate(root, source, output.format))
                    self._fields.setdefault(name, []).append((plate, source, well, one.series.field))
        for plate in self._plates.values():
            check_plate_free(plate.root.store())

    def whole(self, name: str) -> None:
        """Tell of the image *name* that its outputs are whole."""
        for plate, source, well, number in self._fields.get(name, ()):
            plate.add(source, well, number)

    def write(self) -> None:
        """Write what has changed of all plates."""
        for plate in self._plates.values():
            plate.write()
