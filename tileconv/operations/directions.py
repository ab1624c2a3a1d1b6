"""Kernels by direction: the compass, waves under a bell, derivatives of a Gaussian. Angles go from x towards y."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from tileconv.engines.kernel import Kernel
from tileconv.errors import KernelError
from tileconv.operations.blur import bells
from tileconv.operations.parameters import Compass, Gabor, Steerable, number

RINGS = {
    "kirsch": (5, 5, 5, -3, -3, -3, -3, -3),
    "prewitt": (1, 1, 1, 0, -1, -1, -1, 0),
    "sobel": (1, 2, 1, 0, -1, -2, -1, 0),
}
"""The weights around the middle for bright above dark, from the upper left corner on, as the clock goes."""
DIRECTIONS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
AROUND = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
OCTAVE = math.sqrt(math.log(2) / 2) * 3 / math.pi
"""The sigma of a bell that lets pass waves an octave wide, over the length of the wave (Petkov and Kruizinga 1997)."""
CUT = 3.0
"""Bells of waves end so many sigmas from the middle."""
MOST_ORDER, MOST_ORIENTATIONS = 8, 360


def compass_kernels(name: Compass) -> dict[str, Kernel]:
    """Return the eight kernels of Kirsch (1971), Prewitt or Robinson (``sobel``): positive where it is brighter."""
    made = {}
    for turn, direction in enumerate(DIRECTIONS):
        grid = np.zeros((3, 3), np.int64)
        for place, weight in zip(AROUND, np.roll(RINGS[name], turn), strict=True):
            grid[place] = weight
        made[direction] = Kernel.of(grid)
    return made


def gabor_kernels(given: Gabor) -> dict[str, Kernel]:
    """Return waves under bells, an even and an odd one per length and orientation (Daugman 1985, round bells).

    Even ones are made to sum to 0. The magnitude of both is 1 for a wave of amplitude 1 of that length and direction.
    """
    orientations = _whole(given, "orientations", 1, MOST_ORIENTATIONS)
    asked = _value(given, "wavelengths")
    wavelengths = asked if isinstance(asked, Sequence | np.ndarray) else [asked]
    made = {}
    for wavelength in (number(w, "wavelengths") for w in wavelengths):
        if not 2 <= wavelength <= 4096:
            raise KernelError(f"wavelengths are from 2 to 4,096 pixels, found {wavelength:g}")
        (bell,) = bells(OCTAVE * wavelength, None, CUT, "x")
        x = np.arange(bell.size) - bell.size // 2
        for angle in (180.0 * n / orientations for n in range(orientations)):
            turn = 2 * math.pi / wavelength
            waves = [(x * turn * f(math.radians(angle))) for f in (math.sin, math.cos)]  # along y and x
            (cos_y, cos_x), (sin_y, sin_x) = ([f(w) * bell for w in waves] for f in (np.cos, np.sin))
            flat = float(cos_y.sum() * cos_x.sum() - sin_y.sum() * sin_x.sum())
            name = f"{wavelength:g} px {angle:g}°"
            made[f"{name} even"] = Kernel.separable([2 * cos_y, cos_x], [-2 * sin_y, sin_x], [-2 * flat * bell, bell])
            made[f"{name} odd"] = Kernel.separable([2 * sin_y, cos_x], [2 * cos_y, sin_x])
    return made


def steerable_kernels(given: Steerable) -> dict[str, Kernel]:
    """Return all derivatives of one order of a Gaussian: weighted sums of them are those in any direction.

    Freeman and Adelson 1991, "The design and use of steerable filters". Along y and x they are outer products.
    """
    order, sigma = _whole(given, "order", 1, MOST_ORDER), number(given.get("sigma", 1.0), "sigma")
    (bell,) = bells(sigma, None, 4.0, "x")
    x = (np.arange(bell.size) - bell.size // 2) / sigma
    lines = []
    for n in range(order + 1):  # what correlates to a derivative: He_n(x) g(x) / sigma**n
        line = np.polynomial.hermite_e.hermeval(x, [0] * n + [1]) * bell / sigma**n
        lines.append(line - line.sum() * bell if n and n % 2 == 0 else line)
    return {"y" * n + "x" * (order - n): Kernel.separable([lines[n], lines[order - n]]) for n in range(order + 1)}


def _value(given: Gabor | Steerable, name: str) -> object:
    if name not in given:
        raise KernelError(f"{name} is missing, found {', '.join(given) or 'nothing'}", fix=f"Add {name}.")
    return cast("dict[str, object]", given)[name]


def _whole(given: Gabor | Steerable, name: str, low: int, high: int) -> int:
    value = number(_value(given, name), name)
    if not (value.is_integer() and low <= value <= high):
        raise KernelError(f"{name} is a whole number from {low} to {high}, found {value:g}")
    return int(value)
