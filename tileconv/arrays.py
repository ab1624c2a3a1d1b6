"""Arrays in, arrays out: the operators as functions of NumPy, Dask and xarray arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from tileconv.arguments import (
    as_array,
    as_pixels,
    borders,
    choice,
    is_lazy,
    kernel_axes,
    missing_rule,
    number,
    operator_axes,
    other_words,
    tile_sizes,
    type_name,
)
from tileconv.boxes import SPACE
from tileconv.engines.borders import Rule
from tileconv.engines.kernel import Kernel
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.labelled import labelled
from tileconv.lengths import SAID, SCALE, in_pixels, parameters_of
from tileconv.operations.linear import Linear, as_operation
from tileconv.operations.operation import Operation
from tileconv.operations.registry import OF_ONE
from tileconv.operations.steps import Steps, steps_of
from tileconv.planning.arrays import array_passes
from tileconv.spec import StageSpec
from tileconv.spec.lengths import texts
from tileconv.spec.model import Dtype, Engine, Extent, MissingSpec, Precision
from tileconv.tiles.in_memory import in_memory
from tileconv.tiles.lazy import of_array

Array = NDArray[Any]
if TYPE_CHECKING:  # dask.array takes half a second to import, which arrays in memory do without
    import dask.array as da

    Image = ArrayLike | da.Array


@labelled
def apply(
    image: Image,
    operation: Kernel | Operation | Steps,
    *,
    border: Rule | Mapping[str, Any] | None = None,
    cval: float = 0.0,
    extent: Extent = "same",
    engine: Engine = "auto",
    precision: Precision = "auto",
    tile: int | Sequence[int] | None = None,
    axes: int | str | Sequence[int | str] | None = None,
    channel_axis: int | str | None = None,
    nodata: float | None = None,
    missing: Literal["propagate", "renormalize", "error"] | Mapping[str, Any] | None = None,
    dtype: DTypeLike = "auto",
    output_nodata: float | None = None,
) -> Any:
    """Apply a kernel or an operation to an array; every operator's function takes the same keywords.

    Parameters
    ----------
    image
        Integers or floats, any number of axes. A NumPy array, or what NumPy makes one of, gives a NumPy array. A Dask
        array gives a lazy Dask array, whose halos are exchanged by ``dask.array.map_overlap``. An xarray.DataArray
        gives a DataArray with the same labels, lazy if it holds a Dask array.
    operation
        What ``tileconv.kernels`` makes; a bare kernel slides over the image as it is (correlation).
    border
        What lies outside the image, with scipy.ndimage's names: ``reflect`` (the default for ``same``), ``mirror``,
        ``nearest``, ``wrap`` or ``constant`` (the default for ``full`` and ``valid``); or a mapping as in a pipeline
        file: ``{"rule": "constant", "value": 10}``, or one rule per axis, ``{"y": "nearest", "x": "wrap"}``, where
        ``x`` is the last of *axes*, ``y`` the one before it and ``z`` the one before that.
    cval
        The value of a ``constant`` border that names none.
    extent
        ``same``, ``full`` or ``valid``, as scipy.signal names the output's size.
    engine, precision
        As in a pipeline file: ``auto``, ``direct``, ``separable`` or ``fft``; ``auto``, ``float32`` or ``float64``.
    tile
        Pixels per tile along *axes*; changes no byte of the result. A Dask array has its chunks.
    axes
        The 1 to 3 axes that the kernel runs over, in the order of the kernel's axes; by default as many of the last
        ones as the kernel has. Of a DataArray they may be named; by default they are its axes ``z``, ``y`` and ``x``
        if it has ``y`` and ``x``, and a parameter per axis names axes as the DataArray does.
    channel_axis
        The axis that holds colours; it is never convolved over. Operators that make other channels take the only axis
        beside those that they act on, and add one in front where there is none.
    nodata, missing
        The value of missing pixels, and the rule for them and NaN: ``propagate``, ``renormalize``, ``error``, or a
        mapping such as ``{"rule": "fill", "value": 0}`` or ``{"rule": "renormalize", "min_coverage": 0.2}``.
    dtype
        ``auto`` loses nothing: float64 stays, exact whole numbers become int32 or int64, all else float32; pixels that
        are picked among others keep their type. ``input`` or a type's name rounds half to even and clips.
    output_nodata
        The value of the result that NaN becomes, as integers have none; its type must hold it.

    Returns
    -------
    numpy.ndarray, dask.array.Array or xarray.DataArray
        Axes in the order of the image's; where the operation makes several channels of one, these come first.

    Raises
    ------
    PlanError
        If the arguments do not fit together or the image; also when the last of three axes or more is 3 or 4 wide
        and neither *axes* nor *channel_axis* says whether that is colour.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.apply([[0, 0, 8, 8]], tileconv.kernels.sobel("x"), border={"x": "wrap"})
    array([[-32,  32,  32, -32]])
    """
    rule, absent = missing_rule(missing, nodata)
    array = as_pixels(image, absent)
    made = as_operation(operation)
    count = len(made.halo.before) if made.halo else operator_axes(array.ndim, axes, channel_axis)
    moved = kernel_axes(array.shape, count, axes, channel_axis)
    if any(step.operation.mixes_channels for step in steps_of(made)):
        array, moved = _with_channels(array, moved, channel_axis)
    array, lead = _moved(array, moved)
    native = np.dtype(array.dtype).newbyteorder("=")
    named = "t" * bool(lead) + "c" * (len(moved) > count) + SPACE[-count:]
    info = ImageInfo(array.shape, named, native, (1,) * array.ndim)
    kind = _kind(dtype, image)
    passes = array_passes(
        [_stage(made, SPACE[-count:], border, cval, extent, engine, rule)],
        info,
        precision=cast("Any", choice("precision", precision, get_args(Precision))),
        missing=absent,
        dtype=kind,
        nodata=None if output_nodata is None else number("output_nodata", output_nodata),
        tile=None if tile is None else tile_sizes(tile, count),
    )
    result: Any = of_array(array, passes)[len(passes) - 1] if is_lazy(image) else reduce(in_memory, passes, array)
    channels = result.shape[bool(lead) :][:1] if "c" in passes[-1].image.axes and "c" not in named else ()
    if channels:
        result = np.moveaxis(result, int(bool(lead)), 0)
    result = result.reshape(*channels, *lead, *result.shape[result.ndim - len(moved) :])
    return np.moveaxis(result, range(result.ndim - len(moved), result.ndim), [at + len(channels) for at in moved])


@labelled
def convolve(image: Image, kernel: ArrayLike | Kernel, *, flip: bool = True, **options: Any) -> Any:
    """Convolve *image* with *kernel*, centred as scipy.ndimage does, even sizes included.

    Parameters
    ----------
    image
        As ``apply`` takes it.
    kernel
        Weights, 1 to 3 axes: numbers, or a ``Kernel``.
    flip
        Whether the kernel is turned round along every axis, as the mathematics of convolution says; ``flip=False``
        is correlation.
    options
        Keywords of ``apply``: border, cval, extent, engine, precision, tile, axes, channel_axis, nodata, missing,
        dtype and output_nodata.

    Returns
    -------
    numpy.ndarray, dask.array.Array or xarray.DataArray
        See ``apply`` for shape and dtype.

    Raises
    ------
    KernelError
        If the weights cannot make a kernel.
    PlanError
        As ``apply``.

    Examples
    --------
    >>> convolve([[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 2], [3, 4]])
    array([[1, 2, 0],
           [3, 4, 0],
           [0, 0, 0]])
    """
    known = inspect.signature(apply).parameters
    if hint := other_words(options, known):
        raise TypeError(f"convolve() got an unexpected keyword argument{hint}")
    return apply(image, Linear(kernel if isinstance(kernel, Kernel) else Kernel.of(kernel, flip=flip)), **options)


@labelled
def correlate(image: Image, kernel: ArrayLike | Kernel, **options: Any) -> Any:
    """Slide *kernel* over *image* as it is written, as a CNN layer does; otherwise as ``convolve``.

    Examples
    --------
    >>> correlate([[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 2], [3, 4]])
    array([[0, 0, 0],
           [0, 4, 3],
           [0, 2, 1]])
    """
    return convolve(image, kernel, flip=False, **options)


def _operator(name: str, make: Callable[..., Kernel | Operation | Steps]) -> Callable[..., Any]:
    """Return an operator of pipeline files as a function of an image, with a signature that says all that it takes."""
    image, _, *options = inspect.signature(apply).parameters.values()
    parameters = parameters_of(make)
    signature = inspect.Signature([image, *parameters, *options], return_annotation="Any")

    def on_image(*args: Any, **words: Any) -> Any:
        try:
            given = signature.bind(*args, **words).arguments
        except TypeError as error:
            raise TypeError(f"{make.__name__}() {error}{other_words(words, signature.parameters)}") from None
        image = given.pop("image")
        chosen = {option.name: given.pop(option.name) for option in options if option.name in given}
        if not (is_lazy(image) or isinstance(image, np.ndarray)):
            image = as_array(image, None)
        count = operator_axes(image.ndim, chosen.get("axes"), chosen.get("channel_axis"))
        over, scale = {} if count == 2 else {"axes": SPACE[-count:]}, given.pop("scale", None)
        given = in_pixels(name, given, SPACE[-count:], scale) if texts([*given.values()]) else given
        return apply(image, as_operation(make(**given, **over)), **chosen)

    on_image.__signature__ = signature  # type: ignore[attr-defined]  # what help(), notebooks and ``labelled`` read
    on_image.__name__ = on_image.__qualname__ = make.__name__
    summary, _, rest = (inspect.getdoc(make) or "").partition("\n\n")
    on_image.__doc__ = (
        f"{summary}\n\n{SAID * (SCALE in parameters)}"
        "The parameters from *border* on are those of ``tileconv.apply``, where they are explained. "
        f"A picture:\ndocs/images/{make.__name__}.png.\n\n{rest}"
    )
    return labelled(on_image)


FUNCTIONS: dict[str, Callable[..., Any]] = {make.__name__: _operator(name, make) for name, make in OF_ONE.items()} | {
    function.__name__: function for function in (apply, convolve, correlate)
}
"""All functions of an image by their names in Python; ``abs`` is ``absolute`` there."""


def _kind(asked: Any, image: Any) -> str:
    """Return the output's type as a pipeline file names it."""
    kind = type_name(asked, get_args(Dtype))
    if kind == "input" and isinstance(image, np.ma.MaskedArray):  # whose missing pixels may need another type
        return "uint8" if image.dtype.kind == "b" else str(image.dtype.name)
    return kind


