"""ImageInfo: defaults and refusals."""

import numpy as np
import pytest

from tileconv.boxes import Box
from tileconv.errors import GeometryError
from tileconv.images import ImageInfo


def info(**changes):
    return ImageInfo(**{"shape": (3, 40, 50), "axes": "cyx", "dtype": np.dtype("u2"), "chunks": (1, 16, 16), **changes})


def test_what_follows_from_shape_and_type():
    assert info().box == Box((0, 0, 0), (3, 40, 50), "cyx")
    assert info().nbytes == 3 * 40 * 50 * 2
    assert info().scale == (1.0, 1.0, 1.0)
    assert info().units == ("", "", "")


@pytest.mark.parametrize("axes", ["yxc", "cy", "cyxt", "cyy", "abc", ""])
def test_axes_are_known_ordered_and_one_each(axes):
    with pytest.raises(GeometryError, match="letters of 'tczyx' in that order, one per axis"):
        info(axes=axes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chunks": (16, 16)}, "one per axis"),
        ({"scale": (1.0, 1.0)}, "one scale, unit and origin per axis"),
        ({"units": ("micrometer",)}, "one scale, unit and origin per axis"),
    ],
)
def test_one_of_each_per_axis(changes, message):
    with pytest.raises(GeometryError, match=message):
        info(**changes)
