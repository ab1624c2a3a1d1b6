"""A convolutional network's layer: every out-channel is a sum over all in-channels under kernels of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tileconv.boxes import Box, Halo
from tileconv.engines.expected import ROUNDING, expected_pixels
from tileconv.engines.filters import BLAS, Filters, Taps
from tileconv.engines.grid import error_bound
from tileconv.engines.values import FLOAT32, Dtype, Precision, Values, working_dtype
from tileconv.engines.waves import Waves, cheaper_waves, products_ns
from tileconv.errors import KernelError, PlanError
from tileconv.operations.activation import SHAPES, Activation
from tileconv.operations.custom import file_of
from tileconv.operations.formulas import half_ulp, largest
from tileconv.operations.layer_files import read_layer
from tileconv.operations.operation import PADDED, Array, Choices, Operation
from tileconv.operations.parameters import Amounts, Count, Counts, LayerWeights, Tensor, number, sizes_per_axis
from tileconv.quick import dataclass


def conv_layer(
    weights: LayerWeights,
    bias: str | None = None,
    *,
    stride: Counts = 1,
    padding: Amounts | None = None,
    dilation: Counts = 1,
    groups: Count = 1,
    activation: Activation = "none",
    slope: float = 0.01,
    axes: str = "yx",
) -> ConvLayer:
    """Layer of a convolutional network: channels in, other channels out, correlated as PyTorch does.

    *weights* are (out-channels, in-channels / groups, y, x), or (..., z, y, x) with ``over: zyx``: numbers, a ``.npy``
    file, an ``.npz`` of ``weights`` and ``bias``, or a tensor of a safetensors file. *bias* is a ``.npy`` file, where
    the weights bring none. *padding* zeros on each side stand for border and extent; without it these hold as for any
    stage. *slope* is that of ``leaky_relu``.

    Raises
    ------
    KernelError
        If the weights cannot be read, or do not fit the other parameters.

    Examples
    --------
    >>> layer = conv_layer([[[[1, 2, 3]]], [[[0, -1, 0]]]], activation="relu")
    >>> layer.channels_out(("",)), layer.halo
    (('', ''), Halo(before=(0, 1), after=(0, 1)))
    """
    if axes not in {"yx", "zyx"}:
        raise KernelError(f"a layer acts over yx or zyx, found {axes}")
    given, own = _read(weights)
    added = own if bias is None else _read(bias)[0]
    filters = Filters.of(given, added, axes=axes)

    def spatial(value: Amounts, name: str, least: int) -> tuple[int, ...]:
        return (least,) * (3 - len(axes)) + sizes_per_axis(value, axes, name, least=least)

    if filters.weights.shape[0] % groups:
        raise KernelError(f"{filters.weights.shape[0]} out-channels cannot be put into {groups} groups")
    return ConvLayer(
        filters,
        spatial(stride, "stride", 1),
        None if padding is None else spatial(padding, "padding", 0),
        spatial(dilation, "dilation", 1),
        groups,
        activation,
        number(slope, "slope"),
    )


def _read(weights: Any) -> tuple[Any, Any]:
    """Return weights and bias of what a spec or a caller gives."""
    told = vars(weights) if isinstance(weights, Tensor) else weights
    if not isinstance(told, str | Path | Mapping):
        return weights, None
    path, name = (told["path"], told["name"]) if isinstance(told, Mapping) else (str(told), "")
    return read_layer(file_of(path), name)


@dataclass(frozen=True)
class ConvLayer(Operation):
    """``activation(sum over in-channels of kernel * channel + bias)`` for every out-channel; axes (z, y, x)."""

    filters: Filters
    stride: tuple[int, ...] = (1, 1, 1)
    padding: tuple[int, ...] | None = None
    dilation: tuple[int, ...] = (1, 1, 1)
    groups: int = 1
    activation: Activation = "none"
    slope: float = 0.01
    makes_channels: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True
    copies: ClassVar[int] = 0

    @property
    def libraries(self) -> tuple[str, ...]:  # type: ignore[override]
        """BLAS in any case: it makes blocks with NaN."""
        return (BLAS, "scipy") if self._by_waves(FLOAT32) else (BLAS,)

    @property
    def excludes(self) -> Mapping[str, str]:
        why = "a layer takes products of matrices, or transforms where these are cheaper"
        return {"engine": why} | (PADDED if self.padding is not None else {})

    def along(self, axes: str) -> Self:
        return self

    @property
    def digests(self) -> tuple[str, ...]:
        return (self.filters.digest,)

    @property
    def halo(self) -> Halo:
        lengths = [1 + (n - 1) * d for n, d in zip(self.filters.weights.shape[2:], self.dilation, strict=True)]
        planes = (lengths[0], self.stride[0], (self.padding or (0,))[0]) == (1, 1, 0)
        around = [(n // 2, n - 1 - n // 2) for n in lengths[planes:]]
        return Halo(tuple(before for before, _ in around), tuple(after for _, after in around))

    @property
    def error_scale(self) -> str:
        return "max(1, |pixel|)" if self.filters.bias.any() else "max |pixel|"

    def channels_out(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        wanted, given = self.filters.weights.shape[1] * self.groups, max(1, len(channels))
        if wanted != given:
            fix = "Give weights for as many, or groups." if wanted < given else ""
            raise PlanError(f"the layer takes {wanted} channels, and gets {given}", fix=fix)
        return ("",) * len(self.filters.weights)

    def combine(self, pixels: tuple[Array, ...], sums: list[Array], choices: Choices, out: Values) -> Array:
        raise NotImplementedError

    def mix(self, blocks: list[Array], out: Box, image: Box, made: Values) -> tuple[Array, ...]:
        by, last = self._by_waves(made.dtype), (made.dtype, self.activation, self.slope)
        if by:
            from tileconv.engines.layer_fft import layer_by_fft

            return tuple(layer_by_fft(self.filters, self.groups, by[0], blocks, out, image, *last))
        from tileconv.engines.products import layer

        return tuple(layer(self.filters, self.groups, self.taps, blocks, out, *last))

    def _by_waves(self, out: Dtype) -> tuple[Waves, float] | None:
        """Return the transforms that make pixels of the type *out*, and their cost, where that is less than products'.

        Those of float32 alone: transforms in float64 make their sums as right beside a pixel a million times larger.
        """
        return cheaper_waves(self.filters.weights.shape, self.taps, self.groups) if out == FLOAT32 else None

    def engine(self, values: Values) -> str:
        by = self._by_waves(values.dtype)
        return f"fft in blocks of {by[0].step} x {by[0].step}" if by else "products of matrices"

    def block_side(self, values: Values) -> int:
        by = self._by_waves(values.dtype)
        return by[0].step if by else 1

    def kernel_bytes(self, values: Values) -> int:
        by, weights = self._by_waves(values.dtype), self.filters.weights
        spectra = by[0].half * math.prod(weights.shape[:2]) if by else 0
        return weights.nbytes + weights.size * values.dtype.itemsize + spectra

    @property
    def taps(self) -> Taps:
        """Which pixels are summed for an output."""
        return Taps(self.filters.weights.shape[2:], self.stride, self.dilation)

    def _sums(self, values: Values) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the least and the largest sum with the bias of each out-channel."""
        low, high = self.filters.ends
        bias = self.filters.bias.astype(np.float64)
        return low * values.high + high * values.low + bias, low * values.low + high * values.high + bias

    def range_out(self, values: tuple[Values, ...], choices: Choices, precision: Precision) -> Values:
        (own,), ends = values, (-math.inf, math.inf)
        if math.isfinite(own.peak):
            low, high = self._sums(own)
            ends = float(low.min()), float(high.max())
        low_end, high_end = SHAPES[self.activation].range(*ends, self.slope)
        return Values(working_dtype(own.dtype, precision), whole=False, low=low_end, high=high_end)

    def error_bound(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        shape, unit, filters = SHAPES[self.activation], half_ulp(out), self.filters
        most, peak = filters.gain * largest(values[0]), largest(values[0])
        bias = float(np.abs(filters.bias).max())
        sums = unit * 2 * (2 * most + bias)
        if by := self._by_waves(out.dtype):
            points, ins = math.prod(by[0].length), filters.weights.shape[1]
            norms = error_bound(points, math.sqrt(points) * peak, filters.norm * math.sqrt(ins))
            sums += norms * (1 + ins / math.log2(points))
        else:
            weights = filters.weights.astype(np.float64)
            wrong = float(np.abs(weights - weights.astype(out.dtype)).reshape(len(weights), -1).sum(axis=1).max())
            sums += unit * filters.taps * most + wrong * peak
        return sums * shape.steepest(self.slope) + unit * shape.error * max(1.0, most + bias)

    def expected_error(self, values: tuple[Values, ...], choices: Choices, out: Values) -> float:
        shape, unit, filters = SHAPES[self.activation], ROUNDING * half_ulp(out), self.filters
        size = expected_pixels(values[0]).size * filters.norm
        bias = float(np.abs(filters.bias).max())
        added = 1 if self._by_waves(out.dtype) else filters.taps / 2 + 1
        sums = unit * math.hypot(math.sqrt(added) * size, size + bias)
        return math.hypot(sums * shape.steepest(self.slope), unit * shape.error)

    def ns_per_pixel(self, values: Values) -> float:
        """Return the cost for one in-channel, on the grid of the output."""
        dtype, shape = working_dtype(values.dtype, "auto"), self.filters.weights.shape
        by = self._by_waves(dtype)
        ns = by[1] if by else dtype.itemsize / 4 * products_ns(shape, self.groups)
        return float(ns / (shape[1] * self.groups))

    def scratch(self, values: Values, want: int) -> int:
        dtype, shape = working_dtype(values.dtype, "auto"), self.filters.weights.shape
        products = self.taps.room(shape[1], shape[0] // self.groups, dtype.itemsize).numbers * dtype.itemsize
        by = self._by_waves(dtype)
        return products + (by[0].scratch(shape, self.groups) if by else 0)
