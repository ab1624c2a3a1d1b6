"""The operators by the name that a spec gives them. Adding one: its function, its line here, a test, a row of docs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

from tileconv.engines.kernel import Kernel
from tileconv.operations.operation import Operation
from tileconv.operations.steps import Steps

Function = Callable[..., Kernel | Operation | Steps]


class Operators(Mapping[str, Function]):
    """Functions by the operator's name, from places ``module.function``; a module is imported for what a spec names."""

    def __init__(self, places: dict[str, str]) -> None:
        self.places = places

    def __getitem__(self, name: str) -> Function:
        module, function = self.places[name].split(".")
        chosen: Function = getattr(import_module(f"tileconv.operations.{module}"), function)
        return chosen

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


OF_ONE = Operators(
    {
        "box": "blur.box",
        "gaussian": "blur.gaussian",
        "disk": "blur.disk",
        "edge": "edge.edge",
        "sobel": "edge.sobel",
        "scharr": "edge.scharr",
        "prewitt": "edge.prewitt",
        "laplacian": "edge.laplacian",
        "laplacian_of_gaussian": "edge.laplacian_of_gaussian",
        "difference_of_gaussians": "edge.difference_of_gaussians",
        "sharpen": "sharpen.sharpen",
        "unsharp": "sharpen.unsharp",
        "convolve": "custom.convolve",
        "correlate": "custom.correlate",
        "bilateral": "bilateral.bilateral",
        "local_normalize": "local_normalize.local_normalize",
        "richardson_lucy": "richardson_lucy.richardson_lucy",
        "conv_layer": "conv_layer.conv_layer",
        "pool": "pool.pool",
        "rescale": "rescale.rescale",
        "abs": "absolute.absolute",
        "clip": "clip.clip",
        "invert": "invert.invert",
        "rgb_to_gray": "rgb_to_gray.rgb_to_gray",
        "project": "project.project",
        "fill": "fill.fill",
        "median": "rank.median",
        "rank": "rank.rank",
        "local_minimum": "rank.local_minimum",
        "local_maximum": "rank.local_maximum",
        "variance": "variance.variance",
        "standard_deviation": "variance.standard_deviation",
        "bank": "bank.bank",
    }
)
"""Operators of one input, which are functions of an image in Python, too."""

OF_SEVERAL = Operators(
    {
        "add": "add.add",
        "subtract": "subtract.subtract",
        "multiply": "multiply.multiply",
        "divide": "divide.divide",
        "minimum": "extremes.minimum",
        "maximum": "extremes.maximum",
        "hypot": "hypot.hypot",
        "mean": "mean.mean",
        "where": "where.where",
    }
)

OPERATORS = Operators(OF_ONE.places | OF_SEVERAL.places)

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
    "median_filter": "median",
    "median_blur": "median",
    "rank_filter": "rank",
    "percentile": "rank with percentile: 90",
    "percentile_filter": "rank with percentile: 90",
    "min_filter": "local_minimum",
    "minimum_filter": "local_minimum",
    "erode": "local_minimum",
    "erosion": "local_minimum",
    "max_filter": "local_maximum",
    "maximum_filter": "local_maximum",
    "dilate": "local_maximum",
    "dilation": "local_maximum",
    "mip": "project with over: z, method: max",
    "max_projection": "project with over: z, method: max",
    "z_project": "project with over: z, method: max",
    "rgb2gray": "rgb_to_gray",
    "grayscale": "rgb_to_gray",
    "negative": "invert",
    "std": "standard_deviation",
    "stdev": "standard_deviation",
    "var": "variance",
}
"""Names that other tools use, refused with ours."""
