"""Stages that branch and join, and several outputs, against an oracle that makes every stage of the whole image."""

import hashlib
from collections import Counter
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import strategies
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import convolution, operators
from properties.runs_help import every_array, plan_of

import tileconv
from tileconv.audit.status import status
from tileconv.boxes import pieces
from tileconv.errors import PlanError, SinkError
from tileconv.record.journal import Journal
from tileconv.tiles import compute

BORDERS = ("reflect", "mirror", "nearest", "wrap")
LOPSIDED = np.array([[1.0, 2.0], [-1.0, 0.5]])
ONE = {
    "gaussian": {"sigma": 0.8},
    "box": {"size": 3},
    "sobel": {"component": "x"},
    "unsharp": {"sigma": 0.7, "amount": 0.5},
    "abs": {},
    "rescale": {"gain": -2, "offset": 1},
}
SEVERAL = {"add": np.add, "subtract": np.subtract, "maximum": np.maximum, "hypot": np.hypot}
PRECISE = 1e-12


def oracle(stages, image, outputs):
    """Return what every output holds, from every stage made of the whole image in float64, with where it begins."""
    made = {"input": (image.astype(np.float64), (0, 0))}

    def result(name):
        if name not in made:
            stage = stages[name]
            inputs = [result(before) for before in stage["from"]]
            made[name] = _made(stage, inputs)
        return made[name]

    return {name: result(stage)[0] for name, stage in outputs.items()}


def _made(stage, inputs):
    (pixels, start), op = inputs[0], stage["op"]
    if op in SEVERAL:
        assert all(at == start for _, at in inputs)
        return SEVERAL[op](*(one for one, _ in inputs)), start
    if op == "correlate":
        shift = {"valid": (1, 1), "full": (0, 0), "same": (0, 0)}[stage["extent"]]
        made = convolution.correlate(pixels, LOPSIDED, stage["border"], extent=stage["extent"])
        return made, tuple(a + b for a, b in zip(start, shift, strict=True))
    return operators.apply(op, pixels, stage["border"], **ONE[op]), start


@st.composite
def graphs(draw):
    """Draw up to eight stages, in any order of the file, of which up to three are stored and none is idle."""
    boxes, stages = {"input": 0}, {}
    for number in range(draw(st.integers(1, 8))):
        name = f"s{number}"
        first = draw(st.sampled_from(sorted(boxes)))
        op = draw(st.sampled_from([*ONE, *SEVERAL, "correlate"]))
        stage = {"op": op, "id": name, "from": [first]}
        if op in SEVERAL:
            like = sorted(other for other, box in boxes.items() if box == boxes[first])
            stage["from"].append(draw(st.sampled_from(like)))
        else:
            stage |= {"border": draw(st.sampled_from(BORDERS)), **ONE.get(op, {})}
        boxes[name] = boxes[first]
        if op == "correlate":
            stage |= {"kernel": LOPSIDED.tolist(), "extent": draw(st.sampled_from(("same", "valid")))}
            boxes[name] += stage["extent"] == "valid"
        stages[name] = stage
    stored = draw(st.lists(st.sampled_from(sorted(stages)), min_size=1, max_size=3))
    needed, more = set(), set(stored)
    while more := more - {"input"}:
        needed |= more
        more = {before for name in more for before in stages[name]["from"]} - needed
    order = draw(st.permutations(sorted(needed)))
    return {name: stages[name] for name in order}, {f"o{n}": name for n, name in enumerate(stored)}


def mapping_of(stages, outputs, tile, folder="/nowhere", **words):
    places = {name: {"path": f"{folder}/{name}.zarr", "from": of, "chunks": tile} for name, of in outputs.items()}
    run = {"tile": tile, "workers": 2, "memory": "8GiB"} | words.pop("run", {})
    written = [{key: value for key, value in stage.items() if key != "extent" or value != "same"} for stage in stages]
    return {
        "version": 1,
        "input": {"path": f"{folder}/a.npy"},
        "stages": written,
        "outputs": places,
        "run": run,
        **words,
    }


@given(graphs(), st.sampled_from(("uint8", "float64")), st.tuples(st.integers(9, 11), st.integers(9, 12)))
def test_every_output_is_that_of_the_whole_image(drawn, dtype, shape):
    stages, outputs = drawn
    image = strategies.pixels(shape, dtype, 3)
    expected = oracle(stages, image, outputs)
    before = None
    for tile in (1, 3, 64):
        mapping = mapping_of(stages.values(), outputs, tile, precision="float64")
        plan = plan_of(mapping, image)
        arrays, _ = every_array(plan, image)
        made = [arrays[plan.between + number] for number in range(len(outputs))]
        assert before is None or [m.tobytes() for m in made] == before
        before = [m.tobytes() for m in made]
    for pixels, name in zip(made, outputs, strict=True):
        atol = PRECISE * max(1.0, np.abs(expected[name]).max(), np.abs(image).max() * 1e3)
        np.testing.assert_allclose(pixels, expected[name], rtol=0, atol=atol)


