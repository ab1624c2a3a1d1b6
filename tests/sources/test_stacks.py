"""input.stack: files of one plane each as one image, in natural order; gaps and unlike planes are refused."""

from __future__ import annotations

import pickle
import re

import numpy as np
import PIL.Image
import pytest
import tifffile
import zarr
from sources_help import noise

import tileconv
from tileconv.boxes import Box
from tileconv.errors import ResumeError, SinkError, SourceError, SpecError
from tileconv.execute.places import source_of
from tileconv.planning.model import Plan
from tileconv.sources.source import Reads
from tileconv.spec import as_mapping, spec_from_mapping

VOLUME = noise((12, 37, 50), "u2")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Planes z0 to z11 of VOLUME, in three formats that a pattern tells apart."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan").mkdir()
    for z, plane in enumerate(VOLUME):
        tifffile.imwrite(f"scan/z{z}.tif", plane, tile=(16, 16), compression="zlib" if z % 2 else None)
        np.save(f"scan/z{z}.npy", plane)
        PIL.Image.fromarray((plane >> 8).astype("u1")).save(f"scan/z{z}.png")
    return tmp_path


def pipeline(path, axis="z", **more):
    stages = [{"op": "gaussian", "sigma": 1, "over": "zyx"}] if axis == "z" else [{"op": "gaussian", "sigma": 1}]
    given = {"input": {"path": path, "stack": axis} | more, "stages": stages}
    return {"version": 1, "output": {"path": "out/{stem}.zarr", "chunks": 16}, "run": {"workers": 2}} | given


def opened(path, axis="z", **more):
    return source_of(spec_from_mapping(pipeline(path, axis, **more)))


def pixels(report):
    return np.asarray(zarr.open_group(report.output, mode="r")["0"][:])


@pytest.mark.parametrize("path", ["scan/z*.tif", "scan/z*.npy", ["scan/z*.tif"]])
def test_a_pattern_is_one_image(folder, path):
    spec = spec_from_mapping(pipeline(path))
    assert not spec.is_batch
    assert spec_from_mapping(as_mapping(spec)) == spec
    assert spec.output.path.local == folder / "out" / "scan.zarr"
    source = source_of(spec)
    assert (source.info.axes, source.info.shape, source.info.dtype) == ("zyx", VOLUME.shape, VOLUME.dtype)
    assert (source.read(source.info.box) == VOLUME).all()
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301 our own
    box = Box((2, 5, 7), (11, 30, 49), "zyx")
    assert (copy.read(box) == VOLUME[2:11, 5:30, 7:49]).all()
    assert (copy.read(Box((3, 0, 0), (4, 2, 2), "zyx")) == VOLUME[3:4, :2, :2]).all()
    copy.check_stored()


def test_planes_that_are_kept_are_counted_by_all_the_boxes_that_touch_them(folder):
    source = opened("scan/z*.tif")
    reads = Reads(((0, 3, 7), (0, 15), (0,)), ((5, 9, 12), (17, 37), (50,)), 2**20)
    plane = source._reads(reads, 3)
    assert (
        plane.touching((slice(0, 16), slice(0, 16))) == reads.touching((slice(3, 4), slice(0, 16), slice(0, 16))) == 4
    )
    for z, y in np.ndindex(3, 2):
        (a, b), (c, d) = zip(
            (reads.starts[0][z], reads.starts[1][y]), (reads.stops[0][z], reads.stops[1][y]), strict=True
        )
        assert (source.read(Box((a, c, 0), (b, d, 50), "zyx"), reads) == VOLUME[a:b, c:d]).all()