def _stage(
    operation: Operation | Steps, over: str, border: Any, cval: float, extent: Any, engine: Any,
    missing: MissingSpec | None,
) -> StageSpec:  # fmt: skip
    """Return the stage of a pipeline file that does what the arguments say; PlanError if one is not understood."""
    renormalizes = missing is not None and missing.renormalizes
    if renormalizes and operation.no_mean:
        fix = "Say missing='propagate', or fill the holes first."
        raise PlanError(f"missing pixels cannot be left out: {operation.no_mean}", where="missing", fix=fix)
    return StageSpec(
        op="apply",
        operation=operation,
        over=cast("Any", over),
        border=borders(border, cval, SPACE, over, "reflect" if extent == "same" else "constant"),
        extent=cast("Any", choice("extent", extent, get_args(Extent))),
        engine=cast("Any", choice("engine", engine, get_args(Engine))),
        missing=missing if renormalizes else None,
    )


def _with_channels(array: Any, moved: Sequence[int], channel_axis: Any) -> tuple[Any, list[int]]:
    """Return *array* with an axis of channels, the first where it has none, and that axis before those that *moved*."""
    others = [axis for axis in range(array.ndim) if axis not in moved]
    if not others:
        return array[None], [0, *(axis + 1 for axis in moved)]
    if channel_axis is None and len(others) > 1:
        problem = f"of an array of shape {array.shape} it is not known which axis holds the channels"
        raise PlanError(problem, fix="Say channel_axis.")
    (channel,) = others if channel_axis is None else [int(channel_axis) % array.ndim]
    return array, [channel, *moved]


def _moved(array: Any, axes: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    """Return *array* with *axes* last and the others as one before them, and the shape of those others."""
    array = np.moveaxis(array, axes, range(array.ndim - len(axes), array.ndim))
    lead = array.shape[: array.ndim - len(axes)]
    return array.reshape(-1, *array.shape[len(lead) :]) if lead else array, lead
