"""Runs into a bucket: the same bytes as on a disk, resumed, repaired, made again."""

import pickle
from dataclasses import replace

import pytest
import strategies
import tifffile
from execute.resume_help import ONE, TWO, write_spec
from execute.test_pyramid_command import foreign
from properties.runs_help import tiled, write_tiff
from stores.objects_help import servers_in_memory

import tileconv
from tileconv.audit.batch import asked_of_folder, asked_of_spec, batch_status, batch_verification
from tileconv.audit.status import status
from tileconv.errors import ResumeError, SinkError, SpecError
from tileconv.record import lease
from tileconv.record.batch import place_of
from tileconv.record.folder import RunFolder
from tileconv.spec import spec_from_mapping
from tileconv.stores import fences
from tileconv.stores.location import Access, here
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


def test_levels_are_those_of_a_disk(tmp_path):
    """Made with the tiles, of what is stored, and added later."""
    words = {"chunks": 16, "dtype": "input", "pyramid": {"levels": 4}}
    spec = write_spec(tmp_path, ONE[:1], image=strategies.pixels((80, 63), "uint16", 0), tile=32, output=words)
    tileconv.run(spec)
    tileconv.run(spec, output=URL)
    assert objects() == files(tmp_path / "o.zarr")
    here(URL).store().delete("2/c/0/0")
    assert len(tileconv.run(spec, output=URL, repair=True).damages) == 1
    assert objects() == files(tmp_path / "o.zarr")
    spec.write_text(spec.read_text().replace("levels: 4", "levels: 2"))
    tileconv.run(spec, output=URL.replace("o.zarr", "b.zarr"))
    assert tileconv.pyramid(URL.replace("o.zarr", "b.zarr"), levels=4).added == 2
    assert tileconv.verify(URL.replace("o.zarr", "b.zarr")).exit_code == 0
    assert status(URL).state == "complete"
    pixels = {key: data for key, data in files(tmp_path / "o.zarr").items() if "/" in key}
    assert {key: data for key, data in objects(URL.replace("o.zarr", "b.zarr")).items() if "/" in key} == pixels


def test_levels_in_a_bucket_are_seen_exported_and_added_to_images_of_other_programs(tmp_path, call):
    words = {"chunks": 16, "dtype": "input", "pyramid": {"levels": 4}}
    spec = write_spec(tmp_path, ONE[:1], image=strategies.pixels((80, 63), "uint16", 0), tile=32, output=words)
    tileconv.run(spec)
    tileconv.run(spec, output=URL)
    here(URL).store().delete("0/c/1/1")  # neither is made of the full size
    for place, name in ((URL, "url"), (str(tmp_path / "o.zarr"), "disk")):
        assert call("picture", place, "-o", str(tmp_path / f"{name}.png"), "--max-px", "20")[0] == 0
    assert (tmp_path / "url.png").read_bytes() == (tmp_path / "disk.png").read_bytes()
    tileconv.run(spec, output=URL)
    for place, name in ((URL, "url"), (tmp_path / "o.zarr", "disk")):
        tileconv.export(place, tmp_path / f"{name}.tif")
    assert tifffile.imread(tmp_path / "url.tif").tobytes() == tifffile.imread(tmp_path / "disk.tif").tobytes()
    foreign(tmp_path / "f.zarr", zarr_format=3)
    for key, data in files(tmp_path / "f.zarr").items():
        here("s3://bucket/f.zarr").store().write(key, [[data]])
    tileconv.pyramid(tmp_path / "f.zarr", levels=4)
    tileconv.pyramid("s3://bucket/f.zarr", levels=4)
    assert objects("s3://bucket/f.zarr") == files(tmp_path / "f.zarr")
    assert "f.zarr.tileconv/" not in here("s3://bucket").store().names()


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


def test_resuming_lists_and_asks_for_no_object_of_pixels(tmp_path, monkeypatch):
    spec = small(tmp_path, TWO)
    tileconv.run(spec, output=URL)
    here(URL).store().delete("0/c/2/1")
    here(URL).store().write("0/c/0/3", [[b""]])
    asked, stat = [], ObjectStore.stat
    monkeypatch.setattr(ObjectStore, "stat", lambda self, key: asked.append(self.where(key)) or stat(self, key))
    again = tileconv.run(spec, output=URL)
    assert again.why.endswith("2 lost chunks, 16 of an earlier pass needed again")
    assert [key for key in asked if "/c/" in key] == []
    assert tileconv.verify(URL).exit_code == 0


def test_an_input_object_that_was_replaced_is_noticed(tmp_path):
    """By its version, of the same size: neither is the run resumed, nor made again."""
    spec, source = small(tmp_path, ONE), "s3://bucket/raw/a.tif"
    data = (tmp_path / "a.tif").read_bytes()
    here("s3://bucket/raw").store().write("a.tif", [[data]])
    tileconv.run(spec, input=source, output=URL)
    assert tileconv.run(spec, input=source, output=URL).tiles == 0
    here("s3://bucket/raw").store().write("a.tif", [[data[:-1], bytes([data[-1] ^ 1])]])
    with pytest.raises(ResumeError, match=r"input\.version was .* the file was changed last at"):
        tileconv.run(spec, input=source, output=URL)
    with pytest.raises(ResumeError, match="input version was"):
        tileconv.rerun(URL)
    with pytest.raises(ResumeError, match="input version was"):
        tileconv.verify(URL, recompute="1")


