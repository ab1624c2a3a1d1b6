"""A plan is a value that its own JSON gives back: ``Plan.from_json(plan.as_json()) == plan``."""

import json
import subprocess
import sys

import numpy as np
import pytest
from chains.draw import case
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import operators
from properties.runs_help import MACHINE, pipeline, plan_of

from tileconv.errors import PlanError, SpecError
from tileconv.georeference import Georeference
from tileconv.images import ImageInfo
from tileconv.planning.build import make_plan
from tileconv.planning.model import Plan
from tileconv.spec import spec_from_mapping


def check(plan):
    """Read *plan* back from JSON as the standard has it, without infinities, and see that nothing is lost."""
    again = Plan.from_json(json.loads(json.dumps(plan.as_json(), allow_nan=False)))
    assert again == plan
    assert again.as_json() == plan.as_json()
    assert (again.fingerprint(), again.peak_bytes) == (plan.fingerprint(), plan.peak_bytes)
    for mine, other in zip(again.passes, plan.passes, strict=True):
        for stage, before in zip(mine.stages, other.stages, strict=True):
            for kernel, other_kernel in zip(stage.operation.kernels, before.operation.kernels, strict=True):
                assert kernel.weights.dtype == other_kernel.weights.dtype
                assert np.array_equal(kernel.weights, other_kernel.weights)


@given(st.integers(0, 10**6))
def test_random_chains(number):
    drawn = case(0, number)
    words = {"output": drawn.words["output"]} | {k: v for k, v in drawn.words.items() if k not in {"output", "nodata"}}
    input_ = {"nodata": drawn.words["nodata"]} if "nodata" in drawn.words else {}
    try:
        plan = plan_of(pipeline(drawn.stages, input_=input_, **words), drawn.image, drawn.axes)
    except (PlanError, SpecError):
        assume(False)
    check(plan)


ROOMY = ImageInfo(
    *((3, 5, 4096, 6000), "czyx", np.dtype("f4"), (1, 2, 512, 256), (1.0, 2.5, 0.1, 0.1), ("", "micrometer", "", "")),
    nodata=float("-inf"),
    channels=("red", "green", "blue"),
    compressed=True,
    notes=("a note",),
    colours=("ff0000", "00ff00", ""),
    georeference=Georeference(
        "EPSG:32633", (10.0, 0.0, 500.0, 0.0, -10.0, 900.0), sky=(("CRPIX1", 4.5), ("CTYPE1", "A"))
    ),
)


def words(folder):
    """Return a pipeline that says all that a pipeline can say."""
    stages = [
        {"op": "convolve", "kernel": str(folder / "k.npy"), "divide_by": 3, "offset": 0.1, "id": "own"},
        {"op": "gaussian", "sigma": {"x": 1, "y": 2.5}, "border": {"y": "wrap", "x": {"rule": "constant", "value": 7}}},
        {"op": "box", "size": 3, "over": "zyx", "extent": "full"},
        {"op": "laplacian_of_gaussian", "sigma": 2, "engine": "fft"},
        {"op": "difference_of_gaussians", "low_sigma": 1, "high_sigma": 2},
    ]
    return pipeline(
        stages,
        input_={"series": 1, "axes": "czyx"},
        output={"chunks": {"y": 128, "x": 64}, "shards": {"y": 256, "x": 128}, "codec": {"name": "zstd", "level": 5}},
        run={"tile": {"y": 512, "x": 256}, "max_chunk": "2GiB", "executor": "tcp://127.0.0.1:8786"},
        missing={"rule": "fill", "value": 0.1},
        precision="float64",
    )


def test_all_that_a_pipeline_can_say(tmp_path):
    """The kernel's file is not read again."""
    np.save(tmp_path / "k.npy", np.arange(6).reshape(2, 3) / 7)
    plan = make_plan(spec_from_mapping(words(tmp_path)), ROOMY, MACHINE)
    (tmp_path / "k.npy").unlink()
    assert len(plan.passes) > 1
    check(plan)


def test_a_process_that_has_read_no_operator_reads_a_plan():
    told = json.dumps(plan_of(pipeline([{"op": "clip", "range": [0, 9]}]), np.zeros((9, 9))).as_json())
    text = (
        "import sys, json; from tileconv.planning.model import Plan; print(Plan.from_json(json.load(sys.stdin)).graph)"
    )
    done = subprocess.run([sys.executable, "-c", text], input=told, capture_output=True, text=True, check=True)
    assert "Clip(" in done.stdout


@pytest.mark.parametrize("told", [{}, {"plan": None}, {"plan": {"kernels": {}}}, {"plan": [1]}], ids=str)
def test_what_is_no_plan_is_refused(told):
    with pytest.raises(PlanError, match="expected the JSON of a plan of this version"):
        Plan.from_json(told)


def test_a_plan_that_lacks_anything_is_refused():
    whole = plan_of(pipeline([{"op": "unsharp", "sigma": 1}]), np.zeros((9, 9))).as_json()
    for path in ("kernels", "spec", "source.shape", "passes.0.stages", "passes.0.stages.0.operation.kind"):
        found = json.loads(json.dumps(whole))
        place = found["plan"]
        *above, last = path.split(".")
        for key in above:
            place = place[int(key) if key.isdecimal() else key]
        place[last] = {"kind": "Linear"} if last == "stages" else "Nothing" if last == "kind" else None
        with pytest.raises(PlanError, match="this version"):
            Plan.from_json(found)


@pytest.mark.parametrize(("op", "parameters"), operators.CASES)
def test_every_operator(op, parameters):
    check(plan_of(pipeline([{"op": op, **parameters}]), np.zeros((30, 40), np.uint16)))
