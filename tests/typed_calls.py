"""Calls that mypy checks (``make lint``): what a user may write, and mistakes that must be errors.

A mistake is marked as one to ignore: mypy reports the mark where there is nothing to ignore.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import tileconv
from tileconv.execute.report import Report


class Lazy:
    """Stands for an array of Dask or xarray."""

    def compute(self, **kwargs: Any) -> Any:
        """Return numbers."""


def right(image: NDArray[np.uint8], lazy: Lazy) -> None:
    """Return nothing; each line is a call that is right."""
    assert_type(tileconv.gaussian(image, 2), NDArray[Any])
    assert_type(tileconv.gaussian(lazy, {"y": 2, "x": 3.5}, truncate=3, border="wrap"), Lazy)
    assert_type(tileconv.gaussian(image, "1.5 um", scale={"y": "0.5 um", "x": "0.5 um"}), NDArray[Any])
    assert_type(tileconv.sobel([[1, 2], [3, 4]], "x", axes=(0, 1), dtype="input"), NDArray[Any])
    assert_type(tileconv.convolve(image, [[1, 2]], flip=False, border={"y": "nearest", "x": "wrap"}), NDArray[Any])
    assert_type(tileconv.apply(lazy, tileconv.kernels.box(3), missing="propagate", dtype=np.float64), Lazy)
    assert_type(tileconv.run(Path("p.yaml"), overwrite=True), Report | Any)
    assert_type(tileconv.plan({"version": 1}).peak_bytes, int)
    assert_type(tileconv.__version__, str)


def wrong(image: NDArray[np.uint8]) -> None:
    """Return nothing; each line is a mistake."""
    tileconv.gaussian(image, sigam=2)  # type: ignore[call-overload]
    tileconv.gaussian(image, [1, 2])  # type: ignore[call-overload]
    tileconv.gaussian(image, 2, border="reflct")  # type: ignore[call-overload]
    tileconv.gaussian(image, 2, mode="wrap")  # type: ignore[call-overload]
    tileconv.sobel(image, component="magnitud")  # type: ignore[call-overload]
    tileconv.disk(image)  # type: ignore[call-overload]
    tileconv.convolve(image, [[1, 2]], engine="fast")  # type: ignore[call-overload]
    tileconv.gausian(image, 2)  # type: ignore[attr-defined]
    tileconv.run("p.yaml", overwite=True)  # type: ignore[call-arg]
