"""The plan as a value: its JSON, its fingerprint, types of the output, and where the output lies."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from properties.runs_help import pipeline, plan_of

from tileconv.errors import PlanError, SpecError
from tileconv.kernels import Kernel
from tileconv.planning.identity import stage_identity

IMAGE = np.zeros((300, 400), np.uint16)
STAGE = {"op": "gaussian", "sigma": 2, "border": "reflect"}
OWN = {"op": "correlate", "kernel": [[0.5, 1, 2], [0, 3, 1]]}


def fingerprint(stages=(STAGE,), image=IMAGE, axes=None, **words):
    return plan_of(pipeline(stages, **words), image, axes).fingerprint()


WHAT = {
    "parameter": ([STAGE | {"sigma": 2.5}], {}),
    "truncate": ([STAGE | {"truncate": 3}], {}),
    "operator": ([{"op": "box", "size": 17}], {}),
    "border": ([STAGE | {"border": "mirror"}], {}),
    "border value": ([STAGE | {"border": {"rule": "constant", "value": 1}}], {}),
    "another border value": ([STAGE | {"border": {"rule": "constant", "value": 2}}], {}),
    "a border value of many digits": ([STAGE | {"border": {"rule": "constant", "value": 0.1234567}}], {}),
    "another one": ([STAGE | {"border": {"rule": "constant", "value": 0.1234568}}], {}),
    "border of one axis": ([STAGE | {"border": {"x": "mirror", "y": "reflect"}}], {}),
    "extent": ([STAGE | {"extent": "valid"}], {}),
    "another extent": ([STAGE | {"extent": "full"}], {}),
    "engine": ([STAGE | {"engine": "fft"}], {}),
    "another engine": ([STAGE | {"engine": "direct"}], {}),
    "one stage more": ([STAGE, STAGE], {}),
    "a pointwise stage": ([STAGE, {"op": "rescale", "gain": 2}], {}),
    "its gain": ([STAGE, {"op": "rescale", "gain": 3}], {}),
    "its offset": ([STAGE, {"op": "rescale", "gain": 3, "offset": 1}], {}),
    "a clip": ([STAGE, {"op": "clip", "range": [0, 1]}], {}),
    "its range": ([STAGE, {"op": "clip", "range": [0, 2]}], {}),
    "unsharp": ([{"op": "unsharp", "sigma": 1}], {}),
    "its amount": ([{"op": "unsharp", "sigma": 1, "amount": 2}], {}),
    "its threshold": ([{"op": "unsharp", "sigma": 1, "threshold": 2}], {}),
    "own weights": ([OWN], {}),
    "turned": ([OWN | {"op": "convolve"}], {}),
    "divided": ([OWN | {"divide_by": 3}], {}),
    "normalized": ([OWN | {"normalize": True}], {}),
    "offset": ([OWN | {"offset": 3}], {}),
    "component": ([{"op": "sobel", "component": "x"}], {}),
    "another component": ([{"op": "sobel", "component": "y"}], {}),
    "magnitude": ([{"op": "sobel"}], {}),
    "output type": ([STAGE], {"output": {"dtype": "uint8"}}),
    "another output type": ([STAGE], {"output": {"dtype": "float64"}}),
    "overflow": ([STAGE], {"output": {"dtype": "uint8", "overflow": "error"}}),
    "precision": ([STAGE], {"precision": "float64"}),
    "missing": ([STAGE], {"missing": {"rule": "propagate"}}),
    "nodata": ([STAGE], {"missing": {"rule": "propagate"}, "input_": {"nodata": 3}}),
    "another nodata": ([STAGE], {"missing": {"rule": "propagate"}, "input_": {"nodata": 4}}),
    "fill": ([STAGE], {"missing": {"rule": "fill", "value": 3}, "input_": {"nodata": 3}}),
    "series": ([STAGE], {"input_": {"series": 1}}),
    "level": ([STAGE], {"input_": {"level": 1}}),
    "another fill": ([STAGE], {"missing": {"rule": "fill", "value": 4}, "input_": {"nodata": 3}}),
}


def test_every_what_changes_the_fingerprint():
    found = {name: fingerprint(stages, **words) for name, (stages, words) in WHAT.items()}
    found |= {"plain": fingerprint(), "shape": fingerprint(image=IMAGE[:-1])}
    found |= {"type": fingerprint(image=IMAGE.astype(np.uint8))}
    same = [(a, b) for a in found for b in found if a < b and found[a] == found[b]]
    assert not same


def test_outputs_keep_their_fingerprints():
    """As earlier versions made them; of weights that no processor rounds otherwise."""
    before = {
        **{"operator": "c713ade1dd1b", "own weights": "9b95aea94dc2", "turned": "6c936ce68b3d"},
        **{"divided": "69bd574e34ae", "offset": "99d00897d555", "component": "efff00fa525f"},
        "magnitude": "6f1541cf361b",
    }
    assert {name: fingerprint(WHAT[name][0], **WHAT[name][1])[:12] for name in before} == before


@dataclass(frozen=True)
class Unknown:
    """An operation with a field that may be of any type."""

    field: object
    kernels: ClassVar[tuple[Kernel, ...]] = ()
    digests: ClassVar[tuple[str, ...]] = ()

    def engine(self, values):
        """Return what says nothing."""
        return ""


def test_no_field_of_an_operation_is_left_out():
    (stage,) = plan_of(pipeline([{"op": "abs"}]), IMAGE).passes[0].stages
    told = [stage_identity(replace(stage, operation=Unknown(field)))["operation"] for field in (None, (1.5, 2), [True])]
    assert told == [["Unknown", {"field": field}] for field in (None, [1.5, 2], [True])]
    for field in (1j, {1, 2}, object(), b"1"):
        with pytest.raises(TypeError, match=r"nothing says how \w+ is written down"):
            stage_identity(replace(stage, operation=Unknown((field,))))


def test_fields_that_are_kernels_are_told_by_their_digests():
    (stage,) = plan_of(pipeline([{"op": "unsharp", "sigma": 1}]), IMAGE).passes[0].stages
    told = stage_identity(stage)
    assert told["operation"] == ["Unsharp", {"amount": 1.0, "threshold": 0.0}]
    assert told["kernels"] == [stage.operation.blur.digest]


@pytest.mark.parametrize(
    "run",
    [
        {"tile": 1024},
        {"workers": 7},
        {"memory": "3GiB"},
        {"executor": "processes"},
        {"executor": "tcp://127.0.0.1:1"},
        {"halo_method": "overlap"},
    ],
    ids=str,
)
def test_no_how_changes_it(run):
    assert fingerprint(run=run) == fingerprint()


def test_output_path_and_words_for_the_same_do_not_change_it():
    same = [
        fingerprint(output={"path": "other.zarr"}),
        fingerprint([STAGE | {"border": {"x": "reflect", "y": "reflect"}}]),
        fingerprint([STAGE | {"truncate": 4.0, "sigma": {"x": 2, "y": 2}}]),
    ]
    assert set(same) == {fingerprint()}


def test_json_holds_every_decision_with_its_reason():
    stages = [STAGE, OWN | {"engine": "fft"}, {"op": "sobel", "border": "wrap"}]
    made = plan_of(pipeline(stages), IMAGE)
    found = json.loads(json.dumps(made.as_json()))
    assert found["fingerprint"] == made.fingerprint()
    assert found["input"]["shape"] == found["output"]["shape"] == [300, 400]
    assert found["workers"] == 2
    assert len(found["passes"]) == len(made.passes) == 2
    listed = [stage for entry in found["passes"] for stage in entry["stages"]]
    assert [stage["kernels"][0]["engine"] for stage in listed][1] == "fft"
    for entry in found["passes"]:
        assert entry["why"]
        assert entry["why_tile"]
        assert entry["why_halo_method"]
        assert sum(entry["tile_bytes"].values()) > 0
    for stage in listed:
        assert stage["error_bound"] >= 0
        for kernel in stage["kernels"]:
            assert kernel["why"]
            assert kernel["sums"]
            assert {c["engine"] for c in kernel["candidates"]} == {"direct", "separable", "fft"}
            assert all(bool(c["refused"]) or c["ns_per_pixel"] > 0 for c in kernel["candidates"])


@pytest.mark.parametrize(
    ("source", "stages", "asked", "expected"),
    [
        ("uint8", [], "auto", "uint8"),
        ("float64", [], "auto", "float64"),
        ("uint64", [], "auto", "uint64"),
        ("uint8", [], "float32", "float32"),
        ("uint8", [STAGE], "auto", "float32"),
        ("uint8", [STAGE], "input", "uint8"),
        ("uint16", [STAGE], "int16", "int16"),
        ("float64", [STAGE], "auto", "float64"),
        ("float32", [STAGE], "auto", "float32"),
        ("int32", [STAGE], "auto", "float64"),
        ("uint8", [{"op": "laplacian"}], "auto", "int32"),
        ("uint16", [{"op": "sobel", "component": "x"}], "auto", "int32"),
        ("uint16", [{"op": "sobel"}], "auto", "float32"),
        ("int32", [{"op": "laplacian"}], "auto", "int64"),
        ("int64", [{"op": "laplacian"}], "auto", "int64"),
        ("uint32", [{"op": "abs"}], "auto", "int64"),
        ("uint8", [{"op": "abs"}], "auto", "int32"),
        ("float32", [{"op": "laplacian"}], "auto", "float32"),
        ("uint8", [{"op": "rescale", "gain": 0.5}], "auto", "float32"),
        ("uint8", [{"op": "clip", "range": [1, 9]}], "auto", "int32"),
    ],
)
def test_the_type_of_the_output(source, stages, asked, expected):
    made = plan_of(pipeline(stages, output={"dtype": asked}), np.zeros((8, 9), source))
    assert made.info.dtype == np.dtype(expected)


def test_precision_decides_the_type_of_sums():
    for precision, expected in (("float32", "float32"), ("float64", "float64"), ("auto", "float32")):
        assert plan_of(pipeline([STAGE], precision=precision), IMAGE).info.dtype == expected


def test_full_and_valid_move_the_origin():
    kernel = {"op": "correlate", "kernel": [[1, 2, 3, 4]]}  # reaches 2 to the left and 1 to the right
    made = {e: plan_of(pipeline([kernel | {"extent": e}]), IMAGE) for e in ("same", "full", "valid")}
    assert {e: p.info.shape for e, p in made.items()} == {"same": (300, 400), "full": (300, 403), "valid": (300, 397)}
    assert {e: p.info.origin for e, p in made.items()} == {"same": (0, 0), "full": (0, -1), "valid": (0, 2)}


def test_what_cannot_be_done_is_refused():
    with pytest.raises(PlanError, match="valid leaves no pixel"):
        plan_of(pipeline([{"op": "box", "size": 9, "extent": "valid"}]), np.zeros((8, 90), np.uint8))
    with pytest.raises(PlanError, match="the stages act on"):
        plan_of(pipeline([STAGE | {"over": "zyx"}]), IMAGE)
    own = {"op": "correlate", "kernel": np.eye(9).tolist(), "engine": "separable", "id": "blur"}
    with pytest.raises(PlanError, match="stage blur: engine separable cannot be used"):
        plan_of(pipeline([own]), IMAGE)


@pytest.mark.parametrize("name", ["o.jpg", "o.H5", "o.ome.jp2", "o.yaml"])
def test_an_output_named_as_another_format_is_refused(name):
    with pytest.raises(SpecError, match=r"output\.path: expected the name of an OME-Zarr store or a TIFF, found"):
        plan_of(pipeline([STAGE], output={"path": name}), IMAGE)


@pytest.mark.parametrize(("image", "words"), [("float32", {}), ("uint8", {"input_": {"nodata": 0}})])
def test_nan_into_integers_is_refused_by_the_plan(image, words):
    mapping = pipeline([STAGE], missing={"rule": "propagate"}, output={"dtype": "uint8"}, **words)
    with pytest.raises(PlanError, match=r"output\.dtype: missing pixels become NaN .* uint8 has no NaN") as caught:
        plan_of(mapping, np.zeros((9, 9), image))
    assert "float32" in caught.value.fix
    plan_of(mapping | {"input": {"path": "a.tif"}}, np.zeros((9, 9), np.uint8))  # nothing can be missing
    plan_of(mapping | {"missing": {"rule": "fill", "value": 0}}, np.zeros((9, 9), image))


def test_a_type_that_no_pixel_fits_is_refused_by_the_plan_under_overflow_error():
    stages = [{"op": "rescale", "gain": 1, "offset": 1000}]
    output = {"dtype": "uint8", "overflow": "error"}
    with pytest.raises(PlanError, match=r"pixels lie between .* outside uint8 from 0 to 255") as caught:
        plan_of(pipeline([*stages, {"op": "clip", "range": [400, 500]}], output=output), IMAGE)
    assert "wider" in caught.value.fix
    plan_of(pipeline(stages, output=output), IMAGE)  # some may fit as far as the plan knows
    plan_of(pipeline([{"op": "clip", "range": [400, 500]}], output={"dtype": "uint8"}), IMAGE)  # clipped and counted
