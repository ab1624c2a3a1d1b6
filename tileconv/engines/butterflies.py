"""Transforms of the lanes of a strip, in place: of radices 4, 3 and 2, as ``engines/transform.py`` has them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.grid import LANES
from tileconv.engines.loops import njit

Array = NDArray[Any]

# One strip goes by several names to what follows: rows of one array are compared before each loop, each with each.


@njit(nogil=True, cache=True)
def forward(z: Array, stages: Any) -> None:  # pragma: no cover - compiled
    """Transform the points of *z* by ``stages``; frequencies come in the order that these leave them in."""
    radices, turns, far, near = stages
    for begin, end, rows in ((0, far, z.shape[0]), (far, len(radices), near)):
        for top in range(0, z.shape[0], rows):
            span = rows
            for radix in radices[begin:end]:
                if radix == 4:
                    _forward4(z, z, z, z, top, rows, span, turns)
                elif radix == 3:
                    _forward3(z, z, z, top, rows, span, turns)
                else:
                    _forward2(z, z, top, rows, span, turns)
                span //= radix


@njit(nogil=True, cache=True)
def inverse(z: Array, stages: Any) -> None:  # pragma: no cover - compiled
    """Undo ``forward``, times the number of points."""
    radices, turns, far, near = stages
    for begin, end, rows, least in ((far, len(radices), near, 1), (0, far, z.shape[0], near)):
        for top in range(0, z.shape[0], rows):
            span = least
            for radix in radices[begin:end][::-1]:
                span *= radix
                if radix == 4:
                    _inverse4(z, z, z, z, top, rows, span, turns)
                elif radix == 3:
                    _inverse3(z, z, z, top, rows, span, turns)
                else:
                    _inverse2(z, z, top, rows, span, turns)


@njit(nogil=True, cache=True)
def _forward4(
    z: Array, u: Array, v: Array, o: Array, top: int, rows: int, span: int, w: Array
) -> None:  # pragma: no cover - compiled
    every, n = w.shape[1] // span, span // 4
    for first in range(top, top + rows, span):
        for j in range(n):
            a, b, c, d, t = first + j, first + j + n, first + j + 2 * n, first + j + 3 * n, every * j
            r1, i1, r2, i2, r3, i3 = w[0, t], w[1, t], w[0, 2 * t], w[1, 2 * t], w[0, 3 * t], w[1, 3 * t]
            for x in range(LANES):
                acr, aci = z[a, x] + v[c, x], z[a, LANES + x] + v[c, LANES + x]
                bdr, bdi = u[b, x] + o[d, x], u[b, LANES + x] + o[d, LANES + x]
                pr, pi = z[a, x] - v[c, x], z[a, LANES + x] - v[c, LANES + x]
                qr, qi = u[b, x] - o[d, x], u[b, LANES + x] - o[d, LANES + x]
                z[a, x], z[a, LANES + x] = acr + bdr, aci + bdi
                er, ei, fr, fi, gr, gi = pr + qi, pi - qr, acr - bdr, aci - bdi, pr - qi, pi + qr
                u[b, x], u[b, LANES + x] = er * r1 - ei * i1, er * i1 + ei * r1
                v[c, x], v[c, LANES + x] = fr * r2 - fi * i2, fr * i2 + fi * r2
                o[d, x], o[d, LANES + x] = gr * r3 - gi * i3, gr * i3 + gi * r3


@njit(nogil=True, cache=True)
def _inverse4(
    z: Array, u: Array, v: Array, o: Array, top: int, rows: int, span: int, w: Array
) -> None:  # pragma: no cover - compiled
    every, n = w.shape[1] // span, span // 4
    for first in range(top, top + rows, span):
        for j in range(n):
            a, b, c, d, t = first + j, first + j + n, first + j + 2 * n, first + j + 3 * n, every * j
            r1, i1, r2, i2, r3, i3 = w[0, t], w[1, t], w[0, 2 * t], w[1, 2 * t], w[0, 3 * t], w[1, 3 * t]
            for x in range(LANES):
                er, ei = u[b, x] * r1 + u[b, LANES + x] * i1, u[b, LANES + x] * r1 - u[b, x] * i1
                fr, fi = v[c, x] * r2 + v[c, LANES + x] * i2, v[c, LANES + x] * r2 - v[c, x] * i2
                gr, gi = o[d, x] * r3 + o[d, LANES + x] * i3, o[d, LANES + x] * r3 - o[d, x] * i3
                acr, aci, pr, pi = z[a, x] + fr, z[a, LANES + x] + fi, z[a, x] - fr, z[a, LANES + x] - fi
                bdr, bdi, qr, qi = er + gr, ei + gi, er - gr, ei - gi
                z[a, x], z[a, LANES + x] = acr + bdr, aci + bdi
                u[b, x], u[b, LANES + x] = pr - qi, pi + qr
                v[c, x], v[c, LANES + x] = acr - bdr, aci - bdi
                o[d, x], o[d, LANES + x] = pr + qi, pi - qr


@njit(nogil=True, cache=True)
def _forward3(
    z: Array, u: Array, v: Array, top: int, rows: int, span: int, w: Array
) -> None:  # pragma: no cover - compiled
    every, n = w.shape[1] // span, span // 3
    half, sine = np.float32(0.5), np.float32(math.sqrt(0.75))
    for first in range(top, top + rows, span):
        for j in range(n):
            a, b, c, t = first + j, first + j + n, first + j + 2 * n, every * j
            r1, i1, r2, i2 = w[0, t], w[1, t], w[0, 2 * t], w[1, 2 * t]
            for x in range(LANES):
                sr, si = u[b, x] + v[c, x], u[b, LANES + x] + v[c, LANES + x]
                qr, qi = sine * (u[b, x] - v[c, x]), sine * (u[b, LANES + x] - v[c, LANES + x])
                pr, pi = z[a, x] - half * sr, z[a, LANES + x] - half * si
                z[a, x], z[a, LANES + x] = z[a, x] + sr, z[a, LANES + x] + si
                er, ei, fr, fi = pr + qi, pi - qr, pr - qi, pi + qr
                u[b, x], u[b, LANES + x] = er * r1 - ei * i1, er * i1 + ei * r1
                v[c, x], v[c, LANES + x] = fr * r2 - fi * i2, fr * i2 + fi * r2


@njit(nogil=True, cache=True)
def _inverse3(
    z: Array, u: Array, v: Array, top: int, rows: int, span: int, w: Array
) -> None:  # pragma: no cover - compiled
    every, n = w.shape[1] // span, span // 3
    half, sine = np.float32(0.5), np.float32(math.sqrt(0.75))
    for first in range(top, top + rows, span):
        for j in range(n):
            a, b, c, t = first + j, first + j + n, first + j + 2 * n, every * j
            r1, i1, r2, i2 = w[0, t], w[1, t], w[0, 2 * t], w[1, 2 * t]
            for x in range(LANES):
                er, ei = u[b, x] * r1 + u[b, LANES + x] * i1, u[b, LANES + x] * r1 - u[b, x] * i1
                fr, fi = v[c, x] * r2 + v[c, LANES + x] * i2, v[c, LANES + x] * r2 - v[c, x] * i2
                sr, si, qr, qi = er + fr, ei + fi, sine * (er - fr), sine * (ei - fi)
                pr, pi = z[a, x] - half * sr, z[a, LANES + x] - half * si
                z[a, x], z[a, LANES + x] = z[a, x] + sr, z[a, LANES + x] + si
                u[b, x], u[b, LANES + x] = pr - qi, pi + qr
                v[c, x], v[c, LANES + x] = pr + qi, pi - qr


@njit(nogil=True, cache=True)
def _forward2(z: Array, u: Array, top: int, rows: int, span: int, w: Array) -> None:  # pragma: no cover - compiled
    every, n = w.shape[1] // span, span // 2
    for first in range(top, top + rows, span):
        for j in range(n):
            a, b, r, i = first + j, first + j + n, w[0, every * j], w[1, every * j]
            for x in range(LANES):
                er, ei = z[a, x] - u[b, x], z[a, LANES + x] - u[b, LANES + x]
                z[a, x], z[a, LANES + x] = z[a, x] + u[b, x], z[a, LANES + x] + u[b, LANES + x]
                u[b, x], u[b, LANES + x] = er * r - ei * i, er * i + ei * r


@njit(nogil=True, cache=True)
def _inverse2(z: Array, u: Array, top: int, rows: int, span: int, w: Array) -> None:  # pragma: no cover - compiled
    every, n = w.shape[1] // span, span // 2
    for first in range(top, top + rows, span):
        for j in range(n):
            a, b, r, i = first + j, first + j + n, w[0, every * j], w[1, every * j]
            for x in range(LANES):
                er, ei = u[b, x] * r + u[b, LANES + x] * i, u[b, LANES + x] * r - u[b, x] * i
                u[b, x], u[b, LANES + x] = z[a, x] - er, z[a, LANES + x] - ei
                z[a, x], z[a, LANES + x] = z[a, x] + er, z[a, LANES + x] + ei
