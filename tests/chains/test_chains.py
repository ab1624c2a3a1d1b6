"""Random chains, a few, and that what is wrong would be seen."""

import os

import numpy as np
import pytest

from tests.chains import judge as judging
from tests.chains import oracle
from tests.chains.draw import case
from tests.chains.judge import Doubtful, Wrong, judge

CHAINS = {"quick": 25, "ci": 600}.get(os.environ.get("TILECONV_PROFILE", "quick"), 2000)


def test_random_chains():
    """The long profile runs 60,000 more: ``python -m tests.chains``."""
    judged = 0
    for number in range(CHAINS):
        try:
            judged += not judge(case(0, number)).refused
        except Doubtful:
            continue
    assert judged > CHAINS / 2


def _wrong_with(monkeypatch, name, make, chains=150):
    """Return what is said of the first chain that it calls wrong when function *name* is *make*."""
    monkeypatch.setattr(judging, name, make(getattr(judging, name)))
    for number in range(chains):
        try:
            judge(case(0, number))
        except Wrong as error:
            return str(error)
        except Doubtful:
            continue
    return "nothing"


def _changed(change):
    def make(windows):
        def made(*args):
            pixels, counts = windows(*args)
            return change(pixels.copy()), counts

        return made

    return make


def _nudged(pixels):
    if pixels.dtype.kind == "f":
        return pixels * pixels.dtype.type(1 + 1e-3)
    pixels.flat[-1] ^= 1
    return pixels


def _turned(pixels):
    if pixels.dtype.kind == "f":
        pixels[np.isnan(pixels)] = np.copysign(np.nan, -1.0)
    return pixels


@pytest.mark.parametrize(
    ("change", "said"), [(_nudged, "above the bound|whole numbers|expected"), (_turned, "another form")]
)
def test_wrong_pixels_would_be_seen(monkeypatch, change, said):
    monkeypatch.setattr(judging, "_same_bytes", lambda *_: None)
    told = _wrong_with(monkeypatch, "by_plan", _changed(change))
    assert any(word in told for word in said.split("|")), told


def test_a_seam_would_be_seen(monkeypatch):
    def first(pixels):
        pixels.flat[0] = 0 if pixels.flat[0] else 1
        return pixels

    assert _wrong_with(monkeypatch, "windows", _changed(first)).startswith("bytes depend on the tile")


def test_the_oracle_by_hand():
    """Lopsided weights under a correlation, and a NaN under a weight of 0."""
    image = np.array([[1.0, 2, np.nan, 4]], oracle.WIDE)
    made = oracle.stage(image, "correlate", {"kernel": [[1.0, 0, 3]]}, 2, [("nearest", 0), ("constant", 7)], "same")
    assert made.astype(float).tolist()[0][:2:2] == [13.0]
    assert np.isnan(made[0, 1])
    assert made[0, 2:].astype(float).tolist()[0] == 14.0
