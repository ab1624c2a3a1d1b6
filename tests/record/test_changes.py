"""What changes between a run and the next on its output: refused with the first difference, adopted, or let be."""

import json
import os
import re
import shutil
import zlib
from importlib.metadata import version

import numpy as np
import pytest
import strategies
import tifffile
import yaml
import zarr
from execute.resume_help import ONE, digest, write_spec
from properties.runs_help import complete

import tileconv
from tileconv.audit.status import status
from tileconv.errors import PlanError, ResumeError, SinkError
from tileconv.record.done import PLAN, plan_digest
from tileconv.record.folder import RunFolder
from tileconv.report.terminal import summary
from tileconv.stores.location import here

KERNEL = [[0, 1, 0], [1, 2, 1], [0, 1, 0]]
STAGES = [{"op": "gaussian", "sigma": 1, "id": "blur"}, {"op": "correlate", "kernel": KERNEL, "engine": "direct"}]


@pytest.fixture
def folder(finished):
    """An unfinished run: all but one tile are there."""
    made = finished(STAGES)
    (made / "o.zarr" / "0" / "c" / "1" / "1").unlink()
    return made


def changed(folder, change):
    spec = yaml.safe_load((folder / "p.yaml").read_text())
    change(spec)
    (folder / "p.yaml").write_text(yaml.safe_dump(spec))
    return folder / "p.yaml"


def put(*path):
    """Return a change of a spec: the value last, the keys before it."""
    *keys, last, value = path

    def change(spec):
        for key in keys:
            spec = spec[key] if isinstance(spec, list) else spec.setdefault(key, {})
        spec[last] = value

    return change