def test_a_run_makes_what_one_file_of_all_planes_makes(folder):
    """Its bytes, whatever the format; provenance makes it again, and it is resumed, verified and read back as JSON."""
    np.save("whole.npy", VOLUME)
    whole = pipeline("whole.npy", axes="zyx")
    del whole["input"]["stack"]
    expected = pixels(tileconv.run(whole))
    report = tileconv.run(pipeline("scan/z*.tif"))
    assert "12 planes are one stack along z" in report.notes[0]
    assert pixels(report).tobytes() == expected.tobytes()
    assert np.asarray(tileconv.lazy(pipeline("scan/z*.tif"))).tobytes() == expected.tobytes()
    again = tileconv.run(pipeline("scan/z*.tif"))
    assert (again.tiles, again.kept) == (0, report.tiles)
    assert tileconv.verify(report.output).exit_code == 0
    assert pixels(tileconv.rerun(report.output)).tobytes() == expected.tobytes()
    plan = tileconv.plan(pipeline("scan/z*.tif"))
    assert Plan.from_json(plan.as_json()) == plan
    assert plan.fingerprint() == report.fingerprint
    processes = pipeline("scan/z*.npy") | {"run": {"executor": "processes", "workers": 1}}
    processes["output"] = {"path": "out/processes.zarr", "chunks": 16}
    assert pixels(tileconv.run(processes)).tobytes() == expected.tobytes()


def test_a_folder_is_its_images_and_a_list_keeps_its_order(folder):
    for z in range(12):
        (folder / f"scan/z{z}.npy").unlink()
        (folder / f"scan/z{z}.png").unlink()
    (folder / "scan/notes.txt").write_text("not a plane")
    source = opened("scan")
    assert (source.read(source.info.box) == VOLUME).all()
    source = opened(["scan/z3.tif", "scan/z1.tif"])
    assert (source.read(source.info.box) == VOLUME[[3, 1]]).all()


def test_channels_and_times(folder):
    for name, plane in (("DAPI", VOLUME[0]), ("GFP2", VOLUME[1])):
        np.save(f"{name}.npy", plane)
    info = opened("[DG]*.npy", "c").info
    assert (info.axes, info.channels) == ("cyx", ("DAPI", "GFP2"))
    np.save("stack.npy", VOLUME[:2])
    np.save("stack2.npy", VOLUME[2:4])
    source = opened(["stack.npy", "stack2.npy"], "t", axes="zyx")
    assert source.info.axes == "tzyx"
    assert (source.read(source.info.box) == VOLUME[:4].reshape(2, 2, 37, 50)).all()
    source = opened(["stack.npy", "stack2.npy"], "c", axes="zyx")
    assert source.info.axes == "czyx"
    part = Box((0, 1, 3, 4), (2, 2, 9, 11), "czyx")
    assert (source.read(part) == VOLUME[:4].reshape(2, 2, 37, 50)[:, 1:2, 3:9, 4:11]).all()


def test_planes_that_have_the_axis_themselves(folder):
    for z in (0, 1):
        np.save(f"one{z}.npy", VOLUME[z : z + 1])
    source = opened("one*.npy", axes="zyx")
    assert (source.read(source.info.box) == VOLUME[:2]).all()
    np.save("one1.npy", VOLUME[1:3])
    np.save("one0.npy", VOLUME[1:3])
    with pytest.raises(SourceError, match="a plane of a stack along z has 2 of its own"):
        opened("one*.npy", axes="zyx")


def test_pictures_are_decoded_one_by_one_and_their_memory_is_predicted(folder):
    source = opened("scan/z*.png")
    assert source.cache_bytes == 3 * 37 * 50
    assert (source.read(source.info.box) == VOLUME >> 8).all()


