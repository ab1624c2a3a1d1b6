"""Some channels, time points or planes of an image, as an image of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from tileconv.boxes import SPACE, Box, Interval
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.quick import dataclass
from tileconv.sources.choices import listed
from tileconv.sources.source import Fingerprint, Pixels, Reads, Source
from tileconv.spec.model import InputSpec

Picks = Mapping[str, tuple[int, ...]]
"""The positions that are taken along some axes."""


def part_of(source: Source, asked: InputSpec) -> Source:
    """Return *source*, or that part of it that is *asked* for; a region of space is left to the plan.

    Raises
    ------
    PlanError
        If there is no such part.
    """
    picks = picks_of(source.info, asked)
    return Part(source, picks) if picks else source


def picks_of(info: ImageInfo, asked: InputSpec) -> Picks:
    """Return the positions of an image that are *asked* for, by axis; PlanError if it lacks one of them."""
    sizes = dict(zip(info.axes, info.shape, strict=True))
    for key, part in (("input.region", asked.region or {}), ("input.select", asked.select or {})):
        for axis in part:
            if axis not in sizes:
                problem = f"the image has no axis {axis}: its axes are {', '.join(info.axes)}"
                raise PlanError(problem, where=f"{key}.{axis}", fix="Leave it out, or set input.axes.")
    for axis, (start, stop) in (asked.region or {}).items():
        if stop > sizes[axis]:
            problem = f"[{start}, {stop}] ends beyond the image, which has {sizes[axis]} pixels along {axis}"
            raise PlanError(problem, where=f"input.region.{axis}", fix=f"Write a stop of at most {sizes[axis]}.")
    picks = {axis: tuple(range(*ends)) for axis, ends in (asked.region or {}).items() if axis not in SPACE}
    for axis, positions in (asked.select or {}).items():
        names = info.channel_names if axis == "c" else ("",) * sizes[axis]
        picks[axis] = positions_in(positions, names, f"input.select.{axis}")
    return picks


def positions_in(positions: Sequence[int | str], names: Sequence[str], where: str) -> tuple[int, ...]:
    """Return the numbers of *positions*, given as such or by one of *names*, of which there is one for each; PlanError.

    Examples
    --------
    >>> positions_in(["GFP", 0], ["DAPI", "GFP"], "input.select.c")
    (1, 0)
    """
    numbers = tuple(one if isinstance(one, int) else _number(one, names, where) for one in positions)
    for number in numbers:
        if number >= len(names):
            hint = f" A channel that is called so is written in quotes: '{number}'." * (str(number) in names)
            fix = f"They are {listed(_told(names))}.{hint}"
            raise PlanError(f"expected a number from 0 to {len(names) - 1}, found {number}", where=where, fix=fix)
    for at, number in enumerate(numbers):
        if number in numbers[:at]:
            raise PlanError(f"names {_told(names)[number]} twice", where=where, fix="Name it once.")
    return numbers


def _number(name: str, names: Sequence[str], where: str) -> int:
    if names.count(name) != 1:
        found = "several channels are called so" if name in names else f"no channel is called {name!r}"
        raise PlanError(found, where=where, fix=f"Give its number: they are {listed(_told(names))}.")
    return names.index(name)


def _told(names: Sequence[str]) -> list[str]:
    return [f"{number} {name}".strip() for number, name in enumerate(names)]


def info_of(info: ImageInfo, picks: Picks) -> ImageInfo:
    """Return what is known of the *picks* of an image."""
    columns: list[tuple[int, float, float, str]] = []
    for axis, size, scale, origin, unit in zip(info.axes, info.shape, info.scale, info.origin, info.units, strict=True):
        picked = picks.get(axis)
        columns.append((size, scale, origin, unit) if picked is None else _along(axis, picked, scale, origin, unit))
    shape, scales, origins, units = zip(*columns, strict=True)
    channels = picks.get("c", range(len(info.channel_names)))
    alpha = info.alpha if [*channels][1:] and channels[-1] == len(info.channel_names) - 1 else ""
    told = [
        f"{axis} {listed(map(str, picked))} of {size} are taken"
        for axis, size in zip(info.axes, info.shape, strict=True)
        if (picked := picks.get(axis))
    ]
    return replace(
        info,
        shape=shape,
        scale=scales,
        origin=origins,
        units=units,
        channels=tuple(info.channels[i] for i in channels) if info.channels else (),
        colours=tuple(info.colours[i] for i in channels) if info.colours else (),
        notes=(*info.notes, *told),
        alpha=alpha,
    )


@dataclass(frozen=True)
class Part:
    """The *picks* of *image*: of t and z in rising order, of c in any.

    Examples
    --------
    >>> from tileconv.sources.memory import MemorySource
    >>> image = MemorySource(np.arange(6).reshape(3, 1, 2), "cyx")
    >>> Part(image, {"c": (2, 0)}).read(Box.of_shape((2, 1, 2), "cyx")).tolist()
    [[[4, 5]], [[0, 1]]]
    """

    image: Source
    picks: Picks

    @cached_property
    def info(self) -> ImageInfo:
        """What is known of the image, with the size, the place and the names of what is taken of it."""
        return info_of(self.image.info, self.picks)

    @property
    def where(self) -> str:
        """See ``Source.where``."""
        return self.image.where

    @property
    def fingerprint(self) -> Fingerprint:
        """See ``Source.fingerprint``: of all that the file holds."""
        return self.image.fingerprint

    @property
    def changed(self) -> int:
        """See ``Source.changed``."""
        return self.image.changed

    @property
    def libraries(self) -> tuple[str, ...]:
        """See ``Source.libraries``."""
        return self.image.libraries

    @property
    def cache_bytes(self) -> int:
        """See ``Source.cache_bytes``."""
        return self.image.cache_bytes

    def read(self, box: Box, reads: Reads | None = None) -> Pixels:
        """Return the pixels of *box*; see ``Source.read``."""
        along = [self._runs(*ends) for ends in zip(box.axes, box.start, box.stop, strict=True)]
        given = None if reads is None else self._reads(reads)
        parts = [*product(*along)]
        made = np.empty(box.shape, self.info.as_read) if len(parts) > 1 else None
        for part in parts:
            start, stop = zip(*part, strict=True)
            pixels = self.image.read(Box(start, stop, box.axes), given)
            if made is None:  # nothing is copied
                return pixels
            made[tuple(map(_place, along, part))] = pixels
        return made  # type: ignore[return-value]  # a box has a pixel

    def _runs(self, axis: str, start: int, stop: int) -> list[Interval]:
        """Return which intervals of the image lie one behind the other from *start* to *stop* of the part."""
        if axis not in self.picks:
            return [(start, stop)]
        runs: list[Interval] = []
        for position in self.picks[axis][start:stop]:
            if runs and runs[-1][1] == position:
                runs[-1] = runs[-1][0], position + 1
            else:
                runs.append((position, position + 1))
        return runs

    def _reads(self, reads: Reads) -> Reads:
        """Return the boxes of the image that are read where those of the part are."""
        ends = []
        for axis, starts, stops in zip(self.info.axes, reads.starts, reads.stops, strict=True):
            runs = [run for pair in zip(starts, stops, strict=True) for run in self._runs(axis, *pair)]
            ends.append((tuple(sorted(a for a, _ in runs)), tuple(sorted(b for _, b in runs))))
        return Reads(tuple(a for a, _ in ends), tuple(b for _, b in ends), reads.cache_bytes)

    def check_stored(self) -> None:
        """See ``Source.check_stored``."""
        self.image.check_stored()

    def missing_chunks_total(self) -> tuple[int, int]:
        """See ``Source.missing_chunks_total``: those of the whole image."""
        return self.image.missing_chunks_total()

    def acquired(self) -> str:
        """See ``Source.acquired``."""
        return self.image.acquired()


def _place(runs: Sequence[Interval], run: Interval) -> slice:
    """Return where *run* lies among *runs* that lie one behind the other."""
    first = sum(stop - start for start, stop in runs[: runs.index(run)])
    return slice(first, first + run[1] - run[0])


def _along(axis: str, picked: Sequence[int], scale: float, origin: float, unit: str) -> tuple[int, float, float, str]:
    """Return size, scale, origin and unit of what is *picked* along an axis; no unit where it has no one distance."""
    if axis == "c":
        return len(picked), scale, origin, unit
    steps = {b - a for a, b in pairwise(picked)}
    if len(steps) > 1:
        return len(picked), 1.0, 0.0, ""
    return len(picked), scale * (steps.pop() if steps else 1), origin + picked[0] * scale, unit
