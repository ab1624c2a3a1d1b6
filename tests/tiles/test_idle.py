"""Strips without any valid pixel: what is left out changes no byte, and nothing else could come of it."""

import numpy as np
import pytest
import zarr
from properties.runs_help import tiled, windows

from tileconv.boxes import Box
from tileconv.operations.linear import Linear
from tileconv.sources import zarr_chunks
from tileconv.sources.open import open_source
from tileconv.stores.packed import unpacked
from tileconv.tiles import compute

IMAGE = np.random.default_rng(0).random((90, 100)).astype(np.float32) * 100
IMAGE[10:70, 5:85] = np.nan
NOTHING = np.full((70, 50), np.nan, np.float32)
PROPAGATE = {"missing": {"rule": "propagate"}}
CHAINS = {
    "direct": [{"op": "correlate", "kernel": [[1, 2, 0.5], [0, 1, -2]], "engine": "direct"}],
    "fft": [{"op": "correlate", "kernel": np.ones((5, 4)).tolist(), "engine": "fft"}],
    "chain": [{"op": "gaussian", "sigma": 1}, {"op": "sobel"}, {"op": "unsharp", "sigma": 1}],
    "branches": [{"op": "box", "id": "a"}, {"op": "subtract", "from": ["input", "a"]}, {"op": "abs"}],
    "filled": [{"op": "box"}, {"op": "fill", "method": "constant", "value": 3}],
    "near": [{"op": "fill", "method": "nearest", "radius": 2}, {"op": "box"}],
    "no weight": [{"op": "correlate", "kernel": [[0, 0], [0, 0]]}],
}


@pytest.fixture
def counted(monkeypatch):
    """Count the strips that are left out."""
    left = []
    real = compute.of_one_value

    def counting(*given):
        made = real(*given)
        left.extend([1] * (made is not None))
        return made

    monkeypatch.setattr(compute, "of_one_value", counting)
    return left


@pytest.mark.parametrize("border", ["reflect", "wrap", {"rule": "constant", "value": 7}])
@pytest.mark.parametrize("name", CHAINS)
def test_what_is_left_out_changes_no_byte(name, border, counted, monkeypatch):
    words = {"border": border, **PROPAGATE}
    made, counts = windows(tiled(CHAINS[name], 16, **words), IMAGE)
    left = len(counted)
    monkeypatch.setattr("tileconv.tiles.idle.one_of", lambda _: None)
    whole, all_counts = windows(tiled(CHAINS[name], None, **words), IMAGE)
    assert made.tobytes() == whole.tobytes()
    assert counts.missing == all_counts.missing
    assert (left > 0) == (name != "fft")  # whose one block reads all of the image


def test_a_constant_border_is_a_number_beside_nothing():
    """Where the only weight lies outside the image: a weight of 0 on a missing pixel takes no part."""
    stages = [{"op": "correlate", "kernel": [[1, 0, 0]], "border": {"rule": "constant", "value": 7}}]
    made, _ = windows(tiled(stages, 4, **PROPAGATE), np.full((6, 9), np.nan, np.float32))
    np.testing.assert_array_equal(made, [[7.0] + [np.nan] * 8] * 6)


@pytest.mark.parametrize("name", ["direct", "fft"])
def test_no_sum_is_made_of_one_value(name, monkeypatch, counted):
    sizes = []
    real = Linear.combine
    monkeypatch.setattr(
        Linear, "combine", lambda self, pixels, *rest: sizes.append(pixels[0].size) or real(self, pixels, *rest)
    )
    output = {"dtype": "uint8", "nodata": 255}
    made, counts = windows(tiled(CHAINS[name], 32, output=output, **PROPAGATE), NOTHING)
    assert (made == 255).all()
    assert counts.missing == NOTHING.size
    assert len(counted) == 6
    assert max(sizes) == 1


@pytest.mark.parametrize(
    ("version", "dtype", "fill"), [(2, ">f4", 0), (2, "uint8", 243), (3, "uint8", 0), (3, "f4", 243)]
)
def test_glass_is_read_as_one_pixel_and_decoded_once(tmp_path, monkeypatch, version, dtype, fill):
    """Also at the ends, where chunks reach beyond the image and have another value there; texture lies beside."""
    image = np.full((500, 700), 243, dtype)
    image[:200, 200:400] = np.random.default_rng(1).integers(0, 99, (200, 200))
    with zarr.config.set({"array.write_empty_chunks": True}):
        zarr.create_array(tmp_path / "a.zarr", data=image, chunks=(200, 200), zarr_format=version, fill_value=fill)
    decoded = []
    monkeypatch.setattr(
        zarr_chunks, "unpacked", lambda *given, **words: decoded.append(given) or unpacked(*given, **words)
    )
    source = open_source(tmp_path / "a.zarr", axes="yx")
    glass = source.read(Box((210, 0), (500, 700)))
    assert not any(glass.strides)
    for box in (source.info.box, Box((150, 150), (350, 350)), Box((210, 0), (500, 700))):
        np.testing.assert_array_equal(source.read(box), image[box.within(source.info.box)])
    assert len([given for given in decoded if len(given[0]) < 500]) <= (1 if fill else 6)  # those at the ends
