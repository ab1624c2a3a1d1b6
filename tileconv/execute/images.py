"""The images of a batch, each with a pipeline of its own, and what keeps two of them from one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from tileconv.errors import PlanError, SourceError, TileconvError
from tileconv.quick import dataclass
from tileconv.record.folder import RunFolder
from tileconv.sinks.custody import read_attributes
from tileconv.sinks.files import ignores_case, sink_errors
from tileconv.sinks.layout import MARKER
from tileconv.sources.patterns import matching
from tileconv.sources.series import Series, each_series
from tileconv.spec.model import MaskSpec, PipelineSpec
from tileconv.spec.outputs import other_format
from tileconv.spec.templates import filled, is_pattern, words_in, words_of
from tileconv.storage import file_kind
from tileconv.stores import steady
from tileconv.stores.anywhere import place_of
from tileconv.stores.location import Location, located

Folder = Callable[[str], tuple[str, bool]]
Image = PipelineSpec | TileconvError
"""The pipeline of one image, or why there is none; the error names the input."""


class Input(NamedTuple):
    """One image as it is to be read: the path that was *given* or matched, and which *series* of what lies there."""

    given: str
    series: Series | None = None
    error: TileconvError | None = None

    def __str__(self) -> str:
        if self.series is None or self.series.path != self.given:
            return self.given if self.series is None else self.series.path
        return f"{self.given}, series {self.series.number}"


@dataclass(frozen=True)
class Images:
    """The images that *spec* names, in order: of patterns in natural order.

    ``left_out`` are results of this pipeline that its patterns match as well.
    """

    spec: PipelineSpec
    inputs: Sequence[Input]
    left_out: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[Image]:
        return (image_at(self.spec, one) for one in self.inputs)

    def named(self) -> Iterator[tuple[str, Image]]:
        """Yield each image with what messages call it."""
        return zip(map(str, self.inputs), self, strict=True)


def each_image(spec: PipelineSpec) -> Images:
    """Return the images of a pipeline, made one by one; of a pipeline of one image that.

    Raises
    ------
    SourceError
        If a pattern matches nothing.
    PlanError
        If two images would be written to one place, one inside another, or over an input: both are named.
    """
    first = spec.input.path
    if not spec.is_batch:
        return Images(spec, [Input(str(first))])
    results = _Results(spec)
    given, left_out = dict[str, None](), dict[str, None]()
    for path in spec.input.paths or [str(first)]:
        for one in matching(replace(first, text=path)) if is_pattern(path) else [path]:
            (left_out if one != path and results.holds(one) else given)[one] = None
    if not given:
        problem = f"all {len(left_out):,} images that match are results of this pipeline"
        raise SourceError(problem, where=str(first), fix="Give the images that it reads.")
    inputs = [
        one
        for path in given
        for one in (_every(replace(first, text=path)) if spec.input.every_series else [Input(path)])
    ]
    images = Images(spec, inputs, [path for path in left_out if path not in given])
    _refuse_collisions(images)
    return images


def _every(file: Location) -> list[Input]:
    """Return the images of *file*, or that it cannot be opened."""
    try:
        return [Input(str(file), series) for series in each_series(place_of(file))]
    except TileconvError as error:
        return [Input(str(file), error=error)]


def image_at(spec: PipelineSpec, one: Input) -> Image:
    """Return the pipeline *spec* of *one* image alone, or why there is none."""
    if one.error or not spec.is_batch:
        return one.error or spec
    words = words_of(one.given) | (one.series.words if one.series else {})
    path = replace(spec.input.path, text=one.series.path if one.series else one.given)
    number, mask, key = one.series.number if one.series else spec.input.series, spec.input.mask, "input.mask"
    outputs = []
    try:
        if isinstance(mask, MaskSpec) and mask.path:
            mask = replace(mask, path=_named(mask.path, words))
        for output in spec.outputs:
            key, place = output.key, _named(output.path, words)
            if other := other_format(place.text):
                raise ValueError(f"{other[0]}; {other[1]}")
            if (kind := file_kind(place.text)) != file_kind(output.path.text):
                raise ValueError(f"{place.name} is the name of a {kind}; write its suffix in the pipeline")
            outputs.append(replace(output, path=place))
    except ValueError as error:
        return PlanError(f"{key}.path: {error}", where=str(one), fix="Write another name in the pipeline.")
    read = replace(spec.input, path=path, series=number, paths=(), every_series=False, mask=mask)
    return replace(spec, input=read, outputs=tuple(outputs), run=replace(spec.run, halo_method="windows"))


def _named(place: Location, words: Mapping[str, str]) -> Location:
    """Return *place* with its *words* filled in; ValueError if it has others, or names nothing then."""
    if lacking := words_in(place.text) - set(words):
        raise ValueError(f"{{{min(lacking)}}} is of plates, and this is none")
    return replace(place, text=located(filled(place.text, words), Path()))


@dataclass(frozen=True)
class _Results:
    """Where a pipeline of several images writes."""

    spec: PipelineSpec

    @cached_property
    def _places(self) -> list[re.Pattern[str]]:
        """What outputs match, and stores between passes beside them."""
        forms = [re.sub(r"\\\{\w+\\\}", ".*", re.escape(str(output.path))) for output in self.spec.outputs]
        return [re.compile(rf"{form}(\.pass\d+)?", re.DOTALL) for form in forms]

    def holds(self, path: str) -> bool:
        """Return whether at *path* lies a result of tileconv, and where this pipeline puts results."""
        ours = any(place.fullmatch(path) for place in self._places)
        place = replace(self.spec.input.path, text=path)
        return ours and (RunFolder(place).there() if file_kind(path) else MARKER in read_attributes(place.store()))


def _refuse_collisions(images: Images) -> None:
    """Refuse images of which one would be written over another's output, into it, or over an input; PlanError."""
    folder = cache(_folder)
    written = _written(images, folder)
    read = {_key(one.given, folder): one.given for one in images.inputs}
    for key, (path, place) in written.items():
        if source := read.get(key):
            raise _collision(f"{path} would be written to it, and it is the input {source}", place)
        for above in _above(key):
            if above in written:
                other, there = written[above]
                raise _collision(f"{path} would be written to it, inside {there}, where {other} is written", place)
            if above in read:
                raise _collision(f"{path} would be written to it, inside the input {read[above]}", place)
    for key, source in read.items():
        for path, place in filter(None, map(written.get, _above(key))):
            raise _collision(f"{path} would be written to it, and it holds the input {source}", place)


