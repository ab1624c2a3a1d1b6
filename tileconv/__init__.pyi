"""What editors and type checkers see of tileconv; tests/test_stub.py makes it from the signatures."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict, TypeVar, Unpack, overload

from numpy.typing import ArrayLike, DTypeLike, NDArray

from tileconv import errors as errors
from tileconv import kernels as kernels
from tileconv.api import export as export
from tileconv.api import lazy as lazy
from tileconv.api import learn as learn
from tileconv.api import plan as plan
from tileconv.api import plans as plans
from tileconv.api import pyramid as pyramid
from tileconv.api import rerun as rerun
from tileconv.api import run as run
from tileconv.api import verify as verify
from tileconv.engines.borders import Rule
from tileconv.engines.values import Precision
from tileconv.kernels import Kernel
from tileconv.operations.activation import Activation
from tileconv.operations.operation import Operation
from tileconv.operations.parameters import (
    Amounts,
    Compass,
    Component,
    Count,
    Counts,
    Gabor,
    InUnits,
    KernelsOrFile,
    LayerWeights,
    Lengths,
    NotNegative,
    Positive,
    Projected,
    Range,
    Reduction,
    Sigmas,
    Sizes,
    Steerable,
    WeightsOrFile,
)
from tileconv.operations.steps import Steps
from tileconv.spec.model import Engine, Extent

class _Lazy(Protocol):
    """An array of Dask or xarray, of which one of the same kind is made."""

    def compute(self, **kwargs: Any) -> Any: ...

_L = TypeVar("_L", bound=_Lazy)
__version__: str

class _Options(TypedDict, total=False):
    """The keywords of every function of an image."""

    border: Rule | Mapping[str, Any] | None
    cval: float
    extent: Extent
    engine: Engine
    precision: Precision
    tile: int | Sequence[int] | None
    axes: int | str | Sequence[int | str] | None
    channel_axis: int | str | None
    nodata: float | None
    missing: Literal["propagate", "renormalize", "error"] | Mapping[str, Any] | None
    dtype: DTypeLike
    output_nodata: float | None

@overload
def box(
    image: _L, size: Sizes | InUnits = 3, *, scale: Mapping[str, str] | None = None, **options: Unpack[_Options]
) -> _L:
    """Average over a *size* x *size* box, in which every pixel weighs the same: a moving average."""

@overload
def box(
    image: ArrayLike, size: Sizes | InUnits = 3, *, scale: Mapping[str, str] | None = None, **options: Unpack[_Options]
) -> NDArray[Any]:
    """Average over a *size* x *size* box, in which every pixel weighs the same: a moving average."""

@overload
def gaussian(
    image: _L,
    sigma: Sigmas | InUnits | None = None,
    *,
    size: Sizes | InUnits | None = None,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Gaussian blur of standard deviation *sigma* pixels, cut at *truncate* sigmas, as scipy.ndimage makes it."""

