"""The operators by the name that a spec gives them. Adding one: its function, its line here, a test, a row of docs."""

from __future__ import annotations

from collections.abc import Callable

from tileconv.engines.kernel import Kernel
from tileconv.operations.absolute import absolute
from tileconv.operations.add import add
from tileconv.operations.blur import box, disk, gaussian
from tileconv.operations.clip import clip
from tileconv.operations.custom import convolve, correlate
from tileconv.operations.divide import divide
from tileconv.operations.edge import (
    difference_of_gaussians,
    edge,
    laplacian,
    laplacian_of_gaussian,
    prewitt,
    scharr,
    sobel,
)
from tileconv.operations.extremes import maximum, minimum
from tileconv.operations.hypot import hypot
from tileconv.operations.mean import mean
from tileconv.operations.multiply import multiply
from tileconv.operations.operation import Operation
from tileconv.operations.rescale import rescale
from tileconv.operations.sharpen import sharpen, unsharp
from tileconv.operations.subtract import subtract
from tileconv.operations.where import where

OF_ONE: dict[str, Callable[..., Kernel | Operation]] = {
    "box": box,
    "gaussian": gaussian,
    "disk": disk,
    "edge": edge,
    "sobel": sobel,
    "scharr": scharr,
    "prewitt": prewitt,
    "laplacian": laplacian,
    "laplacian_of_gaussian": laplacian_of_gaussian,
    "difference_of_gaussians": difference_of_gaussians,
    "sharpen": sharpen,
    "unsharp": unsharp,
    "convolve": convolve,
    "correlate": correlate,
    "rescale": rescale,
    "abs": absolute,
    "clip": clip,
}
"""Operators of one input, which are functions of an image in Python, too."""

OF_SEVERAL: dict[str, Callable[..., Operation]] = {
    "add": add,
    "subtract": subtract,
    "multiply": multiply,
    "divide": divide,
    "minimum": minimum,
    "maximum": maximum,
    "hypot": hypot,
    "mean": mean,
    "where": where,
}

OPERATORS = OF_ONE | OF_SEVERAL

HINTS = {
    "log": "laplacian_of_gaussian (or np.log, which tileconv does not have)",
    "dog": "difference_of_gaussians",
    "blur": "gaussian or box",
    "average": "box (or mean of several inputs)",
    "gauss": "gaussian",
    "laplace": "laplacian",
    "unsharp_mask": "unsharp",
    "sobel_x": "sobel with component: x",
    "sobel_y": "sobel with component: y",
    "conv": "convolve",
    "cast": "output.dtype",
}
"""Names that other tools use, refused with ours."""