CHANGES = {
    "sigma": (put("stages", 0, "sigma", 2), r"sigma of stage blur was 1(\.0)? .* and is 2"),
    "kernel": (put("stages", 1, "kernel", [[1]]), "kernel of stage 1 correlate was"),
    "operator": (put("stages", 0, {"op": "box", "size": 3, "id": "blur"}), "op of stage blur was gaussian"),
    "one stage fewer": (lambda spec: spec["stages"].pop(), "number of stages was 2 .* and is 1"),
    "border": (put("border", "mirror"), "border of stage blur, y was reflect .* and is mirror"),
    "extent": (put("stages", 0, "extent", "full"), "extent of stage blur was same .* and is full"),
    "engine": (put("stages", 1, "engine", "fft"), "engine of stage 1 correlate, 0 was direct .* State engine: direct"),
    "precision": (put("precision", "float64"), "precision was auto"),
    "missing": (put("missing", {"rule": "propagate"}), "missing was null"),
    "dtype": (put("output", "dtype", "uint16"), r"output\.dtype was"),
    "overflow": (put("output", "overflow", "error"), r"output\.overflow was clip"),
    "chunks": (
        lambda s: (put("output", "chunks", 32)(s), put("run", "tile", 32)(s)),
        r"output\.chunks\.0 was 16 .* and is 32",
    ),
    "tile": (put("run", "tile", 32), r'run\.tile was \{"y": 16, "x": 16\}'),
    "nodata": (lambda s: (put("input", "nodata", 7)(s), put("missing", {"rule": "propagate"})(s)), "missing was null"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_spec_is_refused(folder, change):
    make, message = CHANGES[change]
    before = digest(folder / "o.zarr")
    spec = changed(folder, make)
    with pytest.raises(ResumeError, match=message) as caught:
        tileconv.run(spec)
    assert "--overwrite" in str(caught.value)
    assert str(folder / "o.zarr") in str(caught.value)
    assert digest(folder / "o.zarr") == before


def test_a_stage_of_several_steps_is_named_by_its_words(folder):
    even = {"op": "local_normalize", "sigma": 2, "epsilon": 1, "id": "even"}
    tileconv.run(changed(folder, lambda spec: spec["stages"].insert(0, even)), overwrite=True)
    for number, words, name, was in ((0, even, "even", 2), (1, {"op": "gaussian", "id": "blur"}, "blur", 1)):
        path = folder / f"{name}.yaml"
        spec = yaml.safe_load((folder / "p.yaml").read_text())
        spec["stages"][number] = words | {"sigma": 3}
        path.write_text(yaml.safe_dump(spec))
        with pytest.raises(ResumeError, match=rf"sigma of stage {name}.* was {was}(\.0)? .* and is 3"):
            tileconv.run(path)


def test_overwriting_begins_anew(folder):
    report = tileconv.run(changed(folder, CHANGES["sigma"][0]), overwrite=True)
    assert (report.kept, report.why) == (0, "")
    assert complete(folder / "o.zarr")


def test_another_input_is_refused(folder):
    tifffile.imwrite(folder / "a.tif", strategies.pixels((160, 176), "uint16", 1), tile=(32, 32))
    os.utime(folder / "a.tif", ns=(10**18, 10**18))
    changed_at = (
        r"the file was changed last at 2001-09-\d\d \d\d:\d\d:40\S* and at 20\d\d-\d\d-\d\d \S+ then, because one"
    )
    with pytest.raises(ResumeError, match=rf"input\.(size|digest|blocks) was .*; {changed_at}"):
        tileconv.run(folder / "p.yaml")
    shutil.copy(folder / "a.tif", folder / "b.tif")
    with pytest.raises(ResumeError, match=r"input\.path was .*a\.tif .* and is .*b\.tif, because an output is resumed"):
        tileconv.run(changed(folder, put("input", "path", "b.tif")))


def test_the_time_of_change_alone_makes_no_other_input(folder):
    """As a copy that was staged again has it; the run goes on, or is complete, and says so."""
    for tiles in (1, 0):
        (folder / "b.tif").write_bytes((folder / "a.tif").read_bytes())
        os.utime(folder / "b.tif", ns=(10**18, 10**18))
        (folder / "b.tif").rename(folder / "a.tif")
        report = tileconv.run(folder / "p.yaml")
        assert report.tiles == tiles
        assert re.search(r"the input was changed last at 2001-09-\d\d .* taken for the same$", summary(report))
    assert complete(folder / "o.zarr")


def test_an_output_that_a_version_of_before_began(folder):
    """Its record tells what is done, and what of it is not; the run is refused with what to do."""
    run = RunFolder(here(folder / "o.zarr"))
    (run.path / "done").unlink()
    before = status(folder / "o.zarr")
    run.write_plan(run.plan() | {"format": 3})
    journal = run.path / "journal"
    texts = [line.split(b" ", 1)[1].replace(b',"version":2', b"") for line in journal.read_bytes().splitlines()]
    texts = [re.sub(rb'"array":(\d+),"level":0,', rb'"pass":\1,', text) for text in texts]
    assert any(b'"pass":0,' in text for text in texts)
    journal.write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts))
    told = status(folder / "o.zarr")
    assert (told.done, told.left, told.runs, told.unreadable_lines) == (before.done, before.left, before.runs, 0)
    unfinished, lost = tileconv.verify(folder / "o.zarr").damages
    assert ("110 of 110 tiles are done" in str(unfinished), lost.files) == (True, ("0/c/1/1",))
    with pytest.raises(ResumeError, match=r"begun by another version .* format 3, and not 4, because .*--overwrite"):
        tileconv.run(folder / "p.yaml")
    assert tileconv.run(folder / "p.yaml", overwrite=True).tiles == 110


