"""Masks from elsewhere: pixels outside are missing as if the image held NaN there, wherever the mask lies."""

import pickle
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from properties.runs_help import MACHINE, run, tiled, windows, write_tiff, write_zarr

import tileconv
from tileconv.boxes import Box
from tileconv.errors import PlanError, ResumeError, SinkError, SourceError, TileError
from tileconv.execute.places import source_of
from tileconv.planning.build import make_plan
from tileconv.planning.model import Plan
from tileconv.report.picture import write_picture
from tileconv.sources.masked import Masked
from tileconv.sources.memory import MemorySource
from tileconv.sources.open import open_source
from tileconv.spec import spec_from_mapping

KERNEL = {"op": "correlate", "kernel": [[1, 2, 3, 4], [0, 1, -2, 0]]}
CHAIN = [KERNEL, {"op": "gaussian", "sigma": 1}]
IMAGE = np.random.default_rng(0).integers(0, 1000, (70, 90)).astype(np.uint16)
VALID = np.random.default_rng(1).random((70, 90)) < 0.98
VALID[30:45, 60:], VALID[0, 3], VALID[-1, -1] = False, False, False


def holed(image=IMAGE, valid=VALID):
    return np.where(valid, image, np.nan).astype(np.float64 if image.dtype.itemsize > 2 else np.float32)


def asked(tmp_path, mask, stages=CHAIN, tile=32, **words):
    words["input_"] = {"path": str(tmp_path / "a.tif"), **({} if mask is None else {"mask": mask})}
    return tiled(stages, tile, **{"missing": {"rule": "propagate"}, "border": "mirror", **words})


def made(tmp_path, mask, name="out.zarr", **words):
    mapping = asked(tmp_path, mask, **words)
    return run(mapping, mapping["input"]["path"], tmp_path, name=name)


def expected(image=None, stages=CHAIN, **words):
    return windows(
        tiled(stages, None, **{"missing": {"rule": "propagate"}, "border": "mirror", **words}),
        holed() if image is None else image,
    )[0]


@pytest.mark.parametrize(
    ("dtype", "inverted"),
    [("bool", False), ("uint8", True), ("int16", False), ("uint32", True), ("int64", False), ("float32", True)],
)
def test_a_second_image_tells_which_pixels_are_missing(tmp_path, dtype, inverted):
    write_tiff(tmp_path / "a.tif", IMAGE, tile=32)
    mask = (inverted != VALID).astype(dtype) * np.array(1 if dtype == "bool" else 3, dtype)
    np.save(tmp_path / "m.npy", mask.view(np.uint8) if dtype == "bool" else mask)
    pixels, report = made(tmp_path, {"path": str(tmp_path / "m.npy"), "inverted": inverted})
    assert np.array_equal(pixels, expected(), equal_nan=True)
    assert report.counts.missing == (~VALID).sum()
    for image in (None, IMAGE):
        lazy = tileconv.lazy(asked(tmp_path, {"path": str(tmp_path / "m.npy"), "inverted": inverted}), image)
        assert lazy.compute(scheduler="synchronous").tobytes() == pixels.tobytes()


@pytest.mark.parametrize(
    ("border", "tile", "run_words"),
    [("reflect", 16, {}), ("wrap", 32, {}), ("nearest", 32, {"halo_method": "overlap"}),
     ("wrap", 16, {"halo_method": "overlap"}), ({"rule": "constant", "value": 7}, 16, {})],
)  # fmt: skip
def test_borders_and_tiles_change_nothing(tmp_path, border, tile, run_words):
    """A border pixel is valid if the one that it copies is; ``constant`` is valid."""
    write_tiff(tmp_path / "a.tif", IMAGE, tile=32)
    zarr.create_array(tmp_path / "m.zarr", data=VALID.astype("u1"), chunks=(20, 30), dimension_names=["y", "x"])
    whole = expected(border=border)
    pixels, _ = made(tmp_path, {"path": str(tmp_path / "m.zarr")}, border=border, tile=tile, run=run_words)
    assert np.array_equal(pixels, whole, equal_nan=True)
    assert 0 < np.isnan(whole).sum() < whole.size


@pytest.mark.parametrize("rule", ["fill", "error"])
def test_other_rules(tmp_path, rule):
    write_tiff(tmp_path / "a.tif", IMAGE)
    np.save(tmp_path / "m.npy", VALID.astype("u1"))
    mask = {"path": str(tmp_path / "m.npy")}
    missing = {"rule": rule} | ({"value": 5} if rule == "fill" else {})
    if rule == "error":
        with pytest.raises(TileError, match="missing pixels under missing: "):
            made(tmp_path, mask, missing=missing)
        return
    pixels, report = made(tmp_path, mask, stages=[KERNEL], missing=missing)
    filled = np.where(VALID, IMAGE, 5).astype(np.uint16)
    assert pixels.dtype == np.int32
    assert np.array_equal(pixels, expected(filled, [KERNEL], missing=missing))
    assert report.counts.missing == (~VALID).sum()


