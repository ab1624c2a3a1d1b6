"""Convolve images too large for memory, tile by tile, with halos, from a pipeline file or from Python.

>>> import tileconv
>>> tileconv.box([[0, 9, 0]], size=1)
array([[0, 9, 0]])

``__init__.pyi`` says what type checkers and editors see here.
"""

import sys
from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Import the libraries when they are first needed: ``tileconv --help`` does without them."""
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if not name.startswith("_"):
        try:
            return import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
        globals().update(_public())
    if name == "__all__":
        return [*_public()]
    if name in globals():
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_public(), "__version__"]


def _public() -> dict[str, Any]:
    """Return what users may call, and the two modules that they may look into."""
    if sys.platform == "win32":
        from tileconv.errors import NOT_WINDOWS

        raise ImportError(NOT_WINDOWS)
    from tileconv import api, arrays, errors, kernels

    pipelines = {name: getattr(api, name) for name in api.__all__}
    return dict(sorted({**arrays.FUNCTIONS, **pipelines, "errors": errors, "kernels": kernels}.items()))
