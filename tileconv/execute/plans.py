"""The plans of a batch, one after another, and what they sum up to: no plan is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from tileconv.errors import TileconvError
from tileconv.execute.images import Images
from tileconv.execute.places import looked
from tileconv.execute.prepare import planned
from tileconv.planning.model import START_S, Plan
from tileconv.quick import dataclass

Planned = tuple[str, Plan | TileconvError | None]
"""The name of an image beside its plan, or why it would be refused; None where only that was looked at."""
SOME = 3
"""The exit code where some images would be refused, and others not."""


def each_plan(images: Images) -> Iterator[tuple[str, Plan | TileconvError]]:
    """Yield the plan of each image, made when it is asked for, or why there is none."""
    for name, image in images.named():
        try:
            yield name, image if isinstance(image, TileconvError) else planned(image)[0]
        except TileconvError as error:
            yield name, error


def each_look(images: Images) -> Iterator[Planned]:
    """Yield of each image whether it can be read and its outputs written, looked at when it is asked for."""
    for name, image in images.named():
        try:
            for _ in () if isinstance(image, TileconvError) else looked(image):
                pass
            yield name, image if isinstance(image, TileconvError) else None
        except TileconvError as error:
            yield name, error


@dataclass
class Sum:
    """What the plans of a batch come to.

    Attributes
    ----------
    images, refused
        How many there are, and how many of them would be refused.
    pixels, tiles, written_bytes
        Of those that are planned: pixels that are read, tiles that are made, bytes of pixels before compression.
    seconds
        About how long it takes, without compiling.
    peak_bytes
        What the tiles that are in flight may take together, whichever images they are of.
    largest, longest
        The image of most pixels, and the one that takes longest; with both numbers.
    """

    images: int = 0
    refused: int = 0
    pixels: int = 0
    tiles: int = 0
    written_bytes: int = 0
    seconds: float = START_S
    peak_bytes: int = 0
    largest: tuple[str, int] = ("", 0)
    longest: tuple[str, float] = ("", 0.0)

    def of(self, plans: Iterable[Planned]) -> Iterator[Planned]:
        """Yield *plans*, each once it is added."""
        for name, plan in plans:
            self.images += 1
            self.refused += isinstance(plan, TileconvError)
            if isinstance(plan, Plan):
                self._add(name, plan)
            yield name, plan

    def _add(self, name: str, plan: Plan) -> None:
        told = told_of(plan)
        self.pixels += told["pixels"]
        self.tiles += told["tiles"]
        self.written_bytes += told["written_bytes"]
        self.seconds += plan.seconds - START_S
        self.peak_bytes = max(self.peak_bytes, plan.memory_limit)
        self.largest = max(self.largest, (name, told["pixels"]), key=lambda one: one[1])
        self.longest = max(self.longest, (name, plan.seconds), key=lambda one: one[1])

    @property
    def exit_code(self) -> int:
        """0 where no image would be refused, ``SOME`` where others would not be, else 2."""
        return 0 if not self.refused else SOME if self.refused < self.images else 2

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        largest, longest = ({"image": name} for name, _ in (self.largest, self.longest))
        return asdict(self) | {
            "largest": largest | {"pixels": self.largest[1]},
            "longest": longest | {"seconds": self.longest[1]},
        }


def told_of(plan: Plan) -> dict[str, Any]:
    """Return what is told of one plan among many, as plain JSON values."""
    outputs = range(len(plan.spec.outputs))
    return {
        "outputs": [str(output.path) for output in plan.spec.outputs],
        "axes": plan.source.axes,
        "shape": [*plan.source.shape],
        "dtype": plan.source.dtype.name,
        "pixels": plan.source.box.size,
        "tiles": sum(len(pass_.grid) for pass_ in plan.passes),
        "written_bytes": sum(plan.write_of(number).info.nbytes for number in outputs),
        "peak_bytes": plan.peak_bytes,
        "seconds": plan.seconds,
    }