@overload
def gaussian(
    image: ArrayLike,
    sigma: Sigmas | InUnits | None = None,
    *,
    size: Sizes | InUnits | None = None,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Gaussian blur of standard deviation *sigma* pixels, cut at *truncate* sigmas, as scipy.ndimage makes it."""

@overload
def disk(
    image: _L, radius: Lengths | InUnits, *, scale: Mapping[str, str] | None = None, **options: Unpack[_Options]
) -> _L:
    """Mean over a disk (a ball in three axes, an ellipse with a radius per axis): all pixels up to *radius* away."""

@overload
def disk(
    image: ArrayLike, radius: Lengths | InUnits, *, scale: Mapping[str, str] | None = None, **options: Unpack[_Options]
) -> NDArray[Any]:
    """Mean over a disk (a ball in three axes, an ellipse with a radius per axis): all pixels up to *radius* away."""

@overload
def edge(image: _L, component: str = "x", **options: Unpack[_Options]) -> _L:
    """Edges by the grid of 3Blue1Brown's lesson: dark left of (or above) bright is negative; a step of h gives -h."""

@overload
def edge(image: ArrayLike, component: Component = "x", **options: Unpack[_Options]) -> NDArray[Any]:
    """Edges by the grid of 3Blue1Brown's lesson: dark left of (or above) bright is negative; a step of h gives -h."""

@overload
def sobel(image: _L, component: str = "magnitude", **options: Unpack[_Options]) -> _L:
    """Sobel gradient, not normalised, as scipy.ndimage: dark left of bright gives positive x; a step of h gives 4 h."""

@overload
def sobel(image: ArrayLike, component: Component = "magnitude", **options: Unpack[_Options]) -> NDArray[Any]:
    """Sobel gradient, not normalised, as scipy.ndimage: dark left of bright gives positive x; a step of h gives 4 h."""

@overload
def scharr(image: _L, component: str = "magnitude", **options: Unpack[_Options]) -> _L:
    """Scharr gradient with smoothing 3, 10, 3, not normalised: rounder than Sobel's; a step of h gives 16 h."""

@overload
def scharr(image: ArrayLike, component: Component = "magnitude", **options: Unpack[_Options]) -> NDArray[Any]:
    """Scharr gradient with smoothing 3, 10, 3, not normalised: rounder than Sobel's; a step of h gives 16 h."""

@overload
def prewitt(image: _L, component: str = "magnitude", **options: Unpack[_Options]) -> _L:
    """Prewitt gradient, not normalised, as scipy.ndimage; a step of h gives 3 h."""

@overload
def prewitt(image: ArrayLike, component: Component = "magnitude", **options: Unpack[_Options]) -> NDArray[Any]:
    """Prewitt gradient, not normalised, as scipy.ndimage; a step of h gives 3 h."""

@overload
def laplacian(image: _L, **options: Unpack[_Options]) -> _L:
    """Sum of the second differences 1, -2, 1 along every axis, as scipy.ndimage.laplace."""

@overload
def laplacian(image: ArrayLike, **options: Unpack[_Options]) -> NDArray[Any]:
    """Sum of the second differences 1, -2, 1 along every axis, as scipy.ndimage.laplace."""

@overload
def laplacian_of_gaussian(
    image: _L,
    sigma: Lengths | InUnits,
    *,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Laplacian of a Gaussian, as scipy.ndimage.gaussian_laplace; a bright spot gives a negative value."""

@overload
def laplacian_of_gaussian(
    image: ArrayLike,
    sigma: Lengths | InUnits,
    *,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Laplacian of a Gaussian, as scipy.ndimage.gaussian_laplace; a bright spot gives a negative value."""

@overload
def difference_of_gaussians(
    image: _L,
    low_sigma: Lengths | InUnits,
    high_sigma: Lengths | InUnits | None = None,
    *,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Narrow Gaussian blur minus a wide one, *high_sigma* (1.6 *low_sigma* by default): keeps what lies between."""

@overload
def difference_of_gaussians(
    image: ArrayLike,
    low_sigma: Lengths | InUnits,
    high_sigma: Lengths | InUnits | None = None,
    *,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Narrow Gaussian blur minus a wide one, *high_sigma* (1.6 *low_sigma* by default): keeps what lies between."""

@overload
def sharpen(image: _L, **options: Unpack[_Options]) -> _L:
    """Sharpening by the grid of 3Blue1Brown's lesson: centre 5, its four neighbours -1 (in three axes 7, and six)."""

@overload
def sharpen(image: ArrayLike, **options: Unpack[_Options]) -> NDArray[Any]:
    """Sharpening by the grid of 3Blue1Brown's lesson: centre 5, its four neighbours -1 (in three axes 7, and six)."""

@overload
def unsharp(
    image: _L,
    sigma: Sigmas | InUnits,
    *,
    amount: float = 1.0,
    threshold: NotNegative = 0.0,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Unsharp mask: ``image + amount * (image - gaussian(image))`` where the difference reaches *threshold*."""

@overload
def unsharp(
    image: ArrayLike,
    sigma: Sigmas | InUnits,
    *,
    amount: float = 1.0,
    threshold: NotNegative = 0.0,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Unsharp mask: ``image + amount * (image - gaussian(image))`` where the difference reaches *threshold*."""

@overload
def convolve(image: _L, kernel: ArrayLike | Kernel, *, flip: bool = True, **options: Unpack[_Options]) -> _L:
    """Convolve *image* with *kernel*, centred as scipy.ndimage does, even sizes included."""

@overload
def convolve(
    image: ArrayLike, kernel: ArrayLike | Kernel, *, flip: bool = True, **options: Unpack[_Options]
) -> NDArray[Any]:
    """Convolve *image* with *kernel*, centred as scipy.ndimage does, even sizes included."""

@overload
def correlate(image: _L, kernel: ArrayLike | Kernel, **options: Unpack[_Options]) -> _L:
    """Slide *kernel* over *image* as it is written, as a CNN layer does; otherwise as ``convolve``."""

@overload
def correlate(image: ArrayLike, kernel: ArrayLike | Kernel, **options: Unpack[_Options]) -> NDArray[Any]:
    """Slide *kernel* over *image* as it is written, as a CNN layer does; otherwise as ``convolve``."""

@overload
def bilateral(
    image: _L,
    sigma_color: Positive,
    sigma_spatial: Lengths | InUnits = 1.0,
    *,
    size: Sizes | InUnits | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Mean of near pixels that are alike: Gaussian weights of the distance and of the difference in value."""

@overload
def bilateral(
    image: ArrayLike,
    sigma_color: Positive,
    sigma_spatial: Lengths | InUnits = 1.0,
    *,
    size: Sizes | InUnits | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Mean of near pixels that are alike: Gaussian weights of the distance and of the difference in value."""

@overload
def local_normalize(
    image: _L,
    sigma: Sigmas | InUnits,
    epsilon: Positive,
    *,
    deviation_sigma: Sigmas | InUnits | None = None,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Difference from the local mean, over the local standard deviation."""

@overload
def local_normalize(
    image: ArrayLike,
    sigma: Sigmas | InUnits,
    epsilon: Positive,
    *,
    deviation_sigma: Sigmas | InUnits | None = None,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Difference from the local mean, over the local standard deviation."""

@overload
def richardson_lucy(image: _L, psf: WeightsOrFile, iterations: Count = 10, **options: Unpack[_Options]) -> _L:
    """Deconvolution of an image that was convolved with *psf*, by *iterations* rounds of Richardson and Lucy."""

@overload
def richardson_lucy(
    image: ArrayLike, psf: WeightsOrFile, iterations: Count = 10, **options: Unpack[_Options]
) -> NDArray[Any]:
    """Deconvolution of an image that was convolved with *psf*, by *iterations* rounds of Richardson and Lucy."""

@overload
def conv_layer(
    image: _L,
    weights: LayerWeights,
    bias: str | None = None,
    *,
    stride: Counts = 1,
    padding: Amounts | None = None,
    dilation: Counts = 1,
    groups: Count = 1,
    activation: Activation = "none",
    slope: float = 0.01,
    **options: Unpack[_Options],
) -> _L:
    """Layer of a convolutional network: channels in, other channels out, correlated as PyTorch does."""

@overload
def conv_layer(
    image: ArrayLike,
    weights: LayerWeights,
    bias: str | None = None,
    *,
    stride: Counts = 1,
    padding: Amounts | None = None,
    dilation: Counts = 1,
    groups: Count = 1,
    activation: Activation = "none",
    slope: float = 0.01,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Layer of a convolutional network: channels in, other channels out, correlated as PyTorch does."""

@overload
def pool(
    image: _L,
    size: Counts = 2,
    method: Literal["mean", "maximum"] = "maximum",
    *,
    stride: Counts | None = None,
    padding: Amounts | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Mean or maximum of windows of *size* that step over the image: one pixel for each, on a coarser grid."""

@overload
def pool(
    image: ArrayLike,
    size: Counts = 2,
    method: Literal["mean", "maximum"] = "maximum",
    *,
    stride: Counts | None = None,
    padding: Amounts | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Mean or maximum of windows of *size* that step over the image: one pixel for each, on a coarser grid."""

@overload
def rescale(image: _L, gain: float = 1.0, offset: float = 0.0, **options: Unpack[_Options]) -> _L:
    """Every pixel times *gain*, plus *offset*."""

@overload
def rescale(image: ArrayLike, gain: float = 1.0, offset: float = 0.0, **options: Unpack[_Options]) -> NDArray[Any]:
    """Every pixel times *gain*, plus *offset*."""

@overload
def absolute(image: _L, **options: Unpack[_Options]) -> _L:
    """Absolute value: an edge's strength without its sign."""

@overload
def absolute(image: ArrayLike, **options: Unpack[_Options]) -> NDArray[Any]:
    """Absolute value: an edge's strength without its sign."""

@overload
def clip(image: _L, range: Range, **options: Unpack[_Options]) -> _L:
    """Limit values to *range*, ``[low, high]``."""

@overload
def clip(image: ArrayLike, range: Range, **options: Unpack[_Options]) -> NDArray[Any]:
    """Limit values to *range*, ``[low, high]``."""

@overload
def invert(image: _L, maximum: float | None = None, **options: Unpack[_Options]) -> _L:
    """Dark for bright: *maximum* minus the pixel; of whole numbers, by default, the largest of their type."""

@overload
def invert(image: ArrayLike, maximum: float | None = None, **options: Unpack[_Options]) -> NDArray[Any]:
    """Dark for bright: *maximum* minus the pixel; of whole numbers, by default, the largest of their type."""

@overload
def rgb_to_gray(image: _L, **options: Unpack[_Options]) -> _L:
    """Gray of a colour image: 0.2125 red + 0.7154 green + 0.0721 blue, the weights of Rec. 709."""

@overload
def rgb_to_gray(image: ArrayLike, **options: Unpack[_Options]) -> NDArray[Any]:
    """Gray of a colour image: 0.2125 red + 0.7154 green + 0.0721 blue, the weights of Rec. 709."""

@overload
def project(image: _L, method: Projected, **options: Unpack[_Options]) -> _L:
    """One pixel for all along an axis: the largest of them, their mean, their sum, the smallest, their deviation."""

@overload
def project(image: ArrayLike, method: Projected, **options: Unpack[_Options]) -> NDArray[Any]:
    """One pixel for all along an axis: the largest of them, their mean, their sum, the smallest, their deviation."""

@overload
def fill(
    image: _L,
    method: Literal["constant", "nearest", "blur"],
    *,
    value: float | None = None,
    radius: Lengths | InUnits | None = None,
    sigma: Sigmas | InUnits | None = None,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Replace missing pixels (NaN), and leave all others as they are."""

@overload
def fill(
    image: ArrayLike,
    method: Literal["constant", "nearest", "blur"],
    *,
    value: float | None = None,
    radius: Lengths | InUnits | None = None,
    sigma: Sigmas | InUnits | None = None,
    truncate: Positive = 4.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Replace missing pixels (NaN), and leave all others as they are."""

@overload
def median(
    image: _L,
    size: Sizes | InUnits | None = None,
    *,
    radius: Lengths | InUnits | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Median of a box of *size* pixels (3 by default), or of a disk of *radius*: specks go, edges stay."""

@overload
def median(
    image: ArrayLike,
    size: Sizes | InUnits | None = None,
    *,
    radius: Lengths | InUnits | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Median of a box of *size* pixels (3 by default), or of a disk of *radius*: specks go, edges stay."""

@overload
def rank(
    image: _L,
    size: Sizes | InUnits | None = None,
    *,
    radius: Lengths | InUnits | None = None,
    rank: int | None = None,
    percentile: float | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Pixel at place *rank* in the order of those in a box or a disk; or at *percentile*, from 0 to 100."""

@overload
def rank(
    image: ArrayLike,
    size: Sizes | InUnits | None = None,
    *,
    radius: Lengths | InUnits | None = None,
    rank: int | None = None,
    percentile: float | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Pixel at place *rank* in the order of those in a box or a disk; or at *percentile*, from 0 to 100."""

@overload
def local_minimum(
    image: _L,
    size: Sizes | InUnits | None = None,
    *,
    radius: Lengths | InUnits | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Smallest pixel of a box of *size* pixels (3 by default), or of a disk of *radius*: erosion of a gray image."""

@overload
def local_minimum(
    image: ArrayLike,
    size: Sizes | InUnits | None = None,
    *,
    radius: Lengths | InUnits | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Smallest pixel of a box of *size* pixels (3 by default), or of a disk of *radius*: erosion of a gray image."""

@overload
def local_maximum(
    image: _L,
    size: Sizes | InUnits | None = None,
    *,
    radius: Lengths | InUnits | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Largest pixel of a box of *size* pixels (3 by default), or of a disk of *radius*: dilation of a gray image."""

@overload
def local_maximum(
    image: ArrayLike,
    size: Sizes | InUnits | None = None,
    *,
    radius: Lengths | InUnits | None = None,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Largest pixel of a box of *size* pixels (3 by default), or of a disk of *radius*: dilation of a gray image."""

@overload
def variance(
    image: _L, size: Sizes | InUnits = 3, *, scale: Mapping[str, str] | None = None, **options: Unpack[_Options]
) -> _L:
    """Variance of the pixels in a box of *size*: the mean square of what they differ from their mean."""

@overload
def variance(
    image: ArrayLike, size: Sizes | InUnits = 3, *, scale: Mapping[str, str] | None = None, **options: Unpack[_Options]
) -> NDArray[Any]:
    """Variance of the pixels in a box of *size*: the mean square of what they differ from their mean."""

@overload
def standard_deviation(
    image: _L, size: Sizes | InUnits = 3, *, scale: Mapping[str, str] | None = None, **options: Unpack[_Options]
) -> _L:
    """Root of the variance of the pixels in a box of *size*, which shows texture: standard deviation."""

@overload
def standard_deviation(
    image: ArrayLike, size: Sizes | InUnits = 3, *, scale: Mapping[str, str] | None = None, **options: Unpack[_Options]
) -> NDArray[Any]:
    """Root of the variance of the pixels in a box of *size*, which shows texture: standard deviation."""

@overload
def bank(
    image: _L,
    kernels: KernelsOrFile | None = None,
    *,
    compass: Compass | None = None,
    gabor: Gabor | InUnits | None = None,
    steerable: Steerable | InUnits | None = None,
    reduce: Reduction = "none",
    divide_by: float | Sequence[float] = 1.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> _L:
    """Many kernels at once: a channel for each, or one of all, by ``reduce``: magnitude, maximum, argmax or sum."""

@overload
def bank(
    image: ArrayLike,
    kernels: KernelsOrFile | None = None,
    *,
    compass: Compass | None = None,
    gabor: Gabor | InUnits | None = None,
    steerable: Steerable | InUnits | None = None,
    reduce: Reduction = "none",
    divide_by: float | Sequence[float] = 1.0,
    scale: Mapping[str, str] | None = None,
    **options: Unpack[_Options],
) -> NDArray[Any]:
    """Many kernels at once: a channel for each, or one of all, by ``reduce``: magnitude, maximum, argmax or sum."""

@overload
def apply(image: _L, operation: Kernel | Operation | Steps, **options: Unpack[_Options]) -> _L:
    """Apply a kernel or an operation to an array; every operator's function takes the same keywords."""

@overload
def apply(image: ArrayLike, operation: Kernel | Operation | Steps, **options: Unpack[_Options]) -> NDArray[Any]:
    """Apply a kernel or an operation to an array; every operator's function takes the same keywords."""
