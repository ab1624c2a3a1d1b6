"""The memory of writing one file: as many threads as fit, told by the plan, refused where none fits."""

import json

import numpy as np
import pytest

import tileconv
from tileconv.errors import PlanError
from tileconv.images import ImageInfo
from tileconv.planning.files import file_bytes, file_memory
from tileconv.planning.machine import Allowance
from tileconv.planning.memory import total
from tileconv.planning.model import Plan
from tileconv.storage import NPY, OME_TIFF, PNG, TIFF

MIB = 2**20
SLIDE = ImageInfo((3, 60_000, 60_000), "cyx", np.dtype("u1"), (1, 4096, 4096), channels=("red", "green", "blue"))


@pytest.mark.parametrize("kind", [OME_TIFF, TIFF, PNG, NPY])
def test_each_thread_takes_more_and_as_many_write_as_fit(kind):
    info = SLIDE if kind in (OME_TIFF, TIFF) else ImageInfo((4000, 4000), "yx", np.dtype("u2"), (512, 512))
    needed = [total(file_bytes(info, kind, "deflate", threads)) for threads in (1, 2, 3)]
    assert needed == sorted({*needed})
    for threads, peak in enumerate(needed, start=1):
        made = file_memory(info, kind, "deflate", 3, Allowance(peak, "run.memory"))
        assert (made.threads, made.peak_bytes) == (threads, peak)
    with pytest.raises(PlanError, match=f"writing the {kind} takes .*run.memory"):
        file_memory(info, kind, "deflate", 3, Allowance(needed[0] - 1, "run.memory", "Raise run.memory"))


def test_it_is_flat_in_the_size_of_the_image():
    small, large = (ImageInfo((side,) * 2, "yx", np.dtype("u2"), (1024,) * 2) for side in (2**13, 2**17))
    grown = total(file_bytes(large, TIFF, "zstd", 8)) - total(file_bytes(small, TIFF, "zstd", 8))
    assert 0 < grown < 8 * MIB  # where tiles lie


def test_the_plan_tells_and_refuses(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3000, 3000), np.uint16))
    pipeline = {"version": 1, "input": {"path": str(tmp_path / "a.npy")}, "stages": []}
    pipeline |= {"output": {"path": str(tmp_path / "a.ome.tif"), "chunks": 256}, "run": {"workers": 2}}
    plan = tileconv.plan(pipeline)
    writing = plan.file_memory(0)
    assert plan.peak_bytes >= writing.peak_bytes > 300 * MIB
    assert plan.as_json()["output"]["writing"] == {"threads": 2, "peak_bytes": writing.peak_bytes}
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
    with pytest.raises(PlanError, match="writing the OME-TIFF takes"):
        tileconv.plan(pipeline | {"run": {"workers": 1, "memory": "310MiB", "tile": 256}})
