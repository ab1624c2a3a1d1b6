"""The benchmark against the peers: every workload and peer runs once at a tiny size, and the results agree."""

import json
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import jobs, peers
from benchmarks.growth import Figure
from benchmarks.measure import ROOT, Run, difference, measure
from benchmarks.peers import Row, Sizes
from benchmarks.workloads import WORKLOADS

ABOUT = {
    "processor": "p",
    "cores": 2,
    "memory_bytes": 2**30,
    "system": "s",
    "python": "3",
    "load": 0.5,
    "versions": {"numpy": "2"},
    "side": 16384,
    "rounds": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("peers")


def report(folder, name):
    """Run one workload at its tiny size and return what was written."""
    written, table = folder / "report.json", folder / "report.md"
    asked = ["--folder", str(folder), "--tiny", "--only", name, "--json", str(written), "--table", str(table)]
    assert peers.main(asked) == 0, table.read_text()
    return json.loads(written.read_text()), table.read_text()


QUICK = ("chain", "arrays")
LONG = os.environ.get("TILECONV_PROFILE") == "long"
seldom = pytest.mark.skipif(not LONG, reason="ten seconds of whole processes: TILECONV_PROFILE=long")


@pytest.mark.parametrize("work", [w for w in WORKLOADS if LONG or w.name in QUICK], ids=lambda work: work.name)
def test_peers_agree_with_tileconv(work, folder):
    found, table = report(folder, work.name)
    assert [(row["workload"], row["peer"]) for row in found["rows"]] == [(work.name, p.name) for p in work.peers]
    present = [row for row in found["rows"] if not row["absent"]]
    for row in present:
        assert len(row["ratios"]) == 1
        assert row["ratios"][0] > 0
        assert 0 <= row["difference"] <= row["allowed"]
        for run in row["ours"] + row["theirs"]:
            assert min(run["seconds"], run["cpu_seconds"], run["peak_bytes"], run["output_bytes"]) > 0
    assert table.count(f"| {work.name} |") >= len(work.peers)
    absent = [row["absent"] for row in found["rows"] if row["absent"]]
    if absent:
        pytest.skip(", ".join(sorted(set(absent))))


@seldom
def test_growth_reports_pixels_workers_and_kernels(folder):
    found, _ = report(folder, "growth")
    whats = " ".join(figure["what"] for figure in found["figures"])
    assert all(words in whats for words in ("time per pixel", "1 worker / 2 workers", "kernel 63 × 63"))
    # at these sizes what pixels cost drowns in what a run costs
    assert all(value > 0 for f in found["figures"] if "each less" not in f["what"] for value in f["values"])


@seldom
def test_start_reports_help_check_and_compiling(folder):
    pytest.importorskip("skimage")
    found, _ = report(folder, "start")
    medians = {figure["what"]: figure["values"][0] for figure in found["figures"]}
    assert medians["tileconv --help"] > 0
    assert medians["compiling: first run - second run"] > 0  # the first run had nothing compiled


def test_every_pair_of_the_table_has_a_job_and_every_job_is_in_the_table():
    pairs = {(peer.name, work.name) for work in WORKLOADS for peer in work.peers}
    assert pairs == {pair for pair in jobs.JOBS if pair[0] != "tileconv"}
    assert {name for name, _ in jobs.JOBS} <= jobs.MODULES.keys()
    assert {work for name, work in jobs.JOBS if name == "tileconv"} == {w.name for w in WORKLOADS if not w.dtype}


def test_results_that_differ_fail_the_benchmark(folder, monkeypatch, capsys):
    sobel = WORKLOADS[-1]
    pytest.importorskip("skimage")
    monkeypatch.setattr(peers, "WORKLOADS", (replace(sobel, peers=(replace(sobel.peers[0], differs=-1.0),)),))
    assert peers.main(["--folder", str(folder), "--tiny", "--only", "sobel"]) == 1
    assert "they differ" in capsys.readouterr().out


def test_a_peer_that_is_not_installed_is_named_and_left_out(folder, monkeypatch, capsys):
    sobel = WORKLOADS[-1]
    monkeypatch.setitem(jobs.MODULES, "skimage", "no_such_module")
    rows = peers.compete(sobel, Sizes(512, tiny=True), folder, 1)
    assert [row.absent for row in rows] == ["no_such_module is not installed"]
    assert "| no_such_module is not installed |" in peers.table(rows, [], ABOUT)


def test_difference_sees_a_wrong_pixel_inside_and_ignores_the_border(tmp_path):
    image = np.random.default_rng(0).random((300, 300))
    np.save(tmp_path / "a.npy", image)
    image[:90] = image[:, -90:] = 7
    np.save(tmp_path / "border.npy", image)
    image[150, 150] += 0.5
    np.save(tmp_path / "inside.npy", image)
    assert difference(tmp_path / "a.npy", tmp_path / "border.npy") == 0
    assert difference(tmp_path / "a.npy", tmp_path / "inside.npy") > 0.4
    image[150, 150] = np.nan
    np.save(tmp_path / "nan.npy", image)
    assert difference(tmp_path / "a.npy", tmp_path / "nan.npy") == np.inf


def test_difference_turns_colours_of_tiff_and_zarr_the_same_way(tmp_path):
    import tifffile
    import zarr

    image = np.random.default_rng(0).integers(1, 255, (300, 310, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(64, 64), photometric="rgb")
    zarr.save_array(tmp_path / "b.zarr", np.moveaxis(image, -1, 0))
    assert difference(tmp_path / "b.zarr", tmp_path / "a.tif") == 0
    zarr.save_array(tmp_path / "c.zarr", np.moveaxis(image[..., ::-1], -1, 0))
    assert difference(tmp_path / "c.zarr", tmp_path / "a.tif") > 0.1


def test_measure_counts_the_memory_of_children_and_the_time_of_the_processor():
    inner = (
        "x = bytearray(300 * 2**20); import time; t = time.process_time()\nwhile time.process_time() < t + 0.6: pass"
    )
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}]); print('{{}}')"
    run = measure([sys.executable, "-c", child])
    assert run.peak_bytes > 300 * 2**20
    assert run.cpu_seconds > 0.6


