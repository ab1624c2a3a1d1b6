"""Chunks that workers write by way of a folder of their run: afterwards they reach nothing."""

import numpy as np
import pytest
from execute.resume_help import ONE, digest, write_spec

import tileconv
from tileconv.boxes import Box
from tileconv.errors import SinkError
from tileconv.execute.staging import revoke, writing
from tileconv.images import ImageInfo
from tileconv.record.folder import RunFolder
from tileconv.sinks.layout import Layout
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores import steady
from tileconv.stores.location import here

BOX = Box((0, 0), (4, 8))


@pytest.fixture
def folder(tmp_path):
    """The run folder of an output, as a run makes it."""
    made = RunFolder(here(tmp_path / "o.zarr"))
    made.path.mkdir()
    return made


def sink_of(folder, staging=None):
    return ZarrSink(folder.output.store(staging), Layout(ImageInfo((4, 8), "yx", np.dtype("uint16"), (4, 4))))


def pixels(value):
    return np.full((4, 8), value, "uint16")


def test_the_same_bytes_as_beside_their_place(folder):
    sink_of(folder).create()
    beside = sink_of(folder).writer.write(BOX, pixels(3))
    expected = digest(folder.output.local)
    with writing(folder) as place:
        assert sink_of(folder, place).writer.write(BOX, pixels(3)) == beside
        assert list(place.iterdir()) == []
    assert digest(folder.output.local) == expected
    assert list(folder.path.iterdir()) == []


def test_after_the_run_nothing_comes_into_its_place(folder):
    sink_of(folder).create()
    with writing(folder) as place:
        late = sink_of(folder, place)
        late.writer.write(BOX, pixels(3))
    expected = digest(folder.output.local)
    with pytest.raises(SinkError, match=r"c/0/0: is not written by this run any more, because the run ended"):
        late.writer.write(BOX, pixels(4))
    assert digest(folder.output.local) == expected


def test_a_chunk_that_is_written_and_not_yet_in_its_place(folder, monkeypatch):
    """The process may be stopped there for as long as another run takes; no folder is made for it either."""
    rename, chunk = steady.rename, folder.output.local / "0" / "c" / "0" / "0"

    def late(path, target):
        if target == chunk:
            revoke(folder)
        rename(path, target)

    monkeypatch.setattr(steady, "rename", late)
    with writing(folder) as place, pytest.raises(FileNotFoundError):
        steady.replace(chunk, [[b"late"]], staging=place)
    assert not folder.output.local.exists()
    assert list(folder.path.iterdir()) == []


def test_what_a_run_that_was_killed_left(folder):
    """It may have been killed while it removed what an earlier one had left."""
    for name in ("writing-" + "a" * 32, "revoked-" + "b" * 32):
        (folder.path / name).mkdir()
        (folder.path / name / ".0.partial").touch()
    (folder.path / "plan.json").touch()
    folder.check()
    revoke(folder)
    assert [path.name for path in folder.path.iterdir()] == ["plan.json"]


def test_a_run_takes_it_away_from_the_workers_of_the_one_before(tmp_path):
    spec = write_spec(tmp_path, ONE)
    tileconv.run(spec)
    place = tmp_path / "o.zarr.tileconv" / ("writing-" + "a" * 32)
    place.mkdir()
    tileconv.run(spec)
    assert not place.exists()