def test_an_output_that_format_3_describes_is_looked_at_and_not_resumed(tmp_path):
    """Its plan.json told what is stored under keys of their own, and the digest of it stands in ``done``."""
    spec, run = write_spec(tmp_path, ONE, output={"shards": 32}, tile=32), RunFolder(here(tmp_path / "o.zarr"))
    tileconv.run(spec)
    plan = run.plan()
    output, grid = plan["identity"]["output"], plan["grids"][0] | {"strip": 9}
    names = ("dtype", "overflow", "shape", "axes", "chunks", "codec", "checksum", "shards", "format")
    told = {f"output.{name}": output[name] for name in names} | {"output.scale": [[1.0, 1.0]], "precision": "auto"}
    run.write_plan({"format": 3, "what": told, "grids": [grid], "run": plan["run"]})
    run.set_done(run.facts() | {PLAN: plan_digest(run)})
    assert status(tmp_path / "o.zarr").state == "complete"
    assert tileconv.verify(tmp_path / "o.zarr").damages == ()
    with pytest.raises(ResumeError, match="format 3, and not 4"):
        tileconv.run(spec)
    (tmp_path / "o.zarr" / "0" / "c" / "1" / "1").unlink()
    assert len(tileconv.verify(tmp_path / "o.zarr").damages) == 1


def test_other_chunks_of_a_zarr_input_are_refused_and_read_anew(tmp_path):
    """Neither the fingerprint nor a cache of this process may take the chunks of before for those of now."""
    array = zarr.create_array(tmp_path / "in.zarr", shape=(64, 64), chunks=(32, 32), dtype="u2")
    array[:] = 7
    spec = {
        "version": 1,
        "input": {"path": str(tmp_path / "in.zarr"), "axes": "yx"},
        "output": {"path": str(tmp_path / "o.zarr"), "dtype": "input", "chunks": 32},
        "run": {"tile": 32},
    }
    tileconv.run(spec | {"stages": []})
    array[:32, :32] = 9
    with pytest.raises(ResumeError, match=r"input\.sample was"):
        tileconv.run(spec | {"stages": []})
    tileconv.run(spec | {"stages": []}, overwrite=True)
    made = zarr.open_group(tmp_path / "o.zarr", mode="r")["0"][:]
    assert (made == array[:]).all()
    assert made[0, 0] == 9


def test_other_words_for_the_same_pixels_make_no_other_run(folder):
    """As the fingerprint says: an axis named, a default written out, the file of a kernel moved."""
    np.save(folder / "k.npy", np.array(KERNEL))
    changed(folder, put("stages", 0, "sigma", {"x": 1, "y": 1}))
    changed(folder, put("stages", 0, "truncate", 4))
    report = tileconv.run(changed(folder, put("stages", 1, "kernel", "k.npy")))
    assert (report.tiles, report.kept) == (1, 109)
    np.save(folder / "k.npy", np.array(KERNEL) + 1)
    with pytest.raises(ResumeError, match=r"kernel of stage 1 correlate was \[\[0\.0, .* and is .*k\.npy"):
        tileconv.run(folder / "p.yaml")


def test_all_digits_of_a_border_count(folder):
    value = {"rule": "constant", "value": 0.1234567}
    tileconv.run(changed(folder, put("border", value)), overwrite=True)
    with pytest.raises(ResumeError, match=r"border of stage blur, y was constant 0\.1234567 .* and is .* 0\.1234568"):
        tileconv.run(changed(folder, put("border", value | {"value": 0.1234568})))


PACKAGES = ["tileconv", "numpy", "numba", "imagecodecs", "tifffile"]


@pytest.mark.parametrize("package", PACKAGES)
def test_another_version_is_refused(folder, package):
    run = RunFolder(here(folder / "o.zarr"))
    plan = run.plan()
    plan["identity"]["versions"][package] = "0.0.1"
    run.write_plan(plan)
    with pytest.raises(
        ResumeError, match=rf"versions\.{package} was 0\.0\.1 .* and is {version(package)}, because another version"
    ):
        tileconv.run(folder / "p.yaml")


def test_what_changes_no_pixel_may_change(folder):
    changed(folder, put("run", "workers", 1))
    changed(folder, put("run", "memory", "3GiB"))
    report = tileconv.run(changed(folder, put("run", "halo_method", "overlap")))
    assert (report.tiles, report.kept) == (1, 109)
    assert complete(folder / "o.zarr")