def test_measure_says_why_a_process_failed():
    with pytest.raises(RuntimeError, match=r"ended with 3:\nno luck"):
        measure([sys.executable, "-c", "import sys; sys.stderr.write('no luck'); sys.exit(3)"])


def test_table_gives_median_range_goal_and_what_was_missed():
    ours = tuple(Run("tileconv", s, s, 2**20, 2**20) for s in (1.0, 2.0, 4.0))
    theirs = tuple(Run("libvips-float", s, s, 2**21, 2**20) for s in (5.0, 6.0, 8.0))
    row = Row("chain", "libvips-float", 4.0, (5.0, 3.0, 2.0), ours, theirs, 1e-6, 1e-5)
    rows = peers.table([row, replace(row, goal=3.0)], [Figure("w", "f", "s", (1.0, 2.0), "< 1 s", high=1)], ABOUT)
    ratio = "2 s (2 s cpu), 1 MiB, 1 MiB out | libvips-float 6 s (6 s cpu), 2 MiB, 1 MiB out | 3.00 × (2.00 to 5.00)"
    assert f"| chain | {ratio} | 4 × | **no** | 1e-06 (1e-05) |" in rows
    assert f"| chain | {ratio} | 3 × | yes | 1e-06 (1e-05) |" in rows
    assert "| w | f | 1.50 s (1.00 to 2.00) | < 1 s | **no** |" in rows


def test_chain_is_held_against_copy_round_by_round():
    def row(name, *seconds):
        return Row(name, "p", 1.0, (), tuple(Run("tileconv", s, s, 1, 1) for s in seconds), ())

    (figure,) = peers.against_copy([row("float copy", 1.0, 2.0), row("chain", 1.5, 2.0)])
    assert figure.values == (1.5, 1.0)
    assert figure.met
    assert peers.against_copy([row("chain", 1.5)]) == []


def test_an_older_tileconv_runs_the_same_work_and_its_memory_is_compared(folder, monkeypatch, capsys):
    chain = next(replace(work, peers=()) for work in WORKLOADS if work.name == "chain")
    monkeypatch.setattr(peers, "WORKLOADS", (chain,))
    asked = ["--folder", str(folder), "--tiny", "--only", "chain", "--before", str(ROOT)]
    assert peers.main(asked) == 0
    table = capsys.readouterr().out
    assert "| before " in table
    assert "| 1.33 × |" in table
    assert "| chain | memory over that of before |" in table
    assert "| ≤ 0.78 |" in table


def test_unknown_workloads_are_refused_with_those_that_are(capsys):
    with pytest.raises(SystemExit):
        peers.main(["--folder", "x", "--only", "chian"])
    assert "chian: the workloads are copy, float copy" in capsys.readouterr().err