def test_stacks_colours_and_masks_of_some_axes(tmp_path):
    image = np.random.default_rng(2).integers(0, 99, (2, 3, 20, 24)).astype(np.uint8)
    write_zarr(tmp_path / "a.zarr", image, (1, 1, 16, 16), "czyx")
    for axes, shape in {"yx": (20, 24), "zyx": (3, 20, 24), "czyx": (1, 3, 20, 24), "cyx": (2, 20, 24)}.items():
        valid = np.random.default_rng(len(axes)).random(shape) < 0.9
        write_zarr(tmp_path / f"{axes}.zarr", valid.astype("u1"), shape, axes)
        words = {"path": str(tmp_path / "a.zarr"), "mask": {"path": str(tmp_path / f"{axes}.zarr")}}
        mapping = tiled([], 16, input_=words, missing={"rule": "propagate"})
        pixels, _ = run(mapping, tmp_path / "a.zarr", tmp_path, name=f"{axes}.out.zarr")
        full = valid[:, None] if axes == "cyx" else valid
        assert np.array_equal(np.isnan(pixels), ~np.broadcast_to(full, image.shape))
        assert tileconv.lazy(mapping, image).compute(scheduler="synchronous").tobytes() == pixels.tobytes()


def test_the_mask_inside_a_geotiff(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(IMAGE, photometric="minisblack", tile=(32, 32), metadata=None)
        file.write(VALID, photometric="mask", subfiletype=4, tile=(32, 32), compression="deflate", metadata=None)
        file.write(IMAGE[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
        file.write(VALID[::2, ::2], photometric="mask", subfiletype=5, metadata=None)
    pixels, report = made(tmp_path, None)
    assert np.array_equal(pixels, expected(), equal_nan=True)
    assert not any("mask" in note for note in report.notes)
    half = asked(tmp_path, None)
    half["input"]["level"] = 1
    small, _ = run(half, tmp_path / "a.tif", tmp_path, name="half.zarr")
    assert np.array_equal(small, expected(holed()[::2, ::2]), equal_nan=True)
    every, _ = made(tmp_path, "none", name="all.zarr")
    assert np.array_equal(every, expected(IMAGE))
    with pytest.raises(PlanError, match=r"pixels are missing by a mask, and the spec does not say") as caught:
        tileconv.plan({k: v for k, v in asked(tmp_path, None).items() if k != "missing"})
    assert "input.mask: none" in caught.value.fix


def test_the_mask_beside_a_geotiff(tmp_path):
    write_tiff(tmp_path / "a.tif", IMAGE)
    tifffile.imwrite(tmp_path / "a.tif.msk", VALID.astype("u1") * 255)
    assert np.array_equal(made(tmp_path, None)[0], expected(), equal_nan=True)
    write_picture(open_source(tmp_path / "a.tif", own_mask=True), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert not np.asarray(picture)[~VALID].any()
        assert np.asarray(picture)[VALID].mean() > 100


def test_a_label_of_an_ome_zarr_image(tmp_path):
    labels = np.where(VALID, np.arange(VALID.size).reshape(VALID.shape) % 7 + 1, 0).astype(np.uint32)
    root = zarr.open_group(tmp_path / "a.ome.zarr", mode="w")
    for path, pixels in {"0": IMAGE, "labels/cells/0": labels}.items():
        root.create_array(path, data=pixels, chunks=(32, 32))
    axes = [{"name": n, "type": "space"} for n in "yx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    root.attrs["ome"] = ome
    root["labels"].attrs["ome"] = {"version": "0.5", "labels": ["cells"]}
    root["labels/cells"].attrs["ome"] = ome | {"image-label": {}}
    mapping = asked(tmp_path, {"label": "cells"})
    pixels, _ = run(mapping, tmp_path / "a.ome.zarr", tmp_path)
    assert np.array_equal(pixels, expected(), equal_nan=True)


def test_the_mask_is_part_of_what_a_result_is(tmp_path):
    write_tiff(tmp_path / "a.tif", IMAGE, tile=32)
    np.save(tmp_path / "m.npy", VALID.astype("u1"))
    mapping = asked(tmp_path, {"path": str(tmp_path / "m.npy")}) | {"run": {"tile": 32, "memory": "1GiB"}}
    mapping["output"]["path"] = str(tmp_path / "out.zarr")
    plan = tileconv.plan(mapping)
    assert Plan.from_json(plan.as_json()) == plan
    assert plan.as_json()["input"]["mask"] == {"path": str(tmp_path / "m.npy"), "inverted": False}
    turned = mapping | {"input": mapping["input"] | {"mask": {"path": str(tmp_path / "m.npy"), "inverted": True}}}
    bare = mapping | {"input": {"path": str(tmp_path / "a.tif")}}
    assert len({tileconv.plan(one).fingerprint() for one in (mapping, turned, bare)}) == 3
    first = tileconv.run(mapping)
    assert tileconv.verify(first.output, recompute="100%").damages == ()
    again = tileconv.rerun(first.output, tmp_path / "again.zarr")
    assert (again.counts, again.fingerprint) == (first.counts, first.fingerprint)
    before, after = ((path / "0/c/0/0").read_bytes() for path in (first.output, again.output))
    assert before == after
    with pytest.raises(ResumeError, match="mask"):
        tileconv.run(turned)
    np.save(tmp_path / "m.npy", (~VALID).astype("u1"))
    with pytest.raises(ResumeError, match=r"input\.mask_digest was .* the file was changed last"):
        tileconv.run(mapping)
    with pytest.raises(ResumeError, match="input mask_digest was"):
        tileconv.rerun(first.output, tmp_path / "third.zarr")


def test_what_cannot_be_is_refused(tmp_path):
    write_tiff(tmp_path / "a.tif", IMAGE)
    np.save(tmp_path / "m.npy", VALID[:-1].astype("u1"))
    mask = {"path": str(tmp_path / "m.npy")}
    with pytest.raises(SourceError, match="the mask has the pixels y=69 x=90, and the image has y=70 x=90"):
        source_of(spec_from_mapping(asked(tmp_path, mask)))
    write_zarr(tmp_path / "m.zarr", VALID.astype("u1"), (32, 32), "yx")
    mapping = asked(tmp_path, {"path": str(tmp_path / "m.zarr")})
    mapping["output"]["path"] = str(tmp_path / "m.zarr")
    with pytest.raises(SinkError):
        tileconv.run(mapping, overwrite=True)
    with pytest.raises(PlanError, match=r"input\.mask: belongs to a file, and the image is given as a Dask array"):
        tileconv.lazy(mapping, da.from_array(IMAGE))
    with pytest.raises(SourceError, match="the mask has the pixels y=69 x=90, and the image has y=70 x=90"):
        tileconv.lazy(asked(tmp_path, mask), IMAGE)


def test_memory_counts_both(tmp_path):
    write_tiff(tmp_path / "a.tif", IMAGE, tile=32)
    np.save(tmp_path / "m.npy", VALID.astype("u1"))
    plans = {}
    for mask in (None, {"path": str(tmp_path / "m.npy")}):
        spec = spec_from_mapping(asked(tmp_path, mask, tile=None))
        source = pickle.loads(pickle.dumps(source_of(spec)))  # noqa: S301 our own bytes
        plans[mask is None] = make_plan(spec, source.info, MACHINE)
    held = {key: {part.name: part.count for part in plan.passes[0].memory} for key, plan in plans.items()}
    assert (held[True]["block read"], held[False]["block read"]) == (2 * IMAGE.size, 3 * IMAGE.size)
    assert plans[False].passes[0].tile_bytes >= plans[True].passes[0].tile_bytes + IMAGE.size


def test_what_the_mask_hides_is_not_read(monkeypatch):
    from tileconv.boxes import Box
    from tileconv.sources.masked import Masked
    from tileconv.sources.memory import MemorySource

    source, boxes = MemorySource(IMAGE), []
    real = MemorySource.read
    monkeypatch.setattr(MemorySource, "read", lambda self, *given: boxes.append((self, given[0])) or real(self, *given))
    both = Masked(source, MemorySource(VALID.view(np.uint8)))
    hidden, seen = Box((30, 60), (45, 90)), Box((29, 60), (45, 90))
    assert not both.read(hidden)["valid"].any()
    assert [box for of, box in boxes if of is source] == []
    assert np.array_equal(both.read(seen)["pixel"], IMAGE[29:45, 60:])
    assert [box for of, box in boxes if of is source] == [seen]


def recording(asked, read):
    """Return *read*, which adds the boxes to *asked*."""
    return lambda self, box, reads=None: asked.append(box) or read(self, box, reads)


def test_chunks_without_a_valid_pixel_are_not_read():
    """Rows of chunks are read from the first that holds a valid pixel to the last, parts of any box put together."""
    image, valid = np.arange(60 * 70, dtype=np.uint16).reshape(60, 70), np.zeros((60, 70), np.uint8)
    valid[9:31, 25:41] = valid[50, 3] = 1
    source = MemorySource(image)
    source.info = replace(source.info, chunks=(10, 16), compressed=True)
    for box in (source.info.box, Box((4, 2), (57, 66)), Box((9, 25), (31, 41)), Box((12, 30), (29, 31))):
        asked = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MemorySource, "read", recording(asked, MemorySource.read))
            both = Masked(source, MemorySource(valid)).read(box)
        at = box.within(source.info.box)
        assert np.array_equal(both["pixel"][valid[at] == 1], image[at][valid[at] == 1])
        assert np.array_equal(both["valid"], valid[at] == 1)
        seen = sum(part.size for part in asked[1:])  # the first is of the mask
        assert seen == {4200: 40 * 32 + 10 * 16, 53 * 64: 36 * 32 + 7 * 14}.get(box.size, box.size)