def test_the_tile_that_the_plan_chose_is_adopted(tmp_path):
    """With other memory the plan would choose another; what was begun goes on as it was begun."""
    spec = write_spec(tmp_path, ONE)
    tileconv.run(changed(tmp_path, put("run", "tile", 48)))
    expected = digest(tmp_path / "o.zarr" / "0")
    changed(tmp_path, lambda spec: spec["run"].pop("tile"))
    assert tileconv.plan(spec).passes[0].grid.tile != (48, 48)
    (tmp_path / "o.zarr" / "0" / "c" / "1" / "1").unlink()
    report = tileconv.run(spec)
    assert (report.tiles, report.kept) == (1, 15)
    assert digest(tmp_path / "o.zarr" / "0") == expected


def test_a_recorded_tile_that_does_not_fit_is_refused(tmp_path):
    spec = write_spec(tmp_path, ONE, image=np.zeros((6144, 6144), np.uint8), tile=1024)
    changed(tmp_path, put("run", "tile", 6144))
    tileconv.run(spec)
    (tmp_path / "o.zarr" / "0" / "c" / "0" / "0").unlink()
    peak = tileconv.plan(spec).peak_bytes
    changed(tmp_path, lambda spec: spec.update(run={"memory": peak - 2**27, "workers": 2}))
    with pytest.raises(PlanError, match=r"begun with tiles of .*6144.* and the run may take"):
        tileconv.run(spec)


def test_without_its_run_folder_an_output_is_not_touched(folder):
    for state in ("unfinished", "complete"):
        if state == "complete":
            tileconv.run(folder / "p.yaml", overwrite=True)
        else:
            (folder / "o.zarr" / "zarr.json").write_text(
                json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {"tileconv": {"complete": False}}})
            )
        (folder / "o.zarr.tileconv" / "plan.json").write_text('{"format"')
        before = digest(folder / "o.zarr")
        with pytest.raises(SinkError, match=r"already exists.*--overwrite"):
            tileconv.run(folder / "p.yaml")
        shutil.rmtree(folder / "o.zarr.tileconv")
        with pytest.raises(SinkError, match=r"already exists.*--overwrite"):
            tileconv.run(folder / "p.yaml")
        assert digest(folder / "o.zarr") == before
        assert not (folder / "o.zarr.tileconv").exists()


def test_an_output_that_was_removed_is_made_anew(folder):
    shutil.rmtree(folder / "o.zarr")
    report = tileconv.run(folder / "p.yaml")
    assert (report.tiles, report.kept) == (110, 0)


def test_a_folder_of_someone_else_in_the_place_of_the_run_folder(tmp_path):
    spec = write_spec(tmp_path, ONE)
    (tmp_path / "o.zarr.tileconv").mkdir()
    (tmp_path / "o.zarr.tileconv" / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(SinkError, match=r"holds 'notes\.txt', which tileconv did not write"):
            tileconv.run(spec, overwrite=overwrite)
    assert not (tmp_path / "o.zarr").exists()


@pytest.mark.parametrize("name", ["o.zarr.pass0", "o.zarr.tileconv"])
def test_the_input_is_not_overwritten_by_what_lies_beside_the_output(tmp_path, name):
    tileconv.run(write_spec(tmp_path, [], store=name))
    shutil.rmtree(tmp_path / f"{name}.tileconv")
    before = digest(tmp_path / name)
    stages = [{"op": "sobel", "component": "x"}, {"op": "gaussian", "sigma": 1, "border": "wrap"}]
    write_spec(tmp_path, stages)
    with pytest.raises(SinkError, match="is the input"):
        tileconv.run(changed(tmp_path, put("input", "path", name)), overwrite=True)
    assert digest(tmp_path / name) == before
