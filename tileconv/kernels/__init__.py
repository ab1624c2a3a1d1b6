"""Numbers to weights: the operators as functions that return a Kernel or an operation."""

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
from tileconv.kernels.pointwise import absolute, clip, rescale
from tileconv.kernels.sharpen import sharpen, unsharp

__all__ = [
    "Kernel",
    "absolute",
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
    "prewitt",
    "rescale",
    "scharr",
    "sharpen",
    "sobel",
    "unsharp",
]
