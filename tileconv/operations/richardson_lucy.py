"""Deconvolution by Richardson and Lucy: as many rounds of blur, ratio, blur turned round, and product as asked for."""

from __future__ import annotations

from tileconv.engines.kernel import Kernel
from tileconv.errors import KernelError
from tileconv.operations.custom import weights_over
from tileconv.operations.divide import Divide
from tileconv.operations.linear import Linear
from tileconv.operations.multiply import Multiply
from tileconv.operations.parameters import Count, WeightsOrFile
from tileconv.operations.rescale import Rescale
from tileconv.operations.steps import OWN, Step, Steps

EVEN, LEAST = 0.5, 1e-12
"""The estimate that the first round begins with, and what is added to a blur so that none is 0: as scikit-image."""


def richardson_lucy(psf: WeightsOrFile, iterations: Count = 10, *, axes: str = "yx") -> Steps:
    """Deconvolution of an image that was convolved with *psf*, by *iterations* rounds of Richardson and Lucy.

    As ``skimage.restoration.richardson_lucy`` without clipping, and with the stage's border instead of zeros around the
    image. *psf* is divided by its sum; one of even size is centred as everywhere here, and correlation undoes the
    shift. The halo is twice that of *psf* for every round.

    Raises
    ------
    KernelError
        If the weights cannot be read, one is negative, or all are 0.

    Examples
    --------
    >>> import tileconv
    >>> tileconv.richardson_lucy([[1.0, 2.0, 4.0, 2.0, 1.0]], [[0.25, 0.5, 0.25]], iterations=20).round(1)
    array([[0.7, 1.6, 5.3, 1.6, 0.7]])
    """
    weights = weights_over(psf, axes)
    if (weights < 0).any() or not weights.any():
        raise KernelError("the weights of a psf must be at least 0, and one of them above", where=str(psf))
    total = float(weights.sum())
    blur = Linear(Kernel.of(weights, flip=True, divide_by=total), LEAST)
    back = Linear(Kernel.of(weights, divide_by=total))
    steps = [Step("start", Rescale(0.0, EVEN), (OWN,))]
    for number in range(1, iterations + 1):
        at = len(steps)
        steps += [
            Step(f"{number} blur", blur, (at - 1,)),
            Step(f"{number} ratio", Divide(0.0), (OWN, at)),
            Step(f"{number} correction", back, (at + 1,)),
            Step(f"{number}", Multiply(), (at - 1, at + 2)),
        ]
    return Steps(tuple(steps))
