"""A pass cut in any way gives the same bytes; what it writes is a pipeline; one that ends early leaves nothing."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import yaml
from distributed import Client
from oracles import learning
from PIL import Image

import tileconv
from tileconv.errors import Interrupted, PlanError, SinkError, TileError
from tileconv.lessons import teach
from tileconv.lessons.job import Lesson

RANDOM = np.random.default_rng(12)
BEFORE = RANDOM.integers(0, 65536, (300, 530), dtype=np.uint16)
AFTER = learning.answer(BEFORE, RANDOM.normal(size=(3, 3)), 9000)


def figures(learned):
    """Return all that must not depend on how the work was cut."""
    plain = learned.as_json()
    for name in ("tiles", "seconds", "megapixels_per_second", "peak_bytes", "predicted_bytes"):
        del plain[name]
    return json.dumps(plain)


@pytest.mark.parametrize("target", ["image", "mask"])
def test_bytes_do_not_depend_on_tiles_workers_or_executors(target):
    before = BEFORE.astype(np.float32) / 7
    after = AFTER if target == "image" else np.median(AFTER) + 30000 < AFTER
    words = {"size": 3, "validation": 0.4, "border": "wrap", "target": target}
    first = figures(tileconv.learn(before, after, workers=1, **words))
    assert figures(tileconv.learn(before, after, workers=3, tile=256, **words)) == first
    executor = "processes" if target == "image" else "threads"
    assert figures(tileconv.learn(before, after, workers=2, tile=512, executor=executor, **words)) == first


def test_a_scheduler_gives_the_same_bytes(tmp_path, cluster):
    np.save(tmp_path / "a.npy", BEFORE.astype(np.float32) / 7)
    np.save(tmp_path / "b.npy", AFTER)
    words = {"size": 3, "tile": 256, "border": "mirror"}
    files, output = (tmp_path / "a.npy", tmp_path / "b.npy"), tmp_path / "k.yaml"
    assert figures(tileconv.learn(*files, executor=cluster, output=output, **words)) == figures(
        tileconv.learn(*files, **words)
    )
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.npy", "b.npy", "k.png", "k.yaml"]


def test_a_cluster_of_the_users_own_is_started_once_for_all_passes(tmp_path, cluster, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "tileconv").mkdir()
    own = "clusters: {night: {kind: slurm, cores: 3, memory: 5GiB}}"
    (tmp_path / "tileconv" / "config.yaml").write_text(own)
    starts = []

    @contextmanager
    def started(name, words):
        starts.append((name, words["cores"]))
        with Client(cluster) as client:
            yield client, str

    monkeypatch.setattr("tileconv.execute.jobs.started", started)
    files = []
    for name, image in (("before", BEFORE), ("after", np.median(AFTER) < AFTER)):
        files.append(tmp_path / f"{name}.npy")
        np.save(files[-1], image[:60, :60])
    words = {"size": 3, "target": "mask", "ridge": 1}
    learned = tileconv.learn(*files, executor="night", output=tmp_path / "k.yaml", **words)
    assert learned.passes > 1
    assert starts == [("night", 3)]
    assert figures(learned) == figures(tileconv.learn(*files, **words))


KILLED = """
import os, signal, sys
from tileconv.lessons import teach
import tileconv
heard = []
def merge(sums, data, real=teach.merge_packed):
    heard.append(real(sums, data))
    if len(heard) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
