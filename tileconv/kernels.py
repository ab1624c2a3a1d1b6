"""Numbers to weights: the operators as functions that return a Kernel or an operation."""

from tileconv.engines.kernel import Kernel
from tileconv.operations.absolute import absolute
from tileconv.operations.bank import bank
from tileconv.operations.blur import box, disk, gaussian
from tileconv.operations.clip import clip
from tileconv.operations.custom import convolve, correlate
from tileconv.operations.edge import (
    difference_of_gaussians,
    edge,
    laplacian,
    laplacian_of_gaussian,
    prewitt,
    scharr,
    sobel,
)
from tileconv.operations.rank import local_maximum, local_minimum, median, rank
from tileconv.operations.rescale import rescale
from tileconv.operations.sharpen import sharpen, unsharp
from tileconv.operations.variance import standard_deviation, variance

__all__ = [
    "Kernel",
    "absolute",
    "bank",
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
    "local_maximum",
    "local_minimum",
    "median",
    "prewitt",
    "rank",
    "rescale",
    "scharr",
    "sharpen",
    "sobel",
    "standard_deviation",
    "unsharp",
    "variance",
]
