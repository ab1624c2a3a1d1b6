"""``tileconv rerun``: a result once more from the provenance that it carries, or a refusal that names what differs."""

import json
import shutil

import numpy as np
import pytest
from execute.resume_help import ONE, TWO, digest, write_spec
from properties.runs_help import stored

import tileconv
from tileconv.errors import PlanError, ResumeError, SinkError, SourceError, SpecError
from tileconv.record.provenance import MOST_WEIGHTS

OWN = [{"op": "convolve", "kernel": "k.npy", "normalize": True}, {"op": "correlate", "kernel": "k.npy", "id": "slide"}]


def edit(store, change):
    """Change the ``tileconv`` attribute of *store*."""
    file = store / "zarr.json"
    found = json.loads(file.read_text())
    change(found["attributes"]["tileconv"])
    file.write_text(json.dumps(found))


@pytest.mark.parametrize("stages", [ONE, TWO], ids=["one pass", "two passes"])
def test_the_same_bytes_from_a_store_that_was_moved(tmp_path, call, stages):
    spec = write_spec(tmp_path, stages, output={"dtype": "int16"})
    tileconv.run(spec)
    spec.unlink()
    moved = tmp_path / "elsewhere" / "edges.ome.zarr"
    moved.parent.mkdir()
    shutil.move(tmp_path / "o.zarr", moved)
    shutil.rmtree(tmp_path / "o.zarr.tileconv")
    code, out, err = call("rerun", "elsewhere/edges.ome.zarr", folder=tmp_path)
    assert code == 0, err
    assert err == ""
    again = tmp_path / "elsewhere" / "edges.rerun.ome.zarr"
    assert out.splitlines()[0] == str(again)
    assert digest(again / "0") == digest(moved / "0")
    assert tileconv.verify(again, recompute="5").damages == ()
    tileconv.rerun(again, tmp_path / "third.zarr")
    assert digest(tmp_path / "third.zarr" / "0") == digest(moved / "0")


@pytest.mark.parametrize("whole", [True, False], ids=["int64", "float64"])
def test_kernels_that_lay_in_files(tmp_path, whole):
    weights = np.arange(1, 16).reshape(3, 5) * (1 if whole else 0.1)
    np.save(tmp_path / "k.npy", weights)
    tileconv.run(write_spec(tmp_path, OWN))
    (tmp_path / "k.npy").unlink()
    tileconv.rerun(tmp_path / "o.zarr", tmp_path / "n.zarr")
    assert digest(tmp_path / "n.zarr" / "0") == digest(tmp_path / "o.zarr" / "0")


def test_a_kernel_too_large_to_write_down(tmp_path):
    side = int(MOST_WEIGHTS**0.5) + 1
    weights = np.random.default_rng(0).normal(size=(side, side))
    np.save(tmp_path / "k.npy", weights)
    tileconv.run(write_spec(tmp_path, OWN[1:]))
    assert (tmp_path / "o.zarr" / "zarr.json").stat().st_size < 10_000
    tileconv.rerun(tmp_path / "o.zarr", tmp_path / "n.zarr")
    assert digest(tmp_path / "n.zarr" / "0") == digest(tmp_path / "o.zarr" / "0")
    weights[3, 3] += 1e-9
    np.save(tmp_path / "k.npy", weights)
    with pytest.raises(ResumeError, match="kernel of stage slide was "):
        tileconv.rerun(tmp_path / "o.zarr", tmp_path / "m.zarr")
    (tmp_path / "k.npy").unlink()
    with pytest.raises(SpecError, match="no such file"):
        tileconv.rerun(tmp_path / "o.zarr", tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()


def test_refusals_name_the_difference(finished):
    made = finished(ONE)
    out = made / "o.zarr"
    edit(out, lambda found: found["input"].update(blocks="5"))
    with pytest.raises(ResumeError, match=r"input blocks was 5 when it was made, and is \w+, because"):
        tileconv.rerun(out)
    edit(out, lambda found: found.pop("input"))
    edit(out, lambda found: found.update(input=tileconv.sources.open.open_source(made / "a.tif").fingerprint))
    edit(out, lambda found: found["engines"].update({"1 sobel": ["fft", "direct"]}))
    with pytest.raises(ResumeError, match="engine of stage 1 sobel was fft when it was made, and is separable"):
        tileconv.rerun(out)
    assert sorted(p.name for p in made.iterdir()) == ["a.tif", "o.zarr", "o.zarr.tileconv", "p.yaml"]


def test_versions_that_differ_are_told(finished, call):
    made = finished(ONE)
    edit(made / "o.zarr", lambda found: found["libraries"].update(numpy="1.0"))
    code, _, err = call("rerun", "o.zarr", "-o", "n.zarr", folder=made)
    assert code == 0
    assert err.startswith("note: numpy was 1.0 then and is ")
    assert "bytes may differ" in err
    np.testing.assert_array_equal(stored(made / "n.zarr"), stored(made / "o.zarr"))


def test_where_the_input_lies_now(finished, call):
    made = finished(ONE)
    (made / "a.tif").rename(made / "b.tif")
    code, _, err = call("rerun", "o.zarr", folder=made)
    assert (code, "found nothing" in err) == (1, True)
    assert call("rerun", "o.zarr", "-i", "b.tif", folder=made)[0] == 0
    assert digest(made / "o.rerun.ome.zarr" / "0") == digest(made / "o.zarr" / "0")


def test_never_over_the_result_itself(finished):
    made = finished(ONE)
    before = digest(made / "o.zarr")
    (made / "link.zarr").symlink_to(made / "o.zarr")
    for target in ("o.zarr", "link.zarr"):
        with pytest.raises(SinkError, match="is the output itself"):
            tileconv.rerun(made / "o.zarr", made / target)
    with pytest.raises(SinkError, match="lies inside"):
        tileconv.rerun(made / "o.zarr", made / "o.zarr" / "n.zarr")
    assert digest(made / "o.zarr") == before
    assert tileconv.rerun(made / "o.zarr", made / "o.zarr", overwrite=True).tiles > 0
    assert digest(made / "o.zarr") == before


@pytest.mark.parametrize("text", [None, "x", "{}", '{"attributes": {"tileconv": {"complete": true}}}', "[]"])
def test_outputs_that_say_nothing(tmp_path, text):
    (tmp_path / "o.zarr").mkdir()
    if text is not None:
        (tmp_path / "o.zarr" / "zarr.json").write_text(text)
    with pytest.raises(SourceError) as caught:
        tileconv.rerun(tmp_path / "o.zarr")
    assert caught.value.fix


def test_paths_of_no_file_here(tmp_path):
    for words in ((tmp_path, "ftp://host/o.zarr"), ("ftp://host/o.zarr",), (r"C:\o.zarr",)):
        with pytest.raises(PlanError, match="expected a path or a URL, found"):
            tileconv.rerun(*words)


def test_an_output_that_is_not_finished(finished):
    made = finished(ONE)
    edit(made / "o.zarr", lambda found: found.update(complete=False))
    with pytest.raises(SourceError, match="did not finish"):
        tileconv.rerun(made / "o.zarr")