NEAR, FAR = ({"endpoint": f"http://{name}"} for name in ("near", "far"))


def at(url, storage):
    return replace(here(url), access=Access(**storage))


@pytest.fixture
def batch(tmp_path):
    """The pipeline of three images in a bucket of one server, whose results go into one of another."""
    store = at("s3://raw/in", NEAR).store()
    for number, shape in enumerate([(40, 56), (64, 33), (17, 90)]):
        write_tiff(tmp_path / f"z{number}.tif", strategies.pixels(shape, "uint16", number), tile=32)
        store.write(f"z{number}.tif", [[(tmp_path / f"z{number}.tif").read_bytes()]])
    output = {"path": "s3://results/of/{stem}.ome.zarr", "storage": FAR}
    return tiled(TWO, 16, input_={"path": "s3://raw/in/z*.tif", "storage": NEAR}, output=output)


def test_a_batch_from_a_bucket_to_a_bucket(tmp_path, batch):
    """The bytes of runs on files; the list lies in the bucket; the pipeline tells status and verify how to reach it."""
    report = tileconv.run(batch)
    assert [one.state for one in report] == ["made"] * 3
    assert report.list_at == "s3://results/of/stem.ome.zarr.tileconv-batch"
    files_of = batch | {"input": {"path": str(tmp_path / "z*.tif")}, "output": {"path": str(tmp_path / "{stem}.zarr")}}
    files_of["output"]["chunks"] = 16
    tileconv.run(files_of)
    for number in range(3):
        store = at(f"s3://results/of/z{number}.ome.zarr", FAR).store()
        chunks = {key: store.read_all(key) for key in store.list("0/")}
        assert chunks == {f"0/{key}": data for key, data in files(tmp_path / f"z{number}.zarr" / "0").items()}
    assert [one.state for one in tileconv.run(batch)] == ["already there"] * 3

    asked = asked_of_spec(spec_from_mapping(batch))
    assert batch_status(asked).counted == "3 outputs: 3 complete"
    found = batch_verification(asked, recompute="1")
    assert (found.exit_code, [one.verification.recomputed for one in found.images]) == (0, [1, 1, 1])
    at("s3://results/of", FAR).store().write("z1.ome.zarr/0/c/1/1", [[b"damaged"]])
    at("s3://raw/in", NEAR).store().write("z2.tif", [[(tmp_path / "z0.tif").read_bytes()]])
    assert [one.state for one in batch_verification(asked).images] == ["whole", "different", "whole"]
    again = tileconv.run(batch, repair=True)
    assert [one.state for one in again] == ["already there", "made", "failed"]
    assert "input.size was" in str(again[2].error)


@pytest.mark.parametrize("output", ["s3://raw/{stem}.zarr", "{parent}/{stem}.zarr", "{parent}/more/{stem}.zarr"])
def test_the_list_of_a_batch_lies_where_its_outputs_do(batch, output):
    batch["output"] |= {"path": output, "storage": NEAR}
    place = place_of(spec_from_mapping(batch))
    folder = "s3://raw" if output.startswith("s3") else "s3://raw/in"
    assert (str(place.parent), place.access) == (folder, Access(**NEAR))
    report = tileconv.run(batch)
    assert [one.outputs[0].rpartition("/")[2] for one in report] == ["z0.zarr", "z1.zarr", "z2.zarr"]
    assert place.parent.store().stat(place.name)
    assert [one.state for one in tileconv.run(batch)] == ["already there"] * 3


def test_a_batch_is_asked_for_by_the_folder_of_its_list(tmp_path, batch):
    """How that is reached says the environment, as of every command that takes an output."""
    del batch["output"]["storage"]
    tileconv.run(batch)
    for url in ("s3://results/of", "s3://results"):
        asked = asked_of_folder(url)
        assert (batch_status(asked).counted if asked else None) == ("3 outputs: 3 complete" if "of" in url else None)
    assert asked_of_folder("s3://results/of/z1.ome.zarr") is None


def test_inputs_from_two_buckets(tmp_path, batch):
    here("s3://other").store().write("a/b/z7.tif", [[(tmp_path / "z0.tif").read_bytes()]])
    inputs = [str(tmp_path / "z1.tif"), "s3://other/a/**/z*.tif"]
    output = {"path": "{parent}/{stem}.zarr", "chunks": 16}
    report = tileconv.run(batch | {"input": {"path": inputs}, "output": output})
    assert [one.outputs[0] for one in report] == [str(tmp_path / "z1.zarr"), "s3://other/a/b/z7.zarr"]
    assert [one.state for one in report] == ["made", "made"]
    assert (tmp_path / "parent-stem.zarr.tileconv-batch").exists()


def test_results_beside_images_of_the_web_are_refused(batch):
    batch |= {"input": {"path": ["https://host/a.tif"]}, "output": {"path": "{parent}/{stem}.zarr"}}
    with pytest.raises(SpecError, match="https:// is only read"):
        spec_from_mapping(batch)


def test_what_crosses_to_workers_writes_under_the_lease(tmp_path):
    folder = RunFolder(here(URL))
    with folder.locked():
        crossed = pickle.loads(pickle.dumps(here(f"{URL}.pass0").store()))  # noqa: S301 our own bytes
        assert crossed.fence == fences.held[URL]
        assert here("s3://bucket/out/other.zarr").store().fence is None
    assert not lease.holding
    with pytest.raises(SinkError, match="is not written by this run any more"):
        crossed.delete("c/")
