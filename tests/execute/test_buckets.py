"""Runs into a bucket: the same bytes as on a disk, resumed, repaired, made again."""

import pickle

import pytest
import strategies
from execute.resume_help import ONE, TWO, write_spec
from stores.objects_help import servers_in_memory

import tileconv
from tileconv.audit.status import status
from tileconv.errors import SinkError
from tileconv.record import lease
from tileconv.record.folder import RunFolder
from tileconv.stores import fences
from tileconv.stores.location import here
from tileconv.stores.objects import ObjectStore

URL = "s3://bucket/out/o.zarr"


@pytest.fixture(autouse=True)
def _servers():
    with servers_in_memory():
        yield


def small(folder, stages):
    return write_spec(folder, stages, image=strategies.pixels((80, 64), "uint16", 0))


def objects(url=URL):
    """Return every object of an output by its key."""
    store = here(url).store()
    return {key: store.read_all(key) for key in store.list()}


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stages", [ONE, TWO], ids=["one", "two"])
def test_the_same_bytes_as_on_a_disk(tmp_path, stages):
    spec = small(tmp_path, stages)
    tileconv.run(spec)
    report = tileconv.run(spec, output=URL)
    assert report.output == URL
    assert objects() == files(tmp_path / "o.zarr")
    assert sorted(here("s3://bucket/out").store().names()) == ["o.zarr.tileconv/", "o.zarr/"]
    assert tileconv.verify(URL).exit_code == 0
    assert status(URL).state == "complete"
    again = tileconv.run(spec, output=URL)
    assert (again.tiles, again.kept) == (0, report.tiles)


def test_what_is_damaged_is_made_again(tmp_path):
    spec = small(tmp_path, ONE)
    tileconv.run(spec, output=URL)
    before, store = objects(), here(URL).store()
    store.write("0/c/1/2", [[b"damaged"]])
    store.delete("0/c/3/3")
    assert len(tileconv.verify(URL).damages) == 2
    assert tileconv.run(spec, output=URL, repair=True).tiles == 2
    assert objects() == before


def test_a_run_that_ended_is_resumed_and_one_of_another_pipeline_begins_anew(tmp_path, monkeypatch):
    spec = small(tmp_path, ONE)
    tileconv.run(spec, output=URL)
    before = objects()
    write = ObjectStore.write
    left = iter(range(8))

    def failing(self, key, parts, **words):
        if "/c/" in key and next(left, None) is None:
            raise OSError(28, "no more room")
        write(self, key, parts, **words)

    monkeypatch.setattr(ObjectStore, "write", failing)
    with pytest.raises(SinkError, match="no more room"):
        tileconv.run(spec, output=URL, overwrite=True)
    monkeypatch.setattr(ObjectStore, "write", write)
    resumed = tileconv.run(spec, output=URL)
    assert resumed.kept > 4
    assert resumed.tiles + resumed.kept == 20
    assert objects() == before
    other = small(tmp_path, TWO)
    tileconv.run(other, output=URL, overwrite=True)
    assert tileconv.verify(URL).exit_code == 0
    assert objects() != before


def test_what_crosses_to_workers_writes_under_the_lease(tmp_path):
    folder = RunFolder(here(URL))
    with folder.locked():
        crossed = pickle.loads(pickle.dumps(here(f"{URL}.pass0").store()))  # noqa: S301 our own bytes
        assert crossed.fence == fences.held[URL]
        assert here("s3://bucket/out/other.zarr").store().fence is None
    assert not lease.holding
    with pytest.raises(SinkError, match="is not written by this run any more"):
        crossed.delete("c/")
