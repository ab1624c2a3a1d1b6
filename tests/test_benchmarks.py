"""The benchmarks at tiny sizes: they run, print what they promise, and fail where a promise is broken."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

FOLDER = Path(__file__).parents[1] / "benchmarks"
LONG = os.environ.get("TILECONV_PROFILE") == "long"
seldom = pytest.mark.skipif(not LONG, reason="three processes of seconds each: TILECONV_PROFILE=long")


def load(name):
    """Import a benchmark by its path: the folder is no package."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:  # dataclasses look their module up
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


def test_engines_prints_measured_beside_modelled(capsys):
    assert load("engines").main(["--sides", "48", "--repeats", "1", "--kernels", "2", "--far", "1e9"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    engines = {row[row.index("48") + 1] for row in rows if "48" in row and row[0] != "auto"}
    assert {"direct", "separable", "fft"} <= engines
    assert sum(row[0].endswith(":") and "median" in row for row in rows) == 3
    assert rows[-1][:3] == ["auto", "is", "within"]
    assert rows[-1][-2:] == ["6", "cases"]


def test_engines_names_the_cases_in_which_auto_is_far_from_the_best():
    engines = load("engines")
    cases = [("a", 1.0, 1.1), ("b", 1.0, 1.2), ("c", 3.0, 1.0)]
    rows = [engines.Row(k, "uint8", 9, "direct", False, best, 1.0) for k, best, _ in cases]
    rows += [engines.Row(k, "uint8", 9, "fft", True, auto, 1.0) for k, _, auto in cases]
    assert list(engines.verdict(rows)) == [
        "auto took fft, direct is faster by 20%: b, uint8, tile 9",
        "auto is within 15% of the best engine in 67% of 3 cases",
    ]


def test_lesson_measures_both_engines_and_leaves_out_what_takes_too_long(tmp_path, capsys):
    lesson = load("lesson")
    times = tmp_path / "t.json"
    for more, lengths in (([], ["100", "316", "1000"]), (["--limit", "1e-9"], ["100"])):
        assert lesson.main(["--most", "1000", "--rounds", "1", "--json", str(times), *more]) == 0
        assert {name: [*taken] for name, taken in json.loads(times.read_text()).items()} == {
            "direct": lengths,
            "fft": lengths,
        }
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_lesson_draws_its_curves(tmp_path):
    pytest.importorskip("matplotlib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load("lesson").draw({"direct": {100: 1e-3, 1000: 1e-1}, "fft": {100: 1e-3, 1000: 1e-2}}, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_memory_prints_the_ratio_of_every_run(tmp_path, capsys, monkeypatch):
    memory = load("memory")
    monkeypatch.setattr(memory, "PIPELINES", {"gaussian": memory.PIPELINES["gaussian"]})
    done = memory.main(["--folder", str(tmp_path), "--size", "256", "--dtypes", "uint8", "--tiles", "1024"])
    printed = capsys.readouterr().out
    assert done == 0, printed
    assert len(re.findall(r"^\S.* uint8 +1024 +\d+ +\d+ +[1-9]\.\d\d$", printed, re.M)) == 1
    assert re.search(r"predicted / measured: [1-9]\.\d\d to [1-9]\.\d\d", printed)


def test_memory_fails_where_a_run_took_more_than_predicted(tmp_path, monkeypatch):
    memory = load("memory")
    rows = [memory.Row("gaussian", "uint8", 1024, measured=100, predicted=99)]
    monkeypatch.setattr(memory, "measure", lambda *_: rows)
    assert memory.main(["--folder", str(tmp_path)]) == 1


def test_peak_memory_is_the_process_own_and_not_its_parents():
    """A benchmark, or a test, may be larger than the run that it starts."""
    ask = "from tileconv.execute.report import peak_bytes; print(peak_bytes())"
    start = (
        "import subprocess, sys; held = b'1' * 2**30; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    )
    done = subprocess.run([sys.executable, "-c", start, ask], capture_output=True, text=True, check=True)
    assert 2**25 < int(done.stdout) < 2**29


def test_gigapixel_agrees_and_sees_a_wrong_pixel(tmp_path, capsys):
    gigapixel = load("gigapixel")
    asked = ["--folder", str(tmp_path), "--size", "300", "--spots", "3"]
    assert gigapixel.main(asked) == 0
    printed = capsys.readouterr().out
    assert printed.count("largest difference") == 3
    assert re.search(r"peak memory \d+ MiB measured, \d+ MiB predicted", printed)
    result = zarr.open_group(tmp_path / "edges.ome.zarr", mode="r+")["0"]
    result[...] = np.asarray(result[...]) * np.float32(1.001)
    spots = gigapixel.compare(tmp_path / "big.tif", tmp_path / "edges.ome.zarr", 3, 0)
    assert all(spot.difference > gigapixel.AGREES for spot in spots)


def test_flat_runs_an_image_that_nothing_holds(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(FOLDER.parent)
    load("flat").main(["--folder", str(tmp_path), "--sides", "300"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 3
    assert rows[-1][1] == "1"


def test_million_runs_tiles_of_which_nothing_is_kept(tmp_path):
    made = load("million").one(tmp_path, 30, 1, "threads")
    assert made["tiles"] == 30
    assert made["journal"] > 100
    assert not list(tmp_path.rglob("c/*/*"))


@seldom
def test_cluster_prints_what_a_tile_costs(tmp_path, capsys):
    cluster = load("cluster")
    assert cluster.main(["--folder", str(tmp_path), "--tiles", "9", "--bytes", str(2**30)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^scheduler: -?[\d,]+ bytes per tile stay, of 9 tiles of 16 x 16 pixels$", printed, re.M)
    assert [line.split(":")[0] for line in printed.splitlines()] == ["scheduler", "cluster", "threads"]


def test_learn_finds_the_kernel_as_nearly_as_the_noise_lets_it():
    made = load("learn").one(300, 0.1, "1GiB", 1)
    assert 0.5 < made["off"] / (0.1 * 9 / 300) < 2
    assert made["explained"] == pytest.approx(1 / 1.01, abs=1e-3)
    assert made["passes"] == 1


@seldom
def test_export_compares_a_file_with_a_store(tmp_path, capsys):
    load("export").main(["--folder", str(tmp_path), "--shape", "256", "--rounds", "1"])
    assert re.search(r"ratio \d\.\d\d \(goal 1\.3\); peak memory", capsys.readouterr().out)
    assert not list(tmp_path.glob("*.zarr*"))


@seldom
def test_outputs_compares_one_run_with_two(tmp_path, capsys):
    load("outputs").main(["--folder", str(tmp_path), "--shape", "256", "--rounds", "1"])
    assert re.search(r"processor time \d\.\d\d \(.*goal 0\.75", capsys.readouterr().out)
    assert not list(tmp_path.glob("*.zarr*"))


@pytest.mark.skipif(os.environ.get("TILECONV_PROFILE") != "long", reason="five processes: TILECONV_PROFILE=long")
def test_batch_compares_with_a_loop(tmp_path, capsys):
    asked = ["--folder", str(tmp_path), "--images", "2", "--least", "40", "--most", "90", "--plans", "3"]
    load("batch").main(asked)
    printed = capsys.readouterr().out
    assert re.search(r"loop .* x\nagain .*\nbytes  alike\nmemory .* MiB, predicted \d+, run.memory auto\n", printed)
    assert re.search(r"plan +\d+ MiB for 3 images\n$", printed)


@seldom
def test_roofline_prints_every_step_and_the_floor(tmp_path, capsys):
    from benchmarks import roofline

    assert roofline.main(["--folder", str(tmp_path), "--side", "512", "--rounds", "1"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    steps = {name.strip("| "): tuple(map(float, (one, two.strip(" |")))) for name, one, two in rows[2:]}
    assert {*roofline.LEAST, "read", "all, as a run does"} < set(steps)
    assert list(steps)[-1] == ", ".join(roofline.LEAST)
    assert steps[list(steps)[-1]] == pytest.approx([sum(steps[s][k] for s in roofline.LEAST) for k in (0, 1)], abs=0.03)