NARROW = {"op": "gaussian", "sigma": 1, "id": "narrow"}
WIDE = {"op": "gaussian", "sigma": 3, "id": "wide", "from": "input"}


@pytest.mark.parametrize("tile", [16, 64])
def test_the_difference_of_two_blurs_is_that_of_gaussians(tile):
    image = strategies.pixels((60, 70), "uint16", 1)
    joined = {"op": "subtract", "from": ["narrow", "wide"], "id": "both"}
    plan = plan_of(mapping_of([NARROW, WIDE, joined], {"o": "both"}, tile), image)
    whole = {"op": "difference_of_gaussians", "low_sigma": 1, "high_sigma": 3, "id": "both"}
    other = plan_of(mapping_of([whole], {"o": "both"}, tile), image)
    (ours, _), (theirs, _) = every_array(plan, image), every_array(other, image)
    bound = sum(stage.error_bound for stage in (*plan.graph, *other.graph))
    assert 0 < np.abs(ours[0].astype(float) - theirs[0]).max() <= bound


def test_a_stage_that_several_read_runs_once_for_every_strip(monkeypatch):
    image = strategies.pixels((64, 64), "uint8", 0)
    stages = [NARROW, {"op": "sobel", "id": "a"}, {"op": "abs", "id": "b", "from": "narrow"}]
    stages += [{"op": "add", "id": "c", "from": ["a", "b", "narrow"]}]
    plan = plan_of(mapping_of(stages, {"x": "c", "y": "narrow", "z": "a"}, 32), image)
    (pass_,) = plan.passes
    calls = Counter()
    run, by_rows = compute._run, compute.by_rows

    def one(pass_, number, *args):
        calls[pass_.stages[number].name] += 1
        return run(pass_, number, *args)

    def several(pass_, number, *args):
        made = by_rows(pass_, number, *args)
        calls.update(stage.name for stage in pass_.stages[number : made[0] + 1 if made else number])
        return made

    monkeypatch.setattr(compute, "_run", one)
    monkeypatch.setattr(compute, "by_rows", several)
    every_array(plan, image)
    strips = sum(len(pieces(box.start[0], box.stop[0], pass_.strip)) for box in pass_.grid)
    assert calls == dict.fromkeys(("narrow", "a", "b", "c"), strips)


def test_inputs_of_one_stage_are_one_box():
    stages = [{"op": "box", "size": 4, "extent": "valid", "id": "less"}, {"op": "add", "from": ["less", "input"]}]
    with pytest.raises(PlanError, match=r"less has the pixels z=0:1 y=2:19 x=2:19, and the input has z=0:1 y=0:20"):
        plan_of({**mapping_of(stages, {}, 8), "outputs": {"o": {"path": "/o.zarr"}}}, np.zeros((20, 20), np.uint8))


def test_passes_are_cut_where_boxes_or_files_differ_and_the_plan_says_so():
    stages = [NARROW, {"op": "box", "size": 3, "extent": "valid", "id": "less"}]
    mapping = mapping_of(stages, {"a": "narrow", "b": "less", "c": "narrow"}, 64)
    mapping["outputs"]["c"]["chunks"], mapping["run"]["tile"] = 50, "auto"
    plan = plan_of(mapping, np.zeros((200, 300), np.uint8))
    assert [[stage.name for stage in pass_.stages] for pass_ in plan.passes] == [
        ["narrow"], ["narrow", "less"], ["narrow"]
    ]  # fmt: skip
    assert [pass_.why for pass_ in plan.passes] == [
        "reads the input",
        "outputs.b has the pixels y=1:199 x=1:299, and outputs.a has y=0:200 x=0:300",
        "files of 50 pixels along y for outputs.c do not line up with 64 for outputs.a",
    ]


CUT = [
    NARROW,
    {"op": "sobel", "id": "edges"},
    {"op": "gaussian", "sigma": 1, "border": "wrap", "id": "late"},
    {"op": "subtract", "from": ["late", "narrow"], "id": "joined"},
]
OUTPUTS = {"x": "joined", "y": "edges"}


