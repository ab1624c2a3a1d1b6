"""Runs whose tiles hold all channels, of banks, layers and strides: killed, on every executor, verified, made again."""

import shutil
import signal

import numpy as np
import pytest
from execute.resume_help import digest, done, finish, signalled, write_spec
from properties.runs_help import stored

import tileconv
from tileconv.errors import ResumeError, SpecError

STAGES = [
    {"op": "bank", "kernels": {"mean": [[1, 1], [1, 1]], "edge": [[-1, 0, 1]]}},
    {"op": "conv_layer", "weights": "w.npz", "padding": 1, "activation": "tanh", "id": "layer"},
    {"op": "pool", "padding": 0, "method": "mean"},
]
RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing disturbed, and how many tiles it has."""
    folder = tmp_path_factory.mktemp("whole")
    np.savez(folder / "w.npz", weights=RNG.normal(0, 1e-4, (3, 2, 3, 3)).astype("f4"), bias=np.zeros(3, "f4"))
    return folder, tileconv.run(write_spec(folder, STAGES)).tiles


def test_killed_and_run_again(whole):
    folder, tiles = whole
    expected = digest(folder / "o.zarr")
    for name in ("o.zarr", "o.zarr.tileconv"):
        shutil.rmtree(folder / name)
    code, _, err = signalled(folder, signal.SIGKILL, tiles // 3)
    assert code == -signal.SIGKILL, err
    assert 0 < done(folder) < tiles
    assert finish(folder)[0] == 0
    assert digest(folder / "o.zarr") == expected


@pytest.mark.parametrize("executor", ["processes", "scheduler"])
def test_other_executors_make_the_same_bytes(whole, request, executor):
    folder, _ = whole
    where = request.getfixturevalue("cluster") if executor == "scheduler" else executor
    tileconv.run(write_spec(folder, STAGES, store=f"{executor}.zarr", run={"executor": where}))
    assert stored(folder / f"{executor}.zarr").tobytes() == stored(folder / "o.zarr").tobytes()


def test_every_box_made_again_and_the_whole_from_what_it_says_of_itself(whole, tmp_path):
    folder, _ = whole
    assert tileconv.verify(folder / "o.zarr", recompute="100%").damages == ()
    tileconv.rerun(folder / "o.zarr", tmp_path / "again.zarr")
    assert stored(tmp_path / "again.zarr").tobytes() == stored(folder / "o.zarr").tobytes()


def test_other_weights_in_the_file_or_none_are_told(whole, tmp_path):
    folder, _ = whole
    weights, moved = folder / "w.npz", tmp_path / "w.npz"
    shutil.move(weights, moved)
    with pytest.raises(SpecError, match=r"no such file"):
        tileconv.rerun(folder / "o.zarr", tmp_path / "again.zarr")
    np.savez(weights, weights=np.ones((3, 2, 3, 3), "f4"), bias=np.zeros(3, "f4"))
    with pytest.raises(ResumeError, match=r"kernel of stage layer was .*\n?.*file of its kernel, or of its weights"):
        tileconv.rerun(folder / "o.zarr", tmp_path / "again.zarr")
    assert not (tmp_path / "again.zarr").exists()
    shutil.move(moved, weights)