def test_masks_of_planes(folder):
    for z in range(2):
        with tifffile.TiffWriter(f"m{z}.tif") as file:
            file.write(VOLUME[z], metadata=None)
            file.write(VOLUME[z] % 3 > 0, subfiletype=4, metadata=None)
    source = opened("m*.tif")
    read = source.read(source.info.box)
    assert (read["pixel"] == VOLUME[:2]).all()
    assert (read["valid"] == (VOLUME[:2] % 3 > 0)).all()
    tifffile.imwrite("m1.tif", VOLUME[1])
    with pytest.raises(SourceError, match=r"m1\.tif: has no mask, and .*m0\.tif has one"):
        opened("m*.tif")
    mask = (VOLUME % 2).astype("u1")
    np.save("mask.npy", mask)
    read = opened("scan/z*.tif", mask={"path": "mask.npy"}).read(Box((0, 0, 0), VOLUME.shape, "zyx"))
    assert (read["valid"] == mask).all()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["z1", "z2", "z4"], "between z2 and z4 there is no z3"),
        (["z008", "z009", "z013"], "between z009 and z013 there is no z010, z011, z012"),
        (["z2", "z4"], "between z2 and z4 there is no z3"),
        (["z1", "z01"], "z01 and z1 have one number"),
        (["z1", "z2", "z2b"], "not of one form: z2 and z2b"),
        (["z1_t1", "z1_t2", "z2_t1"], "2 numbers that differ, from z1_t1 to z2_t1"),
        (["s7_z1", "s7_z3"], "between s7_z1 and s7_z3 there is no s7_z2"),
        (["a", "b"], ""),
        (["z9", "z10", "z11"], ""),
        (["z5"], ""),
    ],
)
def test_names_must_count_the_planes(folder, names, message):
    (folder / "new").mkdir()
    for name in names:
        np.save(f"new/{name}.npy", VOLUME[0])
    if message:
        with pytest.raises(SourceError, match=re.escape(message)):
            opened("new/*.npy")
        assert opened([f"new/{name}.npy" for name in names]).info.shape[0] == len(names)
    assert len(names) == 1 or opened("new/*.npy", "c").info.shape[0] == len(names) if not message else True


@pytest.mark.parametrize(
    ("plane", "message"),
    [
        (VOLUME[0, 1:], "shape is (36, 50), and (37, 50)"),
        (VOLUME[0].astype("u1"), "dtype is uint8, and uint16"),
        (np.stack([VOLUME[0]] * 3, 2), "axes is cyx"),
    ],
)
def test_unlike_planes_are_refused_with_both_named(folder, plane, message):
    tifffile.imwrite("scan/z7.tif", plane)
    with pytest.raises(SourceError) as caught:
        opened("scan/z*.tif")
    assert caught.value.where == str(folder / "scan/z7.tif")
    assert str(folder / "scan/z0.tif") in str(caught.value)
    assert message in str(caught.value) or message.startswith("axes")


def test_a_plane_that_is_replaced_is_noticed(folder):
    """While a run has the stack open, and when it is begun again."""
    spec = pipeline("scan/z*.tif")
    source = source_of(spec_from_mapping(spec))
    report = tileconv.run(spec)
    tifffile.imwrite("scan/z5.tif", VOLUME[6])
    with pytest.raises(SourceError, match=r"z5\.tif.*changed"):
        source.read(source.info.box)
    with pytest.raises(SourceError, match=r"z5\.tif"):
        source.check_stored()
    assert (source.read(Box((0, 0, 0), (5, 37, 50), "zyx")) == VOLUME[:5]).all()
    with pytest.raises(ResumeError, match="input"):
        tileconv.run(spec)
    with pytest.raises(ResumeError, match="input"):
        tileconv.rerun(report.output)


def test_no_plane_is_written_over(folder):
    for z in (1, 2):
        zarr.save_array(f"p{z}.zarr", VOLUME[z])
    spec = pipeline("p*.zarr") | {"output": {"path": "p1.zarr", "chunks": 16}}
    with pytest.raises(SinkError, match=r"the output is the input|destroyed"):
        tileconv.run(spec, overwrite=True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"series": "all"}, "has no series: all"),
        ({"mask": {"label": "cells"}}, "has no label of its own as mask"),
        ({"stack": "x"}, "input.stack: expected 'z', 'c' or 't', found the text 'x'"),
    ],
)
def test_mistakes_of_the_file(folder, more, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        spec_from_mapping(pipeline("scan/z*.tif", **more))


def test_an_empty_folder(folder):
    (folder / "empty").mkdir()
    with pytest.raises(SourceError, match="no image"):
        opened("empty")
