"""The user's own weights, from a nested list or a file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from tileconv.engines.kernel import Kernel, Weights, check_size, checked_weights
from tileconv.errors import KernelError
from tileconv.operations.linear import Linear
from tileconv.operations.parameters import WeightsOrFile, number
from tileconv.retry import retrying
from tileconv.stores import steady
from tileconv.stores.location import local

CSV_LIMIT_BYTES, CSV_LIMIT_WEIGHTS = 2**25, 2**20
"""The largest kernel that is read as text: every number takes 60 bytes on the way."""
SAVE = "Save the weights with numpy.save, or as lines of numbers with commas between them."
"""What to do about a file of another kind."""
HEADER_LIMIT = 10_000
"""Bytes of the header of a ``.npy`` file; NumPy parses no longer one."""


def convolve(
    kernel: WeightsOrFile, *, normalize: bool = False, divide_by: float = 1.0, offset: float = 0.0, axes: str = "yx"
) -> Linear:
    """Convolution with your own *kernel*, whose weights are turned by half a turn, as the mathematics says.

    *normalize* divides by the sum of the weights, *divide_by* by a number of yours; *offset* is added last.

    Raises
    ------
    KernelError
        If the weights cannot be read, have not one axis per letter of *axes*, or sum to 0 with *normalize*.

    Examples
    --------
    >>> convolve([[1, 2], [3, 4]]).kernel.weights
    array([[4, 3],
           [2, 1]])
    """
    return _own(kernel, axes, normalize, divide_by, offset, flip=True)


def correlate(
    kernel: WeightsOrFile, *, normalize: bool = False, divide_by: float = 1.0, offset: float = 0.0, axes: str = "yx"
) -> Linear:
    """Correlation with your own *kernel*: the weights slide over the image as written, as in a CNN layer."""
    return _own(kernel, axes, normalize, divide_by, offset, flip=False)


def _own(kernel: WeightsOrFile, axes: str, normalize: bool, divide_by: float, offset: float, *, flip: bool) -> Linear:
    weights = weights_over(kernel, axes)
    divide_by = number(divide_by, "divide_by")
    if normalize:
        if divide_by != 1.0:
            raise KernelError("normalize and divide_by both divide the weights", fix="Remove one of them.")
        plain = Kernel.of(weights)
        divide_by = plain.total
        if abs(divide_by) <= 1e-12 * plain.absolute_sum:
            raise KernelError(
                "a kernel whose weights sum to 0 cannot be normalized",
                why="that would divide by zero",
                fix="Remove normalize: an edge kernel needs none.",
            )
    offset = number(offset, "offset")
    if not np.isfinite(offset):
        raise KernelError(f"offset must be finite, found {offset}")
    return Linear(Kernel.of(weights, flip=flip, divide_by=divide_by), offset)


def weights_over(kernel: WeightsOrFile, axes: str) -> Weights:
    """Return the weights of *kernel*, a list or the path of a file; KernelError if they have other axes than *axes*."""
    weights = load_weights(file_of(kernel)) if isinstance(kernel, str) else checked_weights(kernel)
    if weights.ndim != len(axes):
        fix = "State over: zyx in the stage." if weights.ndim == 3 else f"Give lists {len(axes)} deep."
        raise KernelError(
            f"the kernel needs one axis for each of {', '.join(axes)}, found shape {weights.shape}", fix=fix
        )
    return weights


def file_of(text: str) -> Path:
    """Return the file that *text* names; KernelError where it names none of this machine."""
    try:
        return local(text)
    except ValueError as error:
        raise KernelError(f"expected a path, found {text!r}: {error}") from None


def load_weights(path: Path) -> Weights:
    """Return the weights stored in a ``.npy`` file (no pickles) or a ``.csv`` file of numbers and commas.

    Raises
    ------
    KernelError
        If the file is missing, of another kind, holds too many weights or none that make a kernel, or cannot be read.
    """
    where = str(path)
    kind = path.suffix.lower()
    if kind not in {".npy", ".csv"}:
        raise KernelError(f"a kernel file ends in .npy or .csv, found '{path.name}'", where=where, fix=SAVE)
    try:
        if not steady.is_file(path):
            found = "it is no plain file" if steady.exists(path) else "no such file"
            raise KernelError(found, fix="Give the path of a .npy or .csv file, relative to the pipeline file.")
        return checked_weights(_csv(path) if kind == ".csv" else _npy(path))
    except KernelError as error:
        raise KernelError(error.problem, where=where, why=error.why, fix=error.fix) from None
    except OSError as error:
        raise KernelError(f"cannot read the kernel: {error.strerror}", where=where) from error
    except Exception as error:  # NumPy reads headers with Python's own parser, which fails in many ways
        problem = "cannot read the kernel: it is no whole .npy file of numbers"
        raise KernelError(problem, where=where, fix=SAVE) from error


def _csv(path: Path) -> ArrayLike:
    with steady.opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        text = file.read().decode("utf-8-sig", "replace") if size <= CSV_LIMIT_BYTES else ""
    if size > CSV_LIMIT_BYTES or text.count(",") + text.count("\n") > CSV_LIMIT_WEIGHTS:
        raise KernelError(
            f"a kernel in .csv has at most {CSV_LIMIT_WEIGHTS:,} weights in {CSV_LIMIT_BYTES:,} bytes, "
            f"found a file of {size:,} bytes",
            fix="Store it as .npy.",
        )
    return [_row(line, number) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def _row(line: str, number: int) -> list[float]:
    try:
        return [float(word) for word in line.split(",")]
    except ValueError as error:
        shown = ascii(line[:60])
        raise KernelError(f"expected numbers and commas on line {number}, found {shown}", fix=SAVE) from error


def _npy(path: Path) -> ArrayLike:
    with steady.opened(path) as file:
        head = file.read(12)
    if head[:6] == np.lib.format.MAGIC_PREFIX and head[6] > 1 and int.from_bytes(head[8:], "little") > HEADER_LIMIT:
        raise KernelError(f"the header of the file is longer than {HEADER_LIMIT:,} bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's advice on files that Python 2 wrote
        mapped = retrying(lambda: np.lib.format.open_memmap(path, mode="r"))
    check_size(mapped.shape)
    return mapped
