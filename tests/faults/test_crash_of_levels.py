"""A run, a repair and ``tileconv pyramid`` cut off after every operation on files while levels are made."""

import shutil

import numpy as np
import pytest
import strategies
from execute.resume_help import ONE, digest, litter, write_spec
from execute.test_pyramid_command import foreign
from execute.test_pyramids import check_levels, levels
from faults import faults_help
from faults.faults_help import LONG, OUTPUTS, Operations, check_whole, claims, clear, replay
from faults.test_crash_at_every_operation import states

import tileconv
from tileconv.errors import SourceError
from tileconv.sources.open import open_source

SHAPE = (60, 63)
EVERY = 1 if LONG else 3
"""Of the states that the quick profile takes elsewhere, one of so many."""


@pytest.fixture(autouse=True)
def _shape(monkeypatch):
    monkeypatch.setattr(faults_help, "SHAPE", SHAPE)


def spec_of(folder, pyramid, **run):
    """Write a spec of 4 tiles of 16 chunks each, and return its path."""
    image = strategies.pixels(SHAPE, "uint16", 3)
    output = {"chunks": 8, "dtype": "input"} | ({"pyramid": pyramid} if pyramid else {})
    return write_spec(folder, ONE[:1], image=image, tile=32, output=output, run={"memory": "2GiB"} | run)


def logged(folder, monkeypatch, made):
    """Return the operations of what *made* does in *folder*."""
    with monkeypatch.context() as patched:
        log = Operations(folder).patch(patched).log
        made()
    return log


@pytest.mark.parametrize(
    ("method", "workers", "offset"), [("mean", 1, 5), *[("gaussian", 2, 0), ("mode", 2, 0)] * LONG]
)
def test_a_run(tmp_path, monkeypatch, method, workers, offset):
    """Two levels are made with the tiles, two of what is stored."""
    spec = spec_of(tmp_path, {"levels": 5, "method": method}, workers=workers)
    log = logged(tmp_path, monkeypatch, lambda: tileconv.run(spec))
    expected = digest(tmp_path / "o.zarr")
    renamed = [name for kind, _, name in log if kind == "rename"]
    assert [sum(f"o.zarr/{level}/c/" in name for name in renamed) for level in range(5)] == [64, 16, 4, 1, 1]
    for count, torn in [*states(log, offset)][::EVERY]:
        clear(tmp_path)
        replay(log, count, torn=torn)
        if said := claims(tmp_path / "o.zarr"):
            assert digest(tmp_path / "o.zarr") == expected, (count, torn, said, log[count - 1])
        assert ("status" in said) <= ("verify" in said) <= ("open" in said), (count, torn, said)
        tileconv.run(spec)
        check_whole(tmp_path, expected)


def test_a_repair(tmp_path, monkeypatch):
    """Of chunks of three levels; after a crash the plain command goes on."""
    spec = spec_of(tmp_path, {"levels": 5})
    tileconv.run(spec)
    expected, chunks = digest(tmp_path / "o.zarr"), ["0/c/5/1", "1/c/0/3", "3/c/0/0"]
    for name in chunks[:2]:
        data = bytearray((tmp_path / "o.zarr" / name).read_bytes())
        data[9] ^= 4
        (tmp_path / "o.zarr" / name).write_bytes(data)
    (tmp_path / "o.zarr" / chunks[2]).unlink()
    damaged = tmp_path / "damaged"
    for name in OUTPUTS[:2]:
        shutil.copytree(tmp_path / name, damaged / name)
    log = logged(tmp_path, monkeypatch, lambda: tileconv.run(spec, repair=True))
    check_whole(tmp_path, expected)
    begun = next(n for n, (kind, _, data) in enumerate(log) if kind == "rename" and data.endswith("/repair"))
    for count, torn in [*states(log, 3)][::EVERY]:
        clear(tmp_path)
        for name in OUTPUTS[:2]:
            shutil.copytree(damaged / name, tmp_path / name)
        replay(log, count, torn=torn)
        said = claims(tmp_path / "o.zarr")
        assert "verify" not in said or digest(tmp_path / "o.zarr") == expected, (count, torn)
        assert "status" not in said or count <= begun or digest(tmp_path / "o.zarr") == expected, (count, torn)
        tileconv.run(spec, repair=count <= begun)
        check_whole(tmp_path, expected)


def test_levels_of_a_result(tmp_path, monkeypatch):
    """All the while its full size can be opened; the command of its run goes on with what was begun as well."""
    spec = spec_of(tmp_path, {"levels": 2})
    tileconv.run(spec)
    before = {name: shutil.copytree(tmp_path / name, tmp_path / "before" / name) for name in OUTPUTS[:2]}
    first = [digest(tmp_path / "o.zarr" / name) for name in "01"]
    log = logged(tmp_path, monkeypatch, lambda: tileconv.pyramid(tmp_path / "o.zarr", levels=5, workers=1))
    expected = digest(tmp_path / "o.zarr")
    for number, (count, torn) in enumerate([*states(log, 1)][::EVERY]):
        clear(tmp_path)
        for name, folder in before.items():
            shutil.copytree(folder, tmp_path / name)
        replay(log, count, torn=torn)
        said = claims(tmp_path / "o.zarr")
        assert "open" in said
        assert len(levels(tmp_path / "o.zarr")) in {2, 5}
        assert check_levels(tmp_path / "o.zarr")
        assert ("status" in said) <= ("verify" in said), (count, torn, said)
        assert [digest(tmp_path / "o.zarr" / name) for name in "01"] == first
        if number % 2:
            tileconv.run(spec)
        tileconv.pyramid(tmp_path / "o.zarr", levels=5, workers=1)
        check_whole(tmp_path, expected)


@pytest.mark.parametrize("zarr_format", [3, *[2] * LONG])
def test_levels_of_an_image_of_another_program(tmp_path, monkeypatch, zarr_format):
    """Of such an image there is no record: its new levels are made anew, and named once all of them are there."""
    place = tmp_path / "o.zarr"
    foreign(place, zarr_format=zarr_format)
    shutil.copytree(place, tmp_path / "before")
    whole = levels(place)
    log = logged(tmp_path, monkeypatch, lambda: tileconv.pyramid(place, levels=4, workers=1))
    expected = digest(place)
    assert not (tmp_path / "o.zarr.tileconv").exists()
    for count, torn in [*states(log, 2)][::EVERY]:
        clear(tmp_path)
        shutil.copytree(tmp_path / "before", place)
        replay(log, count, torn=torn)
        there = levels(place)
        assert len(there) in {2, 4}
        assert len(there) == 2 or digest(place) == expected
        np.testing.assert_array_equal(there[1], whole[1])
        with pytest.raises(SourceError):
            open_source(place, level=len(there))
        tileconv.pyramid(place, levels=4, workers=1)
        assert digest(place) == expected
        assert litter(tmp_path) == []
        assert not (tmp_path / "o.zarr.tileconv").exists()
