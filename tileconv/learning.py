"""Kernels learned from two images, from Python."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from tileconv.arguments import as_pixels, borders, choice, is_lazy
from tileconv.boxes import SPACE
from tileconv.engines.borders import Border, Rule
from tileconv.errors import KernelError, PlanError
from tileconv.lessons.learned import Learned
from tileconv.operations.parameters import Sizes, number, sizes_per_axis
from tileconv.planning.parts import Missing
from tileconv.progress import Progress, watching
from tileconv.sources.masked import Masked
from tileconv.spec.words import EXECUTORS, REACHED, parse_executor, parse_memory

if TYPE_CHECKING:
    from tileconv.lessons.layout import Layout
    from tileconv.lessons.wishes import Wishes
    from tileconv.sources.source import Source
    from tileconv.spec.clusters import Cluster

Image = str | Path | ArrayLike


def learn(
    before: Image,
    after: Image,
    *,
    size: Sizes | Sequence[int] = 9,
    over: Literal["yx", "zyx"] | None = None,
    target: Literal["image", "mask"] = "image",
    ridge: float = 0.0,
    symmetric: str | Sequence[str] = (),
    non_negative: bool = False,
    sum_one: bool = False,
    zero_sum: bool = False,
    mask: Image | None = None,
    validation: float = 0.0,
    border: Rule | Mapping[str, Any] | None = None,
    axes: str | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    tile: int | None = None,
    workers: int | None = None,
    memory: int | str | None = None,
    executor: str = "threads",
    progress: Progress | None = None,
) -> Learned:
    """Learn the kernel and the offset that best make one image of another, by regularised least squares.

    Images larger than memory are read once, tile by tile. The sums of the normal equations are exact over whole numbers
    of up to 16 bits, and others are made of blocks of the image that do not depend on the tiles; blocks are added
    without rounding. The result is the same whatever the tiles, the workers and their order.

    Parameters
    ----------
    before, after
        Paths of images, or arrays, of one shape; *after* is what *before* is to become. Pixels that are not finite, or
        have the file's nodata value, do not count, nor do those whose kernel touches one.
    size
        Weights along each axis: one number for all, one per axis, or a mapping, ``{"y": 5, "x": 7}``. At most 1,024.
    over
        The axes that the kernel runs over; ``zyx`` where *size* names three, else ``yx``.
    target
        ``mask`` where *after* marks pixels by any value but 0: the kernel then gives the log odds that a pixel is
        marked (logistic regression by Newton's method, each step one pass).
    ridge
        How strongly short weights are preferred: the sum of their squares counts this many times the mean variance of
        the pixels, times their number.
    symmetric
        Under what the kernel stays as it is: some of ``z``, ``y``, ``x`` (mirrored along that axis), ``point`` (half a
        turn), ``transpose`` (rows as columns) and ``rotate`` (a quarter turn); names in a list, or with commas.
    non_negative, sum_one, zero_sum
        What the weights must meet.
    mask
        An image of the same shape, or of its y and x alone, that is 0 where pixels do not count.
    validation
        The share of the image, in blocks of 256 x 256 pixels, that is not learned from, and tells how well it does.
    border
        What lies outside the image, as ``apply`` takes it. By default pixels whose kernel leaves the image do not
        count.
    axes
        The axes of the images, one letter of ``tczyx`` each in their own order, where they do not say.
    output
        A file to write: a pipeline (``.yaml``) with what was learned as its stage.
    overwrite
        Whether a file that tileconv wrote before is replaced.
    tile, workers, memory, executor
        As ``run`` of a pipeline file has them; none changes the result.
    progress
        Hears of every tile.

    Returns
    -------
    Learned
        ``weights``, ``offset``, ``stage`` (for a pipeline), and how well they do.

    Raises
    ------
    PlanError, KernelError
        If the images do not fit together, or what is asked for cannot be had.
    TileconvError
        What went wrong. Nothing is kept then.

    Examples
    --------
    >>> import numpy as np, tileconv
    >>> image = np.random.default_rng(1).integers(0, 256, (64, 64))
    >>> learned = learn(image, tileconv.sobel(image, component="x") + 7, size=3)
    >>> learned.weights.round(6) + 0.0
    array([[-1.,  0.,  1.],
           [-2.,  0.,  2.],
           [-1.,  0.,  1.]])
    >>> round(learned.offset, 6)
    7.0
    """
    shape, kernel_axes = _shape(size, over)
    wishes = _wishes(ridge, symmetric, non_negative=non_negative, sum_one=sum_one, zero_sum=zero_sum)
    sources = _source(before, axes, "before"), _source(after, axes, "after", masks=mask is None)
    _check(sources, kernel_axes, target, validation)
    if mask is not None:
        sources = sources[0], Masked(sources[1], _source(mask, axes, "mask", masks=False))
    from tileconv.lessons.teach import Task, teach
    from tileconv.report.learned_files import free_place, write_files

    file = None if output is None else free_place(output, sources, overwrite=overwrite)
    layout = _layout(sources, shape, tile, workers, memory, executor)
    outside = _outside(border, kernel_axes)
    task = Task(sources, shape, kernel_axes, wishes, outside, border, float(validation), target == "mask")
    with ExitStack() as stack:
        place = file or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "kernel"
        learned = teach(task, layout, place, watching(progress))
    if file is not None:
        write_files(learned, before, axes, sources[0], file)
    return learned


def _layout(
    sources: tuple[Source, Source],
    shape: tuple[int, int, int],
    tile: int | None,
    workers: int | None,
    memory: int | str | None,
    executor: str,
) -> Layout:
    from tileconv.engines.cost import user_costs
    from tileconv.lessons.layout import lay_out
    from tileconv.planning.machine import this_machine

    machine, limit, cluster = this_machine(user_costs()), _bytes(memory), _cluster(executor)
    return lay_out(
        sources, shape, machine, tile=tile, workers=workers, memory=limit, executor=executor, cluster=cluster
    )


def _outside(border: Any, kernel_axes: str) -> tuple[Border, Border, Border] | None:
    if border is None:
        return None
    ruled = borders(border, 0.0, SPACE, kernel_axes, "reflect")
    return ruled["z"], ruled["y"], ruled["x"]


def _shape(size: Any, over: str | None) -> tuple[tuple[int, int, int], str]:
    """Return the kernel's shape along z, y and x, and its axes."""
    if isinstance(size, Sequence) and not isinstance(size, str):
        names = "zyx"[-len(size) :] if len(size) in (2, 3) else ""
        if not names:
            raise KernelError(f"size must be one number, or one for each of y, x or z, y, x, found {size}")
        size = dict(zip(names, size, strict=True))
    named = isinstance(size, Mapping) and "z" in size
    axes = over or ("zyx" if named else "yx")
    choice("over", axes, ("yx", "zyx"))
    sizes = dict(zip(axes, sizes_per_axis(size, axes), strict=True))
    shape = (sizes.get("z", 1), sizes["y"], sizes["x"])
    from tileconv.lessons.layout import MOST_WEIGHTS

    if math.prod(shape) > MOST_WEIGHTS:
        raise KernelError(f"a kernel that is learned has at most {MOST_WEIGHTS:,} weights, found {math.prod(shape):,}")
    return shape, axes


def _wishes(ridge: float, symmetric: Any, *, non_negative: bool, sum_one: bool, zero_sum: bool) -> Wishes:
    from tileconv.lessons.wishes import Wishes

    if sum_one and zero_sum:
        raise PlanError("sum-one and zero-sum exclude each other")
    names = symmetric.split(",") if isinstance(symmetric, str) else symmetric
    total = 1.0 if sum_one else 0.0 if zero_sum else None
    return Wishes(number(ridge, "ridge"), tuple(name.strip() for name in names if name.strip()), non_negative, total)


def _source(image: Any, axes: str | None, name: str, *, masks: bool = True) -> Source:
    """Return an image as a source: a file opened, with a mask of its own if *masks*, an array as it is."""
    from tileconv.sources.axes import assumed_axes, map_axes
    from tileconv.sources.memory import MemorySource
    from tileconv.sources.open import open_source

    if isinstance(image, str | Path):
        return open_source(image, axes=axes, own_mask=masks)
    array = as_pixels(image, Missing("propagate", None, None))
    if is_lazy(array):
        raise PlanError(f"{name} is a Dask array", fix="Give the path of the file that it reads, or compute it first.")
    if not 2 <= array.ndim <= 5:
        raise PlanError(f"expected 2 to 5 axes, found shape {array.shape}", where=name, fix="Give rows and columns.")
    mapped, _ = map_axes(assumed_axes(array.shape, axes, name), array.shape, axes, name)
    return MemorySource(mapped.canonical(array), mapped.axes, copies=False)


def _check(sources: tuple[Source, Source], kernel_axes: str, target: str, validation: float) -> None:
    """Refuse images that do not fit together, or what is no target or share: PlanError."""
    choice("target", target, ("image", "mask"))
    if not 0 <= number(validation, "validation") < 1:
        raise PlanError(f"validation must be a share from 0 to below 1, found {validation}")
    first, second = (source.info for source in sources)
    if not set(kernel_axes) <= set(first.axes):
        raise PlanError(
            f"the images have axes {', '.join(first.axes)}, and the kernel runs over {', '.join(kernel_axes)}",
            fix="Name the axes of the images, or give a size of fewer axes.",
        )
    if (second.axes, second.shape) != (first.axes, first.shape):
        raise PlanError(f"the images must have one shape, found {first} and {second}", fix="Cut them to the same.")


def _bytes(memory: int | str | None) -> int | None:
    if not isinstance(memory, str):
        return memory
    try:
        return parse_memory(memory)
    except ValueError:
        raise PlanError(f"memory must be a size such as 2GiB, found {memory!r}") from None


def _cluster(executor: str) -> Cluster | None:
    """Return the cluster of the user's own configuration that *executor* names; None where it is another executor."""
    from tileconv.spec.clusters import own_clusters, own_place

    try:
        name = parse_executor(executor)
        return None if name in (*EXECUTORS, REACHED) or "://" in name else own_clusters()[name]
    except (ValueError, KeyError):
        fix = f"Say threads, processes, tcp://host:port of a Dask scheduler, or a name under clusters in {own_place()}."
        raise PlanError(f"there is no executor {executor!r}", fix=fix) from None
