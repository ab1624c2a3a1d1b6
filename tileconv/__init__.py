"""Convolve images too large for memory, tile by tile, with halos, from a YAML pipeline or from Python.

>>> import tileconv
>>> tileconv.box([[0, 9, 0]], size=1)
array([[0, 9, 0]])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tileconv import errors as errors
    from tileconv import kernels as kernels
    from tileconv.api import *  # noqa: F403  the type checker's view of what __getattr__ finds

_FUNCTIONS = {
    "absolute",
    "apply",
    "box",
    "clip",
    "convolve",
    "correlate",
    "difference_of_gaussians",
    "disk",
    "edge",
    "gaussian",
    "laplacian",
    "laplacian_of_gaussian",
    "plan",
    "prewitt",
    "rerun",
    "rescale",
    "run",
    "scharr",
    "sharpen",
    "sobel",
    "unsharp",
    "verify",
}

__all__ = sorted(_FUNCTIONS | {"errors", "kernels"})


def __getattr__(name: str) -> Any:
    """Import the libraries when they are first needed: ``tileconv --help`` does without them."""
    if name in _FUNCTIONS:
        return getattr(import_module("tileconv.api"), name)
    if name in {"errors", "kernels"}:
        return import_module(f"tileconv.{name}")
    raise AttributeError(f"module 'tileconv' has no attribute {name!r}")
