"""One run folder by any name, other outputs in the place of a result, damaged records, and files of others."""

import json
import shutil

import pytest
from execute.resume_help import ONE, TWO, digest, litter, write_spec

import tileconv
from tileconv.audit.status import status
from tileconv.errors import ResumeError, SinkError, SourceError, TileError
from tileconv.execute import local
from tileconv.execute.outcome import Failure, attempt
from tileconv.record.folder import RunFolder
from tileconv.stores.location import here


def test_a_link_leads_to_the_same_run_folder(tmp_path):
    (tmp_path / "link.zarr").symlink_to(tmp_path / "real.zarr")
    assert RunFolder(here(tmp_path / "link.zarr")).path == tmp_path / "real.zarr.tileconv"
    for ask in (status, tileconv.verify):
        with pytest.raises(SourceError, match="has no name"):
            ask("/")


def test_another_store_in_the_place_is_refused(tmp_path):
    tileconv.run(write_spec(tmp_path, [{"op": "gaussian", "sigma": 3}], store="other.zarr"))
    spec = write_spec(tmp_path, [{"op": "gaussian", "sigma": 1}])
    tileconv.run(spec)
    shutil.rmtree(tmp_path / "o.zarr")
    (tmp_path / "other.zarr").rename(tmp_path / "o.zarr")
    for call in (lambda: tileconv.run(spec), lambda: status(tmp_path / "o.zarr")):
        with pytest.raises(ResumeError, match=r"--repair.*--overwrite"):
            call()
    (tmp_path / "o.zarr.tileconv" / "done").unlink()
    with pytest.raises(ResumeError, match="names another run"):
        tileconv.run(spec)


def test_a_plan_that_was_changed_counts_as_damaged(tmp_path):
    tileconv.run(write_spec(tmp_path, ONE))
    file = tmp_path / "o.zarr.tileconv" / "plan.json"
    file.write_text(file.read_text().replace('"grids"', '"gridz"'))
    with pytest.raises(SourceError, match=r"no plan\.json that can be read"):
        status(tmp_path / "o.zarr")


def test_a_done_that_lacks_a_key_is_a_damage(tmp_path):
    tileconv.run(write_spec(tmp_path, ONE))
    folder = RunFolder(here(tmp_path / "o.zarr"))
    folder.set_done({key: value for key, value in folder.facts().items() if key != "metadata"})
    assert "done, cannot be read" in str(tileconv.verify(tmp_path / "o.zarr").damages[0])


def test_a_tile_of_which_nothing_is_heard(tmp_path, monkeypatch):
    real = local.threads
    monkeypatch.setattr(local, "threads", lambda workers, pairs, *rest: real(workers, list(pairs)[1:], *rest))
    with pytest.raises(TileError, match="nothing was heard of 1 tiles"):
        tileconv.run(write_spec(tmp_path, ONE))


@pytest.mark.parametrize("name", ["mine.txt", "mine.partial"])
def test_a_repair_deletes_no_foreign_file(tmp_path, name):
    spec = write_spec(tmp_path, ONE)
    tileconv.run(spec)
    (tmp_path / "o.zarr" / "0" / "c" / name).write_text("mine")
    with pytest.raises(SinkError, match="which tileconv did not write"):
        tileconv.run(spec, repair=True)
    assert (tmp_path / "o.zarr" / "0" / "c" / name).read_text() == "mine"


def test_intermediates_of_more_passes_go_and_results_stay(tmp_path):
    spec = write_spec(tmp_path, ONE)
    (tmp_path / "o.zarr.pass1").mkdir()
    bare = {"zarr_format": 3, "node_type": "array", "attributes": {"tileconv": {"complete": False}}}
    (tmp_path / "o.zarr.pass1" / "zarr.json").write_text(json.dumps(bare))
    tileconv.run(spec, overwrite=True)
    assert litter(tmp_path) == []
    tileconv.run(write_spec(tmp_path, ONE, store="o.zarr.pass0"))
    before = digest(tmp_path / "o.zarr.pass0")
    with pytest.raises(SinkError, match="no intermediate result"):
        tileconv.run(write_spec(tmp_path, TWO), overwrite=True)
    assert digest(tmp_path / "o.zarr.pass0") == before


def test_a_lack_of_memory_is_a_failure():
    class Greedy:
        def run(self, tile):
            raise MemoryError

    made = attempt(Greedy(), "y=0:1")
    assert isinstance(made, Failure)
    assert "not enough memory" in str(made.error)
