"""Many images in one pool: the bytes of single runs, one's failure, what is there already, and memory by admission."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import strategies
import yaml
from execute.resume_help import TWO, attempts, digest, done, litter
from properties.runs_help import complete, pipeline, stored, tiled, windows, write_tiff, write_zarr

import tileconv
from tileconv.audit.batch import (
    BatchStatus,
    ImageStatus,
    asked_of_folder,
    asked_of_spec,
    batch_status,
    batch_verification,
)
from tileconv.errors import PlanError
from tileconv.execute import batch
from tileconv.execute.batch_report import FAILED, KEPT, MADE
from tileconv.execute.local import AHEAD, TILES
from tileconv.execute.outcome import attempt
from tileconv.execute.run import opened
from tileconv.planning.memory import BASE_BYTES
from tileconv.planning.together import together_bytes
from tileconv.printing import end_with
from tileconv.progress import Progress
from tileconv.record.batch import BatchList, place_of
from tileconv.report.batch import batch_status_text
from tileconv.spec import spec_from_mapping

LONG = os.environ.get("TILECONV_PROFILE") == "long"
SIZES = {"z1": (40, 56), "z2": (64, 33), "z10": (17, 90)}
LIST = "stem.ome.zarr.tileconv-batch"


def words(folder, stages=TWO, **run):
    """Return the pipeline of a batch, with tiles of 16 pixels."""
    output = {"path": str(folder / "results" / "{stem}.ome.zarr")}
    return tiled(stages, 16, input_={"path": str(folder / "raw" / "*.tif")}, output=output, run=run)


@pytest.fixture
def images(tmp_path):
    """Three images below ``raw``, in natural order."""
    (tmp_path / "raw").mkdir()
    made = {name: strategies.pixels(size, "uint16", n) for n, (name, size) in enumerate(SIZES.items())}
    for name, image in made.items():
        write_tiff(tmp_path / "raw" / f"{name}.tif", image, tile=32)
    return made


def states(report):
    return [one.state for one in report]


def check_bytes(folder, images, stages=TWO):
    for name, image in images.items():
        made = stored(folder / "results" / f"{name}.ome.zarr")
        assert made.tobytes() == windows(tiled(stages, None), image)[0].tobytes()


@pytest.mark.parametrize("executor", ["threads", "processes", "scheduler"])
def test_the_bytes_of_single_runs(tmp_path, images, request, executor):
    """Two passes, whose second begins in one image while tiles of others are in flight."""
    where = request.getfixturevalue("cluster") if executor == "scheduler" else executor
    report = tileconv.run(words(tmp_path, executor=where))
    assert [one.input.rpartition("/")[2] for one in report] == ["z1.tif", "z2.tif", "z10.tif"]
    assert states(report) == [MADE] * 3
    assert (report.exit_code, report.failed) == (0, ())
    assert report.tiles == sum(one.report.tiles for one in report) == 2 * (3 * 4 + 4 * 3 + 2 * 6)
    check_bytes(tmp_path, images)
    assert litter(tmp_path) == []
    for name in images if executor == "threads" else ():
        one = {"input": {"path": str(tmp_path / "raw" / f"{name}.tif")}}
        alone = tileconv.run(words(tmp_path) | one | {"output": {"path": str(tmp_path / name), "chunks": 16}})
        assert digest(alone.output) == digest(tmp_path / "results" / f"{name}.ome.zarr")


def test_one_broken_file_stops_no_other(tmp_path, images):
    file = tmp_path / "raw" / "z2.tif"
    file.write_bytes(file.read_bytes()[:-500])
    bad = strategies.pixels((50, 50), "float32", 9)
    bad[20, 20] = np.nan
    write_tiff(tmp_path / "raw" / "nan.tif", bad, tile=32)
    report = tileconv.run(words(tmp_path) | {"missing": {"rule": "error"}})
    assert states(report) == [FAILED, MADE, FAILED, MADE]
    assert report.exit_code == 3
    assert [type(one.error).__name__ for one in report.failed] == ["TileError", "SourceError"]
    assert "of 32 tiles are done" in report.as_json()["images"][0]["error"]
    check_bytes(tmp_path, {name: images[name] for name in ("z1", "z10")})
    entries = BatchList(place_of(spec_from_mapping(words(tmp_path)))).entries
    assert [entry.state for entry in entries.values()] == ["failed", "done", "failed", "done"]
    assert "z2.tif" in list(entries.values())[2].error
    write_tiff(file, images["z2"], tile=32)
    again = tileconv.run(words(tmp_path) | {"missing": {"rule": "error"}}, keep_going=True)
    assert states(again) == [FAILED, KEPT, MADE, KEPT]
    assert again.failed[0].error.exit_code == 3  # all of its other tiles are made
    assert repr(again).startswith("<BatchReport: 4 images: 1 failed, 2 already there, 1 made, ")


def test_what_is_refused_before_a_tile(tmp_path, images):
    report = tileconv.run(words(tmp_path, [{"op": "box", "size": 3, "over": "zyx"}]))
    assert states(report) == [FAILED] * 3
    assert {one.error.exit_code for one in report.failed} == {PlanError.exit_code}
    assert report.exit_code == 2


def test_the_second_run_does_what_is_missing(tmp_path, images, monkeypatch):
    tileconv.run(words(tmp_path))
    (tmp_path / "raw" / "z1.tif").rename(tmp_path / "z1.tif")
    write_tiff(tmp_path / "raw" / "z3.tif", images["z1"], tile=32)
    planned = []
    monkeypatch.setattr(batch, "planned", lambda *given: planned.append(given[0].input.path.name) or plan(*given))
    report = tileconv.run(words(tmp_path))
    assert (planned, states(report)) == (["z3.tif"], [KEPT, MADE, KEPT])
    assert report.vanished == (str(tmp_path / "raw" / "z1.tif"),)
    assert complete(tmp_path / "results" / "z1.ome.zarr")

    chunk = next(file for file in (tmp_path / "results" / "z2.ome.zarr" / "0" / "c").rglob("*") if file.is_file())
    chunk.unlink()
    (tmp_path / "raw" / "z10.tif").touch()  # perhaps another file: looked at more closely
    report = tileconv.run(words(tmp_path))
    assert (planned[1:], states(report)) == (["z2.tif", "z10.tif"], [MADE, KEPT, KEPT])
    assert report[0].report.tiles == 1 + 9  # and those of the first pass around it

    (tmp_path / "results" / LIST).write_text("{torn")
    report = tileconv.run(words(tmp_path))
    assert (report.tiles, states(report), report.vanished) == (0, [KEPT] * 3, ())

    write_tiff(tmp_path / "raw" / "z2.tif", images["z2"][::-1], tile=32)
    report = tileconv.run(words(tmp_path, workers=1))
    assert states(report) == [FAILED, KEPT, KEPT]
    assert "input." in str(report.failed[0].error)
    report = tileconv.run(words(tmp_path) | {"stages": TWO[:1]})
    assert states(report) == [FAILED] * 3
    assert states(tileconv.run(words(tmp_path), overwrite=True)) == [MADE] * 3


plan = batch.planned


def test_masks_and_folders_are_looked_at_too(tmp_path, images, monkeypatch):
    """A second run knows a Zarr store and a mask of its own again without a plan, unless a file of them is another."""
    one_pass, masks = [{"op": "gaussian", "sigma": 1}], tmp_path / "masks"
    masks.mkdir()
    for number, (name, image) in enumerate(images.items()):
        (tmp_path / "raw" / f"{name}.tif").unlink()
        write_zarr(tmp_path / "raw" / f"{name}.zarr", image, (32, 32))
        np.save(masks / f"{name}.npy", np.arange(image.size).reshape(image.shape) % (5 + number) > 0)
    asked = words(tmp_path, one_pass) | {"missing": {"rule": "renormalize"}}
    asked["input"] = {"path": str(tmp_path / "raw" / "*"), "mask": {"path": str(masks / "{stem}.npy")}}
    assert states(tileconv.run(asked)) == [MADE] * 3
    for name in images:
        words_of_one = {"path": str(tmp_path / "raw" / f"{name}.zarr"), "mask": {"path": str(masks / f"{name}.npy")}}
        alone = tileconv.run(asked | {"input": words_of_one, "output": {"path": str(tmp_path / name), "chunks": 16}})
        assert digest(alone.output / "0") == digest(tmp_path / "results" / f"{name}.ome.zarr" / "0")
    planned = []
    monkeypatch.setattr(batch, "planned", lambda *given: planned.append(given[0].input.path.name) or plan(*given))
    assert (states(tileconv.run(asked)), planned) == ([KEPT] * 3, [])
    (tmp_path / "raw" / "z2.zarr" / "c" / "1" / "0").touch()
    (masks / "z10.npy").touch()
    assert (states(tileconv.run(asked)), planned) == ([KEPT] * 3, ["z2.zarr", "z10.zarr"])


def test_a_damaged_result_is_found_and_mended(tmp_path, images):
    tileconv.run(words(tmp_path))
    chunk = next(file for file in (tmp_path / "results" / "z2.ome.zarr" / "0" / "c").rglob("*") if file.is_file())
    chunk.write_bytes(bytes(8))
    asked = asked_of_folder(tmp_path / "results")
    assert batch_status(asked).exit_code == 0
    found = batch_verification(asked)
    assert (found.exit_code, [one.state for one in found.images]) == (4, ["whole", "different", "whole"])
    report = tileconv.run(words(tmp_path), repair=True)
    assert [one.report.tiles for one in report] == [0, 1 + 9, 0]
    assert batch_verification(asked).exit_code == 0
    shutil.rmtree(tmp_path / "results" / "z1.ome.zarr.tileconv")
    found = batch_verification(asked)
    assert (found.exit_code, found.images[0].state) == (1, "not compared")
    assert json.loads(json.dumps(found.as_json()))["counts"] == {"not compared": 1, "whole": 2}


def test_status_by_the_pipeline_and_by_the_folder(tmp_path, images):
    spec = spec_from_mapping(words(tmp_path))
    assert batch_status(asked_of_spec(spec)).counted == "3 outputs: 3 not begun"
    tileconv.run(words(tmp_path))
    write_tiff(tmp_path / "raw" / "z0.tif", images["z1"])
    (tmp_path / "raw" / "z10.tif").unlink()
    found = batch_status(asked_of_spec(spec))
    assert [one.state for one in found.images] == ["not begun", "complete", "complete"]
    assert (found.exit_code, found.vanished) == (3, (str(tmp_path / "raw" / "z10.tif"),))
    assert batch_status(asked_of_folder(tmp_path / "results")).counted == "3 outputs: 3 complete"
    assert asked_of_folder(tmp_path / "results" / "z1.ome.zarr") is None
    assert asked_of_folder(tmp_path / "raw") is None


def test_paths_in_tables_are_whole_where_there_is_no_terminal(capsys):
    path = f"/{'a' * 90}/o.ome.zarr"
    status = BatchStatus((ImageStatus("/i.tif", path, "not begun", "", None),), ())
    with pytest.raises(SystemExit):
        end_with(status, batch_status_text, as_json=False)
    assert path in capsys.readouterr().out


class Greedy:
    """An executor that takes all that the stream gives before it makes any, and notes how many runs are open then."""

    def __init__(self, monkeypatch):
        self.open, self.most, self.together = 0, 0, []
        monkeypatch.setattr(batch, "executor_of", lambda _: self)
        monkeypatch.setattr(batch, "opened", self.opened)
        monkeypatch.setattr(batch, "together_bytes", self.sum)

    def sum(self, plans):
        self.together.append(together_bytes(plans))
        return self.together[-1]

    def opened(self, *given):
        self.open += 1
        self.most = max(self.most, self.open)
        return opened(*given)

    def __call__(self, pairs, stop, heard):
        pairs, taken = iter(pairs), []
        while (pair := next(pairs, stop)) is not stop:
            if pair is not None:
                taken.append(pair)
                continue
            for job, tile in taken:
                heard(job, attempt(job, tile))
            self.open = 0
            taken.clear()


def test_as_many_images_are_open_as_memory_holds(tmp_path, images, monkeypatch):
    """A worker has one tile at a time, whatever images are open; what an image keeps beside counts for each."""
    one_pass = [{"op": "gaussian", "sigma": 1}]
    greedy = Greedy(monkeypatch)
    report = tileconv.run(words(tmp_path, one_pass))
    assert greedy.most == 3
    assert BASE_BYTES < report.predicted_bytes == max(greedy.together)
    alone = [
        tileconv.plan(words(tmp_path, one_pass) | {"input": {"path": str(file)}})
        for file in (tmp_path / "raw").iterdir()
    ]
    assert max(plan.peak_bytes for plan in alone) <= report.predicted_bytes < sum(plan.peak_bytes for plan in alone)
    shutil.rmtree(tmp_path / "results")
    greedy = Greedy(monkeypatch)
    tight = max(plan.peak_bytes for plan in alone)
    monkeypatch.setattr(batch, "together_bytes", lambda plans: tight * len(plans))
    report = tileconv.run(words(tmp_path, one_pass, memory=tight))
    assert (greedy.most, states(report)) == (1, [MADE] * 3)
    check_bytes(tmp_path, images, one_pass)


class Heard(Progress):
    """Progress of a batch that writes down what it hears."""

    def __init__(self):
        self.said = []

    def begin_batch(self, images):
        self.said.append(images)

    def join(self, tiles, pixels, kept=0):
        self.said.append((tiles, pixels, kept))

    def image(self, output, state, text=""):
        self.said.append((output.rpartition("/")[2], state))


def test_progress_hears_of_images(tmp_path, images):
    heard = Heard()
    tileconv.run(words(tmp_path, [{"op": "gaussian", "sigma": 1}], workers=1), progress=heard)
    assert heard.said[0] == 3
    assert sorted(told[1] for told in heard.said[1:] if len(told) == 3) == [17 * 90, 64 * 33, 40 * 56]
    assert sorted(told for told in heard.said[1:] if len(told) == 2) == [
        (f"{n}.ome.zarr", "done") for n in ("z1", "z10", "z2")
    ]


def command(folder, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "tileconv", "run", "p.yaml", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def lines(folder):
    """Return how many lines all journals have."""
    return sum(file.read_bytes().count(b"\n") for file in (folder / "results").glob("*/journal"))


def chunks(folder):
    """Return the chunk files of all outputs, and of what lies between passes, each with when it was written."""
    return {file: file.stat().st_mtime_ns for file in (folder / "results").glob("**/c/*/*") if file.name.isdigit()}


def unheard(folder, name, stored):
    """Return how many tiles of an image were *stored* and are in no journal, while it was at work."""
    results = folder / "results"
    if not (results / f"{name}.ome.zarr.pass0").exists():
        return 0
    ours = sum(file.relative_to(results).parts[0].startswith(f"{name}.ome.zarr") for file in stored)
    return max(0, ours - done(results, f"{name}.ome.zarr"))


def test_killed_at_random(tmp_path, images):
    """SIGKILL, and SIGINT at last: the same command makes the rest, and nothing twice but what was in flight."""
    kills = 20 if LONG else 1
    for n in range(9 if LONG else 1):
        write_tiff(tmp_path / "raw" / f"more{n}.tif", strategies.pixels((70 + n, 90), "uint16", 20 + n), tile=32)
        images[f"more{n}"] = strategies.pixels((70 + n, 90), "uint16", 20 + n)
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(words(tmp_path)))
    draw, total, before, flying = random.Random(14), 0, {}, []  # noqa: S311
    for number in range(kills + 1):
        with command(tmp_path) as process:
            until = lines(tmp_path) + draw.randrange(1, 12)
            while process.poll() is None and lines(tmp_path) < until:
                time.sleep(0.002)  # leave the processor to the run
            process.send_signal(signal.SIGKILL if number < kills else signal.SIGINT)
            _, err = process.communicate()
        assert "Traceback" not in err
        total += process.returncode == -signal.SIGKILL
        now = chunks(tmp_path)
        assert sum(before.get(file, when) != when for file, when in now.items()) <= sum(flying[-1:])
        before, flying = now, [*flying, sum(unheard(tmp_path, name, now) for name in images)]
    assert max(flying) <= AHEAD * 2 * TILES, flying
    assert total == kills
    if process.returncode:
        assert process.returncode == 130
        assert "images are done; the same command makes the others" in err
    with command(tmp_path, "--json") as process:
        told, err = process.communicate()
    assert process.returncode == 0, err
    assert set(json.loads(told)["counts"]) <= {MADE, KEPT}
    check_bytes(tmp_path, images)
    assert litter(tmp_path) == []
    for name in images:
        assert set(attempts(tmp_path / "results", f"{name}.ome.zarr").values()) == {1}


def test_a_pipeline_of_several_images_is_no_single_run(tmp_path, images):
    with pytest.raises(PlanError, match="names several images"):
        tileconv.plan(pipeline(TWO, input_={"path": str(tmp_path / "raw" / "*.tif")}, output={"path": "{stem}.zarr"}))
