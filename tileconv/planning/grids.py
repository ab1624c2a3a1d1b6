"""Where the pixels of a stage lie: the box of its output, and the grid of these pixels in those of the input.

input      |  0  |  1  |  2  |  3  |  4  |        ``step`` 1, ``origin`` 0
windows    |--------------|                       of a stage of stride 2: its output has a grid twice as coarse,
output     |     0     |     1     |              ``step`` 2, and ``origin`` in the middle of the first window
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from tileconv.boxes import SPACE, Box, Halo
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.operations.operation import Operation
from tileconv.quick import dataclass

Place = TypeVar("Place")
SAME_STRIDE = "Give the stages before it the same stride and kernels of the same size."
SAME_TIMES = "Project all of them over t, or none."
SAME_EXTENT = "Give the stages before it the same extent, and kernels of odd sizes to those of extent valid."


@dataclass(frozen=True)
class Grid:
    """Pixel ``n`` lies at ``origin + n * step``, in pixels of the run's input; axes (z, y, x)."""

    step: tuple[int, ...] = (1, 1, 1)
    origin: tuple[float, ...] = (0.0, 0.0, 0.0)

    def placed(self, source: ImageInfo, image: Box) -> dict[str, Any]:
        """Return where the pixels of *image*, a box of this grid, lie: the fields of ``ImageInfo`` that *source* has.

        A georeference tells the outer corner of a pixel, all else its middle.
        """
        step, origin, scale = dict(zip(SPACE, self.step, strict=True)), [], []
        first = dict(zip(SPACE, self.origin, strict=True))
        corner = {}
        for axis, at, size, start in zip(image.axes, source.origin, source.scale, image.start, strict=True):
            pixels = first.get(axis, 0) + start * step.get(axis, 1)
            origin.append(at + pixels * size)
            scale.append(size * step.get(axis, 1))
            corner[axis] = pixels + (1 - step.get(axis, 1)) / 2
        earth = source.georeference.moved(corner.get("y", 0), corner.get("x", 0))
        earth = earth.enlarged(step["y"], step["x"]) if self != USUAL else earth
        return {"origin": tuple(origin), "scale": tuple(scale), "georeference": earth}

    def __str__(self) -> str:
        return f"a step of {' x '.join(map(str, self.step))} pixels from {', '.join(f'{o:g}' for o in self.origin)}"


USUAL = Grid()
"""That of the input."""


@dataclass(frozen=True)
class Windows:
    """Where the windows of a stage lie: output ``n`` is made from ``n * stride + first`` on, axes (z, y, x)."""

    out: Box
    stride: tuple[int, ...]
    first: tuple[int, ...]
    grid: Grid


def windows(operation: Operation, domain: Box, grid: Grid, halo: Halo, extent: str) -> Windows:
    """Return where the windows of *operation* lie over *domain*, whose pixels have *grid*.

    An output of stride 1 counts as the pixel that its window is centred on, an even one as scipy.ndimage centres it.
    One of a larger stride has a grid of its own, from 0 on, and lies in the middle of its window.

    Raises
    ------
    PlanError
        If no window fits.
    """
    stride, padding = operation.stride, operation.padding
    start, stop, first, step, origin = [], [], [], [], []
    for axis, (low, size) in enumerate(zip(domain.start, domain.shape, strict=True)):
        before, after, s = halo.before[axis], halo.after[axis], stride[axis]
        length = before + after + 1
        begin, count = _along(extent if padding is None else padding[axis], low, size, before, length, s)
        if count < 1:
            raise _too_small(domain, halo, extent, padding)
        number = begin + before if s == 1 else 0
        middle = before if s == 1 else (length - 1) / 2
        start.append(number)
        stop.append(number + count)
        first.append(begin - number * s)
        step.append(grid.step[axis] * s)
        origin.append(grid.origin[axis] + grid.step[axis] * (begin + middle - number * s))
    return Windows(Box(tuple(start), tuple(stop), domain.axes), stride, tuple(first), Grid(tuple(step), tuple(origin)))


def _along(extent: str | int, low: int, size: int, before: int, length: int, stride: int) -> tuple[int, int]:
    """Return where the first window begins along one axis, and how many there are; a number is that of zeros around."""
    if extent == "same":
        return low - before, -(-size // stride)
    around = {"valid": 0, "full": length - 1}[extent] if isinstance(extent, str) else extent
    return low - around, (size + 2 * around - length) // stride + 1


def _too_small(domain: Box, halo: Halo, extent: str, padding: tuple[int, ...] | None) -> PlanError:
    size = "x".join(str(b + a + 1) for b, a in zip(halo.before, halo.after, strict=True))
    asked = f"extent {extent}" if padding is None else f"padding {' x '.join(map(str, padding))}"
    fix = "Use extent: same, or a smaller kernel." if padding is None else "Give more padding, or a smaller kernel."
    return PlanError(
        f"{asked} leaves no pixel of an image of {'x'.join(map(str, domain.shape))} under a kernel of {size}",
        why="the kernel must fit inside the image",
        fix=fix,
    )


def same_of_all(names: Sequence[str], values: Sequence[Place], kind: str, fix: str) -> Place:
    """Return the one value of all *values*, which those of *names* have; PlanError, with *fix*, where two differ."""
    for name, value in zip(names, values, strict=True):
        if value != values[0]:
            problem = f"{names[0]} has {kind}{values[0]}, and {name} has {value}"
            raise PlanError(problem, why="pixels of one place are put together", fix=fix)
    return values[0]
