"""Kernel: the grid of weights that slides over an image, and what follows from the weights alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property, reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tileconv.boxes import Halo
from tileconv.errors import KernelError
from tileconv.quick import dataclass

Weights = NDArray[np.int64] | NDArray[np.float64]
Term = tuple[Weights, ...]
"""One outer product: a 1-D factor for every axis of the kernel."""

MAX_WEIGHTS = 16_777_216
"""Most weights of one grid: 4096 x 4096, where even the FFT wants more memory than a tile should."""
MAX_LENGTH = 1_000_000
"""Most weights along one axis of a kernel that is an outer product, which needs no grid."""
MAX_TERMS = 4
"""Most outer products worth trying; a disk of radius 12 needs 9 and no longer pays (measured, see docs/engines.md)."""
REMAINDER = 8 * float(np.finfo(np.float64).eps)
"""Share of the absolute weights that terms may leave: a product of float64 lines leaves at most 3 eps of each weight,
and full pivoting hands that to later terms no larger."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """Weights as they slide over the image: ``out[p] = sum over j of weights[j] * image[p + j - anchor] / divide_by``.

    Attributes
    ----------
    anchor
        The index of the weight that lies on the output pixel.
    divide_by
        What the sum is divided by, so that a box of whole numbers stays exact until the division.
    dense, given_terms
        The weights as a grid, or as outer products: one of them is given, and ``weights`` and ``terms`` make the other.

    Examples
    --------
    >>> Kernel.of([[1, 2, 3]]).halo
    Halo(before=(0, 1), after=(0, 1))
    >>> Kernel.of([1, 2], flip=True).weights, Kernel.of([1, 2], flip=True).anchor
    (array([2, 1]), (0,))
    """

    anchor: tuple[int, ...]
    divide_by: float = 1.0
    dense: Weights | None = None
    given_terms: tuple[Term, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kernel) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @classmethod
    def of(cls, weights: ArrayLike, *, flip: bool = False, divide_by: float = 1.0) -> Kernel:
        """Return a kernel of *weights*, centred as scipy.ndimage does.

        With *flip* the weights are turned round along every axis first, as convolution says; without, they slide as
        written (correlation). The centre is index ``n // 2`` of the weights as written, even sizes included.

        Raises
        ------
        KernelError
            If there are no weights, more than 3 axes, too many weights, or one that is not a finite real number, or
            if *divide_by* is zero or not finite.
        """
        array = checked_weights(weights)
        if not math.isfinite(divide_by) or divide_by == 0:
            raise KernelError(f"divide_by must be a finite number other than 0, found {divide_by}")
        anchor = tuple(n // 2 for n in array.shape)
        if flip:
            array = np.flip(array)
            anchor = tuple(n - 1 - a for n, a in zip(array.shape, anchor, strict=True))
        return _checked(cls(anchor, float(divide_by), _frozen(array)))

    @classmethod
    def separable(cls, *terms: Sequence[ArrayLike], divide_by: float = 1.0) -> Kernel:
        """Return the sum of the outer products of *terms*, one 1-D factor per axis, all terms of one shape."""
        factors = tuple(tuple(_frozen(checked_weights(f)) for f in term) for term in terms)
        shape = [f.size for f in factors[0]]
        check_lengths(shape)
        if len(factors) == 1 and math.prod(float(np.abs(f).max()) for f in factors[0]) < 2**53:
            if not all(f.all() for f in factors[0]):
                check_size(shape)  # where NaN meets a weight of 0, a grid says which sums it reaches
            return _checked(cls(tuple(n // 2 for n in shape), float(divide_by), None, factors))
        check_size(shape)
        kernel = cls.of(sum(_outer(term) for term in factors), divide_by=divide_by)
        return cls(kernel.anchor, kernel.divide_by, kernel.dense, factors)

    @cached_property
    def weights(self) -> Weights:
        """The grid of weights: 1 to 3 axes; int64 when every weight is a whole number, else float64; read-only.

        A kernel given as one outer product makes it when it is first asked for; KernelError if it would be too large.
        """
        if self.dense is None:
            check_size(self.shape)
        return _frozen(checked_weights(_outer(self.given_terms[0]))) if self.dense is None else self.dense

    @property
    def shape(self) -> tuple[int, ...]:
        """Weights along each axis."""
        return tuple(f.size for f in self.given_terms[0]) if self.dense is None else self.dense.shape

    @property
    def has_grid(self) -> bool:
        """Whether there are few enough weights for a grid; more are one outer product, without any 0."""
        return self.dense is not None or math.prod(self.shape) <= MAX_WEIGHTS

    @property
    def halo(self) -> Halo:
        """Pixels of the image needed around an output pixel."""
        return Halo(self.anchor, tuple(n - 1 - a for n, a in zip(self.shape, self.anchor, strict=True)))

    @property
    def integral(self) -> bool:
        """Whether every weight is a whole number, so that whole-number images have exact sums."""
        return all(part.dtype.kind == "i" for part in self.parts)

    @property
    def parts(self) -> Term:
        """Arrays whose outer product the weights are: the grid alone, or the factors of the only term."""
        return self.given_terms[0] if self.dense is None else (self.dense,)

    @cached_property
    def total(self) -> float:
        """Sum of the weights after the division: what a constant image of ones becomes."""
        return math.prod(math.fsum(part.flat) for part in self.parts) / self.divide_by

    @cached_property
    def absolute_sum(self) -> float:
        """Sum of the absolute weights before the division: the most by which a sum exceeds the largest pixel."""
        with np.errstate(over="ignore"):  # refused when the kernel is made
            return math.prod(float(np.abs(part).sum(dtype=np.float64)) for part in self.parts)

    @cached_property
    def norm(self) -> float:
        """Euclidean norm of the weights before the division."""
        powers = [int(np.frexp(np.abs(part).max())[1]) for part in self.parts]  # so that no square leaves float64
        scaled = [np.ldexp(part, -power) for part, power in zip(self.parts, powers, strict=True)]
        norms = [math.sqrt(float(np.square(part).sum())) for part in scaled]
        return math.prod(map(math.ldexp, norms, powers))

    @cached_property
    def signed_sums(self) -> tuple[float, float]:
        """Sum of the positive and sum of the negative weights, before the division."""
        positive, negative = 1.0, 0.0
        for part in self.parts:
            above, below = (float(part[side].sum(dtype=np.float64)) for side in (part > 0, part < 0))
            positive, negative = positive * above + negative * below, positive * below + negative * above
        return positive, negative

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The fewest outer products that sum to the weights, or () when more than ``MAX_TERMS`` would be needed.

        Found by rank, not by name: cross approximation with full pivoting (Bebendorf 2000, "Approximation of boundary
        element matrices") takes the largest remaining weight and the lines through it, until what is left sums to at
        most ``REMAINDER`` of the absolute weights. Whole-number weights get whole-number factors, without remainder,
        or none. Terms beyond one need two axes.
        """
        return self.given_terms or self._crossed[0]

    @cached_property
    def remainder(self) -> float:
        """By how much, summed over all weights, ``terms`` and ``weights`` may differ, before the division."""
        if not self.given_terms:
            return self._crossed[1]
        if all(factor.dtype.kind == "i" for term in self.given_terms for factor in term):
            return 0.0
        roundings = len(self.shape) - 1 + len(self.given_terms) - 1
        gain = sum(math.prod(float(np.abs(f).sum()) for f in term) for term in self.given_terms)
        return roundings * float(np.finfo(np.float64).eps) / 2 * gain

    @cached_property
    def _crossed(self) -> tuple[tuple[Term, ...], float]:
        return _cross_terms(self.weights)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides a sum to the last bit: weights, anchor, divisor and terms."""
        digest = hashlib.sha256(f"{self.shape} {self.anchor} {self.divide_by!r} {len(self.terms)}".encode())
        for array in (*self.parts, *(factor for term in self.terms for factor in term)):
            digest.update(array.dtype.str.encode() + array.tobytes())
        return digest.hexdigest()

    def __repr__(self) -> str:
        size = "x".join(map(str, self.shape))
        return f"Kernel({size}, sum={self.total:.6g})"


def checked_weights(weights: ArrayLike) -> Weights:
    """Return *weights* as int64 if all are whole numbers below 2**53, else as float64; KernelError if neither."""
    try:
        array = np.asarray(weights)
    except ValueError as error:
        raise KernelError(
            "the rows of a kernel must have the same length", fix="Give a rectangle of numbers."
        ) from error
    if array.dtype.kind not in "biuf":
        fix = "Give numbers; numpy.load reads those of a .npy file."
        raise KernelError(f"a kernel holds real numbers, found type {array.dtype}", fix=fix)
    if not 1 <= array.ndim <= 3 or array.size == 0:
        raise KernelError(f"a kernel has 1 to 3 axes and at least one weight, found shape {array.shape}")
    check_size(array.shape)
    with np.errstate(over="ignore"):  # a long double too large becomes an infinity, refused below
        reals = array.astype(np.float64) + 0.0  # -0.0 becomes 0.0: kernels that act alike have one digest
    if not np.isfinite(reals).all():
        raise KernelError("every weight must be finite, found NaN or infinity")
    if (np.rint(reals) == reals).all() and np.abs(reals).max() < 2**53:
        return reals.astype(np.int64)
    return reals


def check_size(sizes: Sequence[float]) -> None:
    """Refuse a grid of more than ``MAX_WEIGHTS`` weights before any is made; KernelError."""
    if not math.prod(sizes) <= MAX_WEIGHTS:
        raise _too_large(f"{MAX_WEIGHTS:,} weights", sizes)


def check_lengths(sizes: Sequence[float]) -> None:
    """Refuse an outer product of more than ``MAX_LENGTH`` weights along an axis before any is made; KernelError."""
    if not max(sizes) <= MAX_LENGTH:
        raise _too_large(f"{MAX_LENGTH:,} weights along an axis", sizes)


def _too_large(most: str, sizes: Sequence[float]) -> KernelError:
    found = " x ".join(f"{n:,.0f}" for n in sizes)
    return KernelError(f"a kernel has at most {most}, found {found}", fix="Make the kernel smaller.")


def _checked(kernel: Kernel) -> Kernel:
    """Return *kernel*; KernelError if its weights, divided and together, are no number of float64."""
    gain = kernel.absolute_sum / abs(kernel.divide_by)
    if not math.isfinite(kernel.absolute_sum) or not math.isfinite(gain) or (gain == 0 < kernel.absolute_sum):
        raise KernelError(
            f"absolute weights that sum to {kernel.absolute_sum:.6g}, divided by {kernel.divide_by:.6g}, leave float64",
            fix="Scale the weights, or divide_by.",
        )
    return kernel


def _frozen(array: Weights) -> Weights:
    if not array.flags.c_contiguous:
        array = array.copy()
    array.flags.writeable = False
    return array


def _outer(term: Term) -> Weights:
    return reduce(np.multiply.outer, term)


def _cross_terms(weights: Weights) -> tuple[tuple[Term, ...], float]:
    """Return outer products that sum to *weights* within rounding, or none, and what they leave of the absolute sum."""
    if weights.ndim == 1:
        return (((weights,),) if weights.any() else ()), 0.0
    residual: NDArray[np.float64] = weights.astype(np.float64)
    whole = weights.dtype.kind == "i"
    limit = 0.0 if whole else REMAINDER * float(np.abs(residual).sum())
    terms: list[Term] = []
    while np.abs(residual).sum() > limit:
        if len(terms) == (MAX_TERMS if weights.ndim == 2 else 1):
            return (), 0.0
        term = _cross(residual, whole=whole)
        if term is None:
            return (), 0.0
        terms.append(term)
        residual -= _outer(term)
    rounded = 0.0 if whole else len(terms) * float(np.finfo(np.float64).eps) / 2 * float(np.abs(weights).sum())
    return tuple(terms), float(np.abs(residual).sum()) + rounded


def _cross(residual: NDArray[np.float64], *, whole: bool) -> Term | None:
    """Return the outer product of the lines through the largest entry; None if *whole* factors cannot make it."""
    pivot = np.unravel_index(int(np.abs(residual).argmax()), residual.shape)
    lines = [
        residual[tuple(slice(None) if d == axis else p for d, p in enumerate(pivot))] for axis in range(residual.ndim)
    ]
    peak = residual[pivot]
    if not whole:
        return tuple(_frozen(line.copy() if d == 0 else line / peak) for d, line in enumerate(lines))
    factors = [(np.rint(line) / np.gcd.reduce(np.rint(line).astype(np.int64))).astype(np.int64) for line in lines]
    ratio, rest = divmod(int(peak), math.prod(int(f[p]) for f, p in zip(factors, pivot, strict=True)))
    if rest:
        return None
    factors[0] = factors[0] * ratio
    return tuple(map(_frozen, factors))