teach.merge_packed = merge
tileconv.learn("a.npy", "b.npy", size=3, tile=256, workers=1, output="k.yaml")
"""


def test_a_pass_that_is_killed_begins_again(tmp_path):
    np.save(tmp_path / "a.npy", BEFORE)
    np.save(tmp_path / "b.npy", AFTER)
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    left = sorted(entry.name for entry in tmp_path.iterdir())
    assert left == ["a.npy", "b.npy", "k.yaml.tileconv"]
    words = {"size": 3, "tile": 256}
    learned = tileconv.learn(tmp_path / "a.npy", tmp_path / "b.npy", output=tmp_path / "k.yaml", **words)
    assert learned.tiles == 6
    assert figures(learned) == figures(tileconv.learn(BEFORE, AFTER, **words))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.npy", "b.npy", "k.png", "k.yaml"]


def test_an_interrupted_pass_says_so_and_leaves_nothing(tmp_path, monkeypatch):
    once = iter([signal.SIGINT])
    monkeypatch.setattr(teach, "merge_packed", lambda *_: [os.kill(os.getpid(), number) for number in once])
    with pytest.raises(Interrupted, match="nothing of a pass is kept; the same command begins it again"):
        tileconv.learn(BEFORE, AFTER, size=3, tile=256, workers=1, output=tmp_path / "k.yaml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2)])
def test_what_is_written_is_a_pipeline(tmp_path, shape):
    kernel = RANDOM.normal(size=shape)
    before = BEFORE[:50, :60] if len(shape) == 2 else RANDOM.integers(0, 255, (5, 20, 30), dtype=np.uint8)
    after, output = learning.answer(before, kernel), tmp_path / "kernel.yaml"
    np.save(tmp_path / "before.npy", before)
    words = {"size": shape, "output": output}
    learned = tileconv.learn(tmp_path / "before.npy", after, **words)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["before.npy", "kernel.png", "kernel.yaml"]
    assert yaml.safe_load(output.read_text())["stages"] == [learned.stage]
    assert str(tileconv.plan(output).spec.outputs[0].path) == str(tmp_path / "kernel.ome.zarr")
    made = tileconv.lazy(output).compute()
    np.testing.assert_allclose(made, after, atol=1e-5 * np.abs(after).max())
    shown = np.asarray(Image.open(tmp_path / "kernel.png"))
    assert shown.shape == (3 * 32, 4 * 32 if len(shape) == 2 else 5 * 32, 3)
    with pytest.raises(PlanError, match="Replace it with --overwrite"):
        tileconv.learn(before, after, **words)
    tileconv.learn(before, after, **words, overwrite=True, border={"rule": "constant", "value": 2})
    assert "input" not in (spec := yaml.safe_load(output.read_text()))
    assert spec["border"] == {"rule": "constant", "value": 2}
    output.write_text("version: 1\n")
    with pytest.raises(PlanError, match="tileconv did not learn it"):
        tileconv.learn(before, after, **words, overwrite=True)


def test_no_picture_of_others_is_replaced(tmp_path):
    Image.fromarray(BEFORE[:40, :40].astype(np.uint8)).save(tmp_path / "a.png")
    held = (tmp_path / "a.png").read_bytes()
    with pytest.raises(SinkError, match="the output is the input"):
        tileconv.learn(tmp_path / "a.png", AFTER[:40, :40], size=3, output=tmp_path / "a.yaml")
    with pytest.raises(PlanError, match=r"a\.png: exists, and tileconv did not learn it"):
        tileconv.learn(BEFORE[:40, :40], AFTER[:40, :40], size=3, output=tmp_path / "a.yaml", overwrite=True)
    assert (tmp_path / "a.png").read_bytes() == held


def test_a_tile_that_fails_ends_the_pass_and_leaves_nothing(tmp_path):
    big = np.full((40, 40), 1e200)
    big[0] = 0
    with pytest.raises(TileError, match=r"tile y=0:40 x=0:40: sums of products .* leave the range"):
        tileconv.learn(big, big, size=3, output=tmp_path / "k.yaml")
    assert list(tmp_path.iterdir()) == []


def test_sums_that_were_damaged_on_their_way_are_refused(monkeypatch):
    def damaging(lesson, tile, run=Lesson.run):
        receipt, store, key = run(lesson, tile), lesson.sinks[0].store, lesson.key(tile)
        store.write(key, [[store.read_all(key)[:-1] + b"?"]])
        return receipt

    monkeypatch.setattr(Lesson, "run", damaging)
    with pytest.raises(SinkError, match=r"0\.sums: is damaged"):
        tileconv.learn(BEFORE[:40, :40], AFTER[:40, :40], size=3)