def written(folder):
    """Return the digests of all chunks of both outputs."""
    files = (file for name in OUTPUTS for file in sorted((folder / f"{name}.zarr" / "0").rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def run_in(folder, **words):
    folder.mkdir(exist_ok=True)
    np.save(folder / "a.npy", strategies.pixels((40, 50), "uint16", 2))
    return partial(tileconv.run, mapping_of(CUT, OUTPUTS, 32, folder, **words))


class Killed(BaseException):
    """Ends a run wherever it is, as a signal that nothing hears of would."""


def test_a_run_that_is_killed_between_any_two_lines_is_resumed_to_the_same_files(tmp_path, monkeypatch):
    """Also between those of two outputs about one tile, which is then made again."""
    run_in(tmp_path / "whole")()
    expected, append, lines = written(tmp_path / "whole"), Journal.append, Counter()
    monkeypatch.setattr(Journal, "append", lambda journal, *events: (lines.update("n"), append(journal, *events)))
    run_in(tmp_path / "counted")()
    for last in range(lines["n"]):
        seen = Counter()

        def killing(journal, *events, last=last, seen=seen):
            if seen["n"] == last:
                raise Killed
            seen["n"] += 1
            append(journal, *events)

        folder = tmp_path / f"killed{last}"
        monkeypatch.setattr(Journal, "append", killing)
        with pytest.raises(Killed):
            run_in(folder, run={"workers": 1})()
        monkeypatch.setattr(Journal, "append", append)
        assert {status(folder / f"{name}.zarr").state for name in OUTPUTS} == {"unfinished"}
        run_in(folder, run={"workers": 1})()
        assert written(folder) == expected
        assert not [*folder.glob("*.pass*")]
        assert {tileconv.api.verify(folder / f"{name}.zarr").exit_code for name in OUTPUTS} == {0}


@settings(max_examples=max(3, settings.default.max_examples // 10))
@given(graphs(), st.integers(0, 40))
def test_any_graph_that_is_killed_is_resumed_to_what_it_gives_at_once(tmp_path_factory, drawn, last):
    stages, outputs = drawn
    folder, image = tmp_path_factory.mktemp("graph"), strategies.pixels((9, 11), "float64", 5)
    np.save(folder / "a.npy", image)
    mapping = mapping_of(stages.values(), outputs, 3, folder, precision="float64")
    plan = plan_of(mapping, image)
    expected, _ = every_array(plan, image)
    append, seen = Journal.append, Counter()

    def killing(journal, *events):
        if seen["n"] == last:
            raise Killed
        seen["n"] += 1
        append(journal, *events)

    with pytest.MonkeyPatch.context() as patch, suppress(Killed):
        patch.setattr(Journal, "append", killing)
        tileconv.run(mapping)
    tileconv.run(mapping)
    for number, name in enumerate(outputs):
        stored = zarr.open_array(folder / f"{name}.zarr" / "0", mode="r")[...]
        assert stored.tobytes() == expected[plan.between + number].tobytes()


def test_an_output_that_is_complete_is_left_alone_while_another_is_mended(tmp_path):
    run = run_in(tmp_path)
    run()
    whole = {file: file.stat().st_mtime_ns for file in (tmp_path / "x.zarr").rglob("*")}
    expected = written(tmp_path)
    (tmp_path / "y.zarr" / "0" / "c" / "1" / "1").unlink()
    report = run()
    assert (report.tiles, written(tmp_path)) == (1, expected)
    assert report.others[0].output == tmp_path / "y.zarr"
    chunk = tmp_path / "y.zarr" / "0" / "c" / "0" / "1"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    assert tileconv.api.verify(tmp_path / "y.zarr").exit_code == 4
    assert len(run(repair=True).damages) == 1
    assert written(tmp_path) == expected
    assert whole == {file: file.stat().st_mtime_ns for file in (tmp_path / "x.zarr").rglob("*")}


def test_an_output_is_the_same_alone_and_beside_others(tmp_path):
    """It is resumed when others join it, and made again from its own provenance."""
    alone = mapping_of(CUT[:2], {"y": "edges"}, 32, tmp_path)
    run_in(tmp_path)
    tileconv.run(alone)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "y.zarr").rglob("*")}
    run_in(tmp_path)()
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "y.zarr").rglob("*")}
    for name in OUTPUTS:
        again = tileconv.rerun(tmp_path / f"{name}.zarr", tmp_path / f"{name}2.zarr")
        first, second = (zarr.open_array(tmp_path / f"{one}.zarr" / "0", mode="r")[...] for one in (name, f"{name}2"))
        assert (first.tobytes(), again.kept) == (second.tobytes(), 0)
        assert tileconv.api.verify(tmp_path / f"{name}.zarr", recompute="100%").exit_code == 0


def test_one_place_by_two_names_is_refused(tmp_path):
    (tmp_path / "x.zarr").mkdir()
    (tmp_path / "y.zarr").symlink_to(tmp_path / "x.zarr")
    with pytest.raises(SinkError, match="is the place of two outputs"):
        run_in(tmp_path)()
