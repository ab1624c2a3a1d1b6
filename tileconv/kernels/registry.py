"""The operators by the name that a spec gives them. Adding one: its function, its line here, a test, a row of docs."""

from __future__ import annotations

from collections.abc import Callable

from tileconv.kernels.blur import box, disk, gaussian
from tileconv.kernels.custom import convolve, correlate
from tileconv.kernels.edge import (
    difference_of_gaussians,
    edge,
    laplacian,
    laplacian_of_gaussian,
    prewitt,
    scharr,
    sobel,
)
from tileconv.kernels.kernel import Kernel
from tileconv.kernels.operations import Operation
from tileconv.kernels.pointwise import absolute, clip, rescale
from tileconv.kernels.sharpen import sharpen, unsharp

OPERATORS: dict[str, Callable[..., Kernel | Operation]] = {
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

HINTS = {
    "log": "laplacian_of_gaussian (or np.log, which tileconv does not have)",
    "dog": "difference_of_gaussians",
    "blur": "gaussian or box",
    "mean": "box",
    "gauss": "gaussian",
    "laplace": "laplacian",
    "unsharp_mask": "unsharp",
    "sobel_x": "sobel with component: x",
    "sobel_y": "sobel with component: y",
    "conv": "convolve",
    "cast": "output.dtype",
}
"""Names that other tools use, refused with ours."""
