"""Memory is bounded: fresh processes stay below what the plan predicts, and what does not fit is refused first."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import strategies
import yaml
from properties.runs_help import MACHINE, pipeline, write_tiff

import tileconv
from tileconv.errors import PlanError
from tileconv.planning.build import make_plan

CHAIN = [{"op": "gaussian", "sigma": 2}, {"op": "sobel"}, {"op": "unsharp", "sigma": 1}]
MIB = 2**20


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A real file of 32 MiB: a gradient with noise, uint16."""
    image = strategies.pixels((4096, 4096), "uint16", 0)
    image >>= 4
    image += (np.arange(4096, dtype=np.uint16) * 8)[:, None]
    return write_tiff(tmp_path_factory.mktemp("memory") / "large.tif", image, tile=256)


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        (CHAIN, {"run": {"memory": "480MiB"}}),
        ([], {"run": {"memory": "1GiB", "tile": 2048}}),
        ([{"op": "disk", "radius": 15, "engine": "fft"}, CHAIN[1]], {"precision": "float64", "run": {"tile": 2048}}),
        (CHAIN, {"run": {"tile": 1024, "halo_method": "overlap"}}),
    ],
    ids=["chain", "copy", "fft", "overlap"],
)
def test_measured_stays_below_predicted(large, tmp_path, stages, words):
    spec = pipeline(stages, input_={"path": large}, output={"path": str(tmp_path / "o.zarr")}, **words)
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec))
    command = [sys.executable, "-m", "tileconv", "run", str(tmp_path / "p.yaml"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert 50 * MIB < report["peak_bytes"] <= report["predicted_bytes"]
    made = tileconv.plan(spec)
    assert report["predicted_bytes"] == made.peak_bytes <= made.memory_limit


def test_a_tile_too_large_is_refused_with_the_largest_that_fits(large, tmp_path):
    words = {"input_": {"path": large}, "output": {"path": str(tmp_path / "o.zarr"), "chunks": 256}}
    with pytest.raises(PlanError, match=r"the run would take .* MiB, and may take 350 MiB") as caught:
        tileconv.plan(pipeline(CHAIN, run={"memory": "350MiB", "tile": 4096}, **words))
    named = yaml.safe_load("{" + caught.value.fix.removeprefix("The largest tile that fits is ").rstrip(".") + "}")
    assert set(named) == {"y", "x"}
    assert tileconv.plan(pipeline(CHAIN, run={"memory": "350MiB", "tile": named}, **words)).peak_bytes <= 350 * MIB
    larger = {a: n + 1024 for a, n in named.items()}
    with pytest.raises(PlanError, match="may take 350 MiB"):
        tileconv.plan(pipeline(CHAIN, run={"memory": "350MiB", "tile": larger}, **words))


def test_what_cannot_fit_at_all_is_refused_before_anything_is_written(large, tmp_path):
    spec = pipeline(CHAIN, input_={"path": large}, output={"path": str(tmp_path / "o.zarr")}, run={"memory": "100MiB"})
    with pytest.raises(PlanError, match="may take 100 MiB") as caught:
        tileconv.run(spec)
    assert "Raise run.memory" in caught.value.fix
    assert not (tmp_path / "o.zarr").exists()


@pytest.mark.parametrize("memory", ["340MiB", "500MiB", "2GiB"])
def test_the_plan_keeps_to_the_limit_and_to_the_image_size(large, tmp_path, memory):
    """Predicted memory is flat in the size of the image: 64 times the pixels, in shards, fit as well."""
    spec = pipeline(
        CHAIN, input_={"path": large}, output={"path": str(tmp_path / "o.zarr"), "chunks": 256}, run={"memory": memory}
    )
    made = tileconv.plan(spec)
    assert made.peak_bytes <= made.memory_limit
    huge = replace(made.source, shape=tuple(8 * n for n in made.source.shape))
    grown = make_plan(made.spec, huge, MACHINE)
    assert grown.peak_bytes <= made.memory_limit


def test_where_shards_of_a_huge_image_do_not_fit_chunks_alone_may(large, tmp_path):
    output, memory = {"path": str(tmp_path / "o.zarr"), "chunks": 256}, {"memory": "330MiB"}
    made = tileconv.plan(pipeline(CHAIN, input_={"path": large}, output=output, run=memory))
    huge = replace(made.source, shape=tuple(8 * n for n in made.source.shape))
    with pytest.raises(PlanError, match=r"output\.shards: none"):
        make_plan(made.spec, huge, MACHINE)
    bare = tileconv.plan(pipeline(CHAIN, input_={"path": large}, output=output | {"shards": "none"}, run=memory))
    assert make_plan(bare.spec, huge, MACHINE).peak_bytes <= bare.memory_limit
