"""Stages that make other channels than they get: all channels of a tile together, and no byte depends on the tile."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import zarr
from oracles import convolution
from properties.runs_help import MACHINE, by_plan, overlapped, pipeline, tiled, write_zarr

import tileconv
from tileconv.engines.values import FLOAT64, Values
from tileconv.errors import PlanError
from tileconv.operations.operation import Operation
from tileconv.planning.build import make_plan
from tileconv.sources.memory import MemorySource
from tileconv.spec import spec_from_mapping


@dataclass(frozen=True)
class Mixed(Operation):
    """Sums of all channels, each times a number, channel by channel of *rows*."""

    rows: tuple[tuple[float, ...], ...]
    makes_channels: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True

    def channels_out(self, channels):
        if max(1, len(channels)) != len(self.rows[0]):
            raise PlanError(f"expected {len(self.rows[0])} channels, found {max(1, len(channels))}")
        return tuple(f"mixed {n}" for n in range(len(self.rows)))

    def mix(self, blocks, out, image, made):
        return tuple(sum(w * b for w, b in zip(row, blocks, strict=True)).astype(made.dtype) for row in self.rows)

    def combine(self, pixels, sums, choices, out):
        raise NotImplementedError

    def range_out(self, values, choices, precision):
        return Values(FLOAT64, whole=False)

    def error_bound(self, values, choices, out):
        return 0.0

    expected_error = error_bound


THREE_TO_TWO = Mixed(((1.0, 2.0, -1.0), (0.5, 0.0, 3.0)))
ONE_TO_FOUR = Mixed(((1.0,), (2.0,), (-1.0,), (0.25,)))
BLUR = {"op": "correlate", "kernel": [[1.0, 2.0], [-1.0, 0.5]], "engine": "direct"}


def pixels(shape):
    return np.random.default_rng(7).integers(0, 255, shape).astype(np.uint8)


def spec_of(mapping, *operations):
    """Return the pipeline with the *operations* in place of its stages ``abs``, in order."""
    spec, left = spec_from_mapping(mapping), list(operations)
    stages = (replace(s, operation=left.pop(0)) if s.op == "abs" else s for s in spec.stages)
    return replace(spec, stages=tuple(stages))


def plan_with(mapping, image, axes, *operations):
    return make_plan(spec_of(mapping, *operations), MemorySource(image, axes).info, MACHINE)


def blurred(image):
    """Return every plane of *image* under ``BLUR``."""
    planes = image.reshape(-1, *image.shape[-2:]).astype(np.float64)
    made = [convolution.correlate(plane, np.array(BLUR["kernel"]), "reflect") for plane in planes]
    return np.reshape(made, image.shape)


def mixed(operation, image):
    """Return what *operation* makes of *image*, axes (..., c, y, x)."""
    return np.einsum("oc,...cyx->...oyx", np.array(operation.rows), image.astype(np.float64))


CASES = {
    "colour": ("cyx", (3, 20, 17), [BLUR, {"op": "abs"}, BLUR], [THREE_TO_TWO]),
    "gray": ("yx", (21, 18), [{"op": "abs"}, BLUR], [ONE_TO_FOUR]),
    "time": ("tyx", (2, 13, 11), [BLUR, {"op": "abs"}], [ONE_TO_FOUR]),
    "deep": ("tczyx", (2, 3, 2, 9, 8), [{"op": "abs"}, BLUR], [THREE_TO_TWO]),
    "twice": ("yx", (20, 17), [{"op": "abs"}, BLUR, {"op": "abs"}], [ONE_TO_FOUR, Mixed(((1.0, 2.0, 3.0, 4.0),))]),
}


def oracle(image, axes, stages, operations):
    """Return what the stages make of the whole image, with the axis c in its place."""
    if "c" not in axes:
        image = np.expand_dims(image, axes.count("t"))
    made, left = np.moveaxis(image.astype(np.float64), -3, 1) if image.ndim == 5 else image, list(operations)
    deep = image.ndim == 5
    made = np.moveaxis(image, 1, 2) if deep else image  # c beside y and x
    for stage in stages:
        made = mixed(left.pop(0), made) if stage["op"] == "abs" else blurred(made)
    return np.moveaxis(made, 2, 1) if deep else made


@pytest.mark.parametrize("tile", [3, 8, None])
@pytest.mark.parametrize("case", CASES)
def test_channels_are_made_together_and_tiling_is_invisible(case, tile):
    axes, shape, stages, operations = CASES[case]
    image = pixels(shape)
    made = []
    for size in (tile, 64):
        plan = plan_with(tiled(stages, size, precision="float64"), image, axes, *operations)
        made.append(by_plan(plan, image, axes)[0])
    assert made[0].tobytes() == made[1].tobytes()
    np.testing.assert_allclose(made[0], oracle(image, axes, stages, operations), rtol=1e-12, atol=1e-9)
    info = plan.info
    assert info.axes == "".join(a for a in "tczyx" if a in axes + "c")
    assert info.channels == tuple(f"mixed {n}" for n in range(len(operations[-1].rows)))
    (job,) = plan.passes
    assert job.grid.tile[info.axes.index("c")] >= info.shape[info.axes.index("c")]


def test_a_plan_says_which_channels_there_are():
    image = pixels((3, 20, 17))
    plan = plan_with(pipeline([BLUR, {"op": "abs"}]), image, "cyx", THREE_TO_TWO)
    told = plan.as_json()["passes"][0]["stages"]
    assert [stage["channels"] for stage in told] == [("", "", ""), ("mixed 0", "mixed 1")]


def test_inputs_of_a_stage_have_the_same_channels():
    image = np.zeros((8, 9), np.uint8)
    stages = [{"op": "abs", "id": "four"}, {"op": "add", "from": ["four", "input"]}]
    with pytest.raises(PlanError, match="four has 4 channels, and the input has 1"):
        plan_with(pipeline(stages), image, "yx", ONE_TO_FOUR)
    plan = plan_with(pipeline(stages), image, "yx", Mixed(((2.0,),)))
    assert plan.info.axes == "cyx"


def test_one_channel_made_of_an_image_without_that_axis_stands_beside_it():
    image = pixels((14, 9))
    stages = [{"op": "abs", "id": "one"}, {"op": "subtract", "from": ["one", "input"]}]
    plan = plan_with(tiled(stages, 4), image, "yx", Mixed(((3.0,),)))
    np.testing.assert_array_equal(by_plan(plan, image, "yx")[0], 2.0 * image[None])


@pytest.mark.parametrize("case", ["colour", "gray", "twice"])
def test_halos_by_map_overlap_make_the_same_bytes(case, monkeypatch):
    axes, shape, stages, operations = CASES[case]
    image = pixels(shape)
    monkeypatch.setattr("properties.runs_help.spec_from_mapping", lambda mapping: spec_of(mapping, *operations))
    whole = by_plan(plan_with(tiled(stages, None), image, axes, *operations), image, axes)[0]
    chunks = (*(1,) * (image.ndim - 2), 7, 6)
    assert overlapped(tiled(stages, 5), image, chunks, axes).tobytes() == whole.tobytes()


@pytest.mark.parametrize("method", ["windows", "overlap"])
def test_a_run_stores_and_reads_back_its_channels(tmp_path, method):
    image = pixels((3, 40, 33))
    path = write_zarr(tmp_path / "in.zarr", image, (1, 16, 16), "cyx")
    words = {"input_": {"path": path}, "output": {"path": str(tmp_path / "out.zarr"), "chunks": 16}}
    mapping = pipeline([BLUR, {"op": "abs"}, BLUR], run={"halo_method": method, "tile": 16}, **words)
    spec = spec_of(mapping, THREE_TO_TWO)
    report = tileconv.run(spec)
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert report.shape == (2, 40, 33)
    plan = plan_with(tiled([BLUR, {"op": "abs"}, BLUR], None), image, "cyx", THREE_TO_TWO)
    assert group["0"][...].tobytes() == by_plan(plan, image, "cyx")[0].tobytes()
    assert [c["label"] for c in group.attrs["ome"]["omero"]["channels"]] == ["mixed 0", "mixed 1"]
    lazy = tileconv.lazy(spec)
    assert np.array_equal(lazy.compute(scheduler="synchronous"), group["0"][...])


def test_an_array_between_passes_has_its_own_channels():
    """A ``wrap`` stage cannot follow ``reflect`` in one pass: what lies between has four channels, the input none."""
    image = pixels((26, 31))
    stages = [BLUR, {"op": "abs"}, {**BLUR, "border": "wrap"}, {"op": "abs"}]
    operations = (ONE_TO_FOUR, Mixed(((1.0, 2.0, 3.0, 4.0),)))
    made = []
    for tile in (4, None):
        plan = plan_with(tiled(stages, tile), image, "yx", *operations)
        assert [(p.reads[0].source.axes, p.writes[0].info.shape[0]) for p in plan.passes] == [("yx", 4), ("cyx", 1)]
        made.append(by_plan(plan, image, "yx")[0])
    assert made[0].tobytes() == made[1].tobytes()


def test_memory_counts_every_channel():
    image = np.zeros((3, 256, 256), np.uint8)
    few, many = (
        plan_with(tiled([BLUR, {"op": "abs"}], 256), image, "cyx", Mixed(((1.0, 2.0, 3.0),) * count))
        for count in (1, 20)
    )
    px = 256 * 256
    assert many.passes[0].tile_bytes - few.passes[0].tile_bytes >= 19 * px * 8  # the tile in the output's type