def _written(images: Images, folder: Folder) -> dict[str, tuple[str, str]]:
    """Return each input beside the place of its output, by the one name of that; PlanError where two have one."""
    written: dict[str, tuple[str, str]] = {}
    for path, image in images.named():
        for place in [str(output.path) for output in image.outputs] if isinstance(image, PipelineSpec) else ():
            if before := written.get(key := _key(place, folder)):
                also = f", by another name {before[1]}" * (before[1] != place)
                raise _collision(f"{before[0]} and {path} would both be written to it{also}", place)
            written[key] = path, place
    return written


def _collision(problem: str, place: str) -> PlanError:
    fix = "Write {name} or {parent} in the output's path, or name fewer inputs."
    return PlanError(problem, where=place, why="one would destroy the other", fix=fix)


def _folder(path: str) -> tuple[str, bool]:
    """Return a folder by its real name, and whether names in it are the same in small letters and in capitals."""
    if "://" in path:
        return path, False
    with sink_errors(path):
        real = steady.resolve(Path(path or "/"))
    return str(real).rstrip("/"), ignores_case(real)


def _key(path: str, folder: Folder) -> str:
    """Return *path* by the one name that it has, but for links at its very end."""
    above, _, name = path.rpartition("/")
    real, ignoring = folder(above)
    return f"{real}/{name}".casefold() if ignoring else f"{real}/{name}"


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
