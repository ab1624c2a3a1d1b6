"""Pipelines run in memory, tile by tile as a plan says, and over real files."""

from collections.abc import Sequence

import dask.array as da
import numpy as np
import tifffile
import zarr

import tileconv
from tileconv.engines.cost import shipped_costs
from tileconv.planning.build import make_plan
from tileconv.planning.machine import Allowance, Machine, Memory
from tileconv.planning.model import Plan
from tileconv.sources.memory import MemorySource
from tileconv.spec import spec_from_mapping
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import Counts, make_tile
from tileconv.tiles.folds import by_parts
from tileconv.tiles.overlap import overlap
from tileconv.tiles.windows import read

MACHINE = Machine(Allowance(4, "processors"), Memory((Allowance(2**34, "the memory that is free"),)), shipped_costs())
"""What plans in tests know of the machine, wherever they are made."""


def pipeline(stages: Sequence[dict], *, input_=None, output=None, run=None, **words) -> dict:
    """Return a spec as a mapping; *input_* and *output* hold more keys than the path, or another path."""
    return {
        "version": 1,
        "input": {"path": "image.tif"} | (input_ or {}),
        "stages": list(stages),
        "output": {"path": "out.zarr"} | (output or {}),
        "run": {"memory": "8GiB", "workers": 2} | (run or {}),
        **words,
    }


def tiled(stages, tile, **words) -> dict:
    """Return the spec with tiles and chunks of *tile* pixels; None is the whole image."""
    chunks = 4096 if tile is None else tile
    words["output"] = words.get("output", {}) | {"chunks": chunks}
    words["run"] = words.get("run", {}) | {"tile": chunks}
    return pipeline(stages, **words)


def plan_of(mapping, array, axes=None) -> Plan:
    """Return the plan of a spec on an array."""
    return make_plan(spec_from_mapping(mapping), MemorySource(array, axes).info, MACHINE)


def windows(mapping, array, axes=None) -> tuple[np.ndarray, Counts]:
    """Return what the plan makes of *array*, every tile from its own grown box, and what was noticed."""
    return by_plan(plan_of(mapping, array, axes), array, axes)


def by_plan(plan: Plan, array, axes=None) -> tuple[np.ndarray, Counts]:
    """Return what *plan* makes of *array*, as ``windows`` does; of several outputs the first."""
    arrays, counts = every_array(plan, array, axes)
    return arrays[plan.between], counts


def every_array(plan: Plan, array, axes=None) -> tuple[dict[int, np.ndarray], Counts]:
    """Return every array of *plan* by its number, and what was noticed in all of them."""
    sources, arrays, counts = {-1: MemorySource(array, axes)}, {}, Counts()
    for job in plan.passes:
        made = [np.empty(write.info.shape, write.info.dtype) for write in job.writes]

        def block(number, part, reads=job.reads):
            return Block(read(sources[reads[number].array], reads[number].domain, part), part)

        for box in job.grid:
            for whole, pixels, noticed in zip(made, *by_parts(job, block, box, make=make_tile), strict=True):
                whole[box.within(job.image)] = pixels
                counts += noticed
        for write, whole in zip(job.writes, made, strict=True):
            arrays[write.array], sources[write.array] = whole, MemorySource(whole, job.image.axes)
    return arrays, counts


def overlapped(mapping, array, chunks, axes=None) -> np.ndarray:
    """Return what the plan makes of *array* cut into *chunks*, the halos exchanged by ``map_overlap``."""
    lazy = da.from_array(array, chunks=chunks)
    for job in plan_of(mapping, array, axes).passes:
        (lazy,) = overlap([lazy], job)
    return lazy.compute(scheduler="synchronous")


def write_tiff(path, image, *, tile=None, rows=None, **options) -> str:
    """Write a TIFF in tiles of *tile* pixels or strips of *rows*, and return its path."""
    layout = {"tile": (tile, tile)} if tile else {"rowsperstrip": rows}
    tifffile.imwrite(path, image, **layout, **options)
    return str(path)


def write_zarr(path, image, chunks, axes=None) -> str:
    """Write a bare Zarr v3 array and return its path."""
    zarr.create_array(path, data=image, chunks=chunks, dimension_names=list(axes) if axes else None)
    return str(path)


def run(mapping, source, folder, *, name="out.zarr"):
    """Run a spec on the file *source*; return the pixels in the store and the report."""
    path = folder / name
    mapping = mapping | {
        "input": mapping["input"] | {"path": str(source)},
        "output": mapping["output"] | {"path": str(path)},
    }
    report = tileconv.run(mapping, overwrite=True)
    return stored(path), report


def stored(path) -> np.ndarray:
    """Return the pixels of an OME-Zarr store."""
    return zarr.open_array(path / "0", mode="r")[...]


def complete(path) -> bool:
    """Return whether the store at *path* passes for an image."""
    return path.exists() and "ome" in zarr.open_group(path, mode="r").attrs


def gains(operation) -> float:
    """Return by how much an operation can enlarge an error of its input."""
    each = [k.absolute_sum / abs(k.divide_by) for k in operation.kernels]
    match type(operation).__name__:
        case "Linear":
            return each[0]
        case "Magnitude":
            return float(np.hypot.reduce(each))
        case "Unsharp":
            return 1 + abs(operation.amount) * (1 + each[0])
        case "Rescale":
            return abs(operation.gain)
    return 1.0


def printed_bound(stage, peak) -> float:
    """Return the error bound that the plan prints for a stage; given per unit of the peak where nothing bounds it."""
    units = {"": 1.0, "max |pixel|": peak, "max |pixel|^2": peak**2, "max(1, |pixel|)": max(1.0, peak)}
    return stage.error_bound * units[stage.error_unit]
