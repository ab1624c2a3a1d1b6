"""The command line: exit codes, what goes to stdout and to stderr, JSON, overrides, and no traceback for bad input."""

import ast
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import strategies
import tifffile
from PIL import Image
from properties.runs_help import complete, stored, write_tiff

import tileconv
from tileconv.report.terminal import TerminalProgress

SPEC = """\
version: 1
input: {path: a.tif}
stages:
  - {op: gaussian, sigma: 1, id: blur}
  - {op: sobel}
output: {path: o.zarr}
run: {memory: 2GiB, workers: 2}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an image and a spec, which is the current one."""
    write_tiff(tmp_path / "a.tif", strategies.pixels((70, 90), "uint8", 0), tile=32)
    (tmp_path / "p.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_run(folder, call):
    code, out, err = call("run", "p.yaml")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == str(folder / "o.zarr")
    assert "70 x 90 float32" in out
    assert complete(folder / "o.zarr")


def test_run_json(folder, call):
    code, out, err = call("run", "p.yaml", "--json")
    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["output"] == str(folder / "o.zarr")
    assert report["shape"] == [70, 90]
    assert report["peak_bytes"] > 0


def test_overwrite(folder, call):
    call("run", "p.yaml")
    code, out, err = call("run", "p.yaml", "--set", "stages.blur.sigma=3")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {folder / 'o.zarr'}: sigma of stage blur was 1")
    assert "--overwrite" in err
    code, out, err = call("run", "p.yaml")
    assert (code, err) == (0, "")
    assert "already complete" in out
    assert call("run", "p.yaml", "--overwrite")[0] == 0


def test_set_changes_a_stage_by_number_and_by_name(folder, call):
    plain = json.loads(call("plan", "p.yaml", "--json")[1])["fingerprint"]
    found = [json.loads(call("plan", "p.yaml", "--json", "--set", f"stages.{key}.sigma=3")[1]) for key in ("0", "blur")]
    assert found[0]["fingerprint"] == found[1]["fingerprint"] != plain
    assert found[0]["passes"][0]["stages"][0]["halo_px"]["x"] == [12, 12]


def test_input_and_output_are_replaced(folder, call):
    (folder / "other").mkdir()
    write_tiff(folder / "other" / "b.tif", strategies.pixels((20, 30), "uint8", 1), tile=16)
    code, out, _ = call("run", "p.yaml", "-i", "other/b.tif", "-o", "{parent}/{stem}-edges.zarr", "--json")
    assert code == 0
    assert json.loads(out)["output"] == str(folder / "other" / "b-edges.zarr")
    assert stored(folder / "other" / "b-edges.zarr").shape == (20, 30)


def test_paths_are_relative_to_the_spec(folder, call, monkeypatch):
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert call("run", "../p.yaml")[0] == 0
    assert complete(folder / "o.zarr")
    assert call("run", "../p.yaml", "-o", "here.zarr")[0] == 0
    assert complete(folder / "elsewhere" / "here.zarr")


def test_check(folder, call):
    told = f"""p.yaml: fine, 2 stages
input    {folder / "a.tif"}: y=70 x=90, uint8
output   {folder / "o.zarr"}: free
"""
    assert call("check", "p.yaml") == (0, told, "")
    (folder / "o.zarr").mkdir()
    assert "o.zarr: exists: it is resumed if it is of this pipeline" in call("check", "p.yaml")[1]
    code, out, err = call("check", "p.yaml", "-i", "gone.tif")
    assert (code, out) == (1, "p.yaml: fine, 2 stages\n")
    assert "gone.tif: expected a TIFF" in err
    code, out, err = call("check", "p.yaml", "-o", "p.yaml/o.zarr")
    assert (code, "is no folder that can be written to" in err) == (1, True)
    (folder / "bad.yaml").write_text(SPEC.replace("sigma: 1", "sigmo: 1").replace("sobel", "sobal"))
    code, out, err = call("check", "bad.yaml")
    assert (code, out) == (2, "")
    assert "bad.yaml:4:" in err
    assert "bad.yaml:5:" in err
    assert "did you mean 'sigma'" in err
    assert "^" in err


def test_plan(folder, call):
    code, out, err = call("plan", "p.yaml")
    assert (code, err) == (0, "")
    assert str(folder / "a.tif") in out
    for word in ("blur", "sobel", "MiB", "tile"):
        assert word in out
    found = json.loads(call("plan", "p.yaml", "--json")[1])
    assert found == json.loads(json.dumps(tileconv.plan("p.yaml").as_json()))
    assert not (folder / "o.zarr").exists()


def test_ops(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    code, out, err = call("ops")
    assert (code, err) == (0, "")
    listed = json.loads(call("ops", "--json")[1])
    assert {"gaussian", "unsharp", "convolve"} <= {record["name"] for record in listed}
    assert all(record["name"] in out for record in listed)
    words = " ".join(out.split())
    assert "`" not in out
    assert "[low, high]" in words
    assert "image + amount * (image - gaussian(image))" in words
    monkeypatch.setenv("COLUMNS", "80")
    assert "…" not in call("ops")[1]


def test_one_operator(call):
    code, out, err = call("ops", "unsharp")
    assert (code, err) == (0, "")
    assert out.startswith(
        "Unsharp mask: image + amount * (image - gaussian(image)) where the difference reaches threshold."
    )
    for line in (
        "{op: unsharp, sigma: ...}",
        "tileconv.unsharp(image, sigma=...)",
        "threshold: a number of at least 0; by default 0.0",
    ):
        assert line in out
    assert ">>> tileconv.unsharp" in out
    assert "Raises" not in call("ops", "gaussian")[1]
    assert "{op: bank, kernels: ...}" in call("ops", "bank")[1]
    assert "tileconv.absolute(image)" in call("ops", "abs")[1]
    assert json.loads(call("ops", "box", "--json")[1])["name"] == "box"
    code, out, err = call("ops", "gausian")
    assert (code, out) == (2, "")
    assert "did you mean 'gaussian'?" in err


def test_version(call):
    assert call("--version") == (0, f"tileconv {tileconv.__version__}\n", "")
    assert tileconv.__version__ == version("tileconv")


def test_help_is_not_cut(call):
    """Every command's line is the first of its docstring, whole, however narrow the terminal is."""
    code, out, err = call("--help")
    assert (code, err) == (0, "")
    assert "..." not in out.replace("[OPTIONS] COMMAND [ARGS]...", "")
    words = " ".join(out.split())
    assert "and print where the result lies." in words
    assert "--install-completion" in words


def test_schema(call):
    code, out, err = call("schema")
    assert (code, err) == (0, "")
    assert json.loads(out)["$schema"]


@pytest.mark.parametrize(
    "words",
    [
        ("synthetic", "--shape", "60,100", "-o", "big.tif"),
        ("--size", "100x60", "big.tif"),
        ("synthetic", "big.tif", "--size", "100x60"),
        ("big.tif", "--shape", "60,100"),
    ],
    ids=" ".join,
)
def test_sample_synthetic(folder, call, words):
    code, out, err = call("sample", *words, "--seed", "3")
    assert (code, out) == (0, "big.tif\n"), err
    image = tifffile.imread("big.tif")
    assert (image.shape, image.dtype) == ((60, 100), np.uint16)


def test_samples(folder, call):
    code, out, err = call("sample")
    assert (code, err) == (0, "")
    assert {"hubble", "synthetic"} <= set(out.split())
    assert call("sample", "hubble", "-o", "x.tif")[:2] == (0, "x.tif\n")
    assert tifffile.imread("x.tif").ndim == 3
    assert call("sample", "synthetic", "--shape", "64,64", "--dtype", "uint8", "-o", "x.zarr")[0] == 0
    assert stored(folder / "x.zarr").dtype == np.uint8
    code, out, err = call("sample", "hubble", "-o", "x.tif")
    assert (code, out) == (1, "")
    assert "already exists" in err
    assert call("sample", "hubble", "-o", "x.tif", "--overwrite")[0] == 0


def test_picture(folder, call):
    call("run", "p.yaml")
    assert call("picture", "o.zarr", "-o", "o.png", "--max-px", "40")[:2] == (0, "o.png\n")
    with Image.open("o.png") as png:
        assert max(png.size) <= 40
    assert call("picture", "a.tif", "-o", "a.png")[0] == 0


def test_picture_of_what_a_file_leaves_open(folder, call):
    """Which axes, which series, which level: what a pipeline file can say of its input."""
    rgb = strategies.pixels((30, 40, 3), "uint8", 0)
    np.save("rgb.npy", rgb)
    assert "input.axes: yxc" in call("picture", "rgb.npy", "-o", "a.png")[2]
    assert call("picture", "rgb.npy", "-o", "a.png", "--axes", "yxc")[:2] == (0, "a.png\n")
    with tifffile.TiffWriter("two.tif") as tif:
        tif.write(np.zeros((20, 30), np.uint8))
        tif.write(rgb[..., 0], subifds=1)
        tif.write(rgb[::2, ::2, 0], subfiletype=1)
    for words, size in (((), (30, 20)), (("--series", "1"), (40, 30)), (("--series", "1", "--level", "1"), (20, 15))):
        assert call("picture", "two.tif", "-o", "a.png", *words)[0] == 0
        with Image.open("a.png") as png:
            assert png.size == size
    assert "run.max_chunk" in call("picture", "a.png", "-o", "b.png", "--max-chunk", "100")[2]


BAD = [
    (("run", "absent.yaml"), 2, "there is no such file"),
    (("run", "p.yaml", "-i", "absent.tif"), 1, "absent.tif"),
    (("run", "p.yaml", "-i", "p.yaml"), 1, "p.yaml"),
    (("plan", "p.yaml", "--set", "stages.9.sigma=3"), 2, "stages.9"),
    (("plan", "p.yaml", "--set", "stages.blur.sigma"), 2, "stages.blur.sigma"),
    (("plan", "p.yaml", "--set", "run.memory=10MiB"), 2, "may take 10 MiB"),
    (("plan", "p.yaml", "--set", "stages.0.over=zyx"), 2, "the stages act on"),
    (("plan", "p.yaml", "--set", "run.executor=magic"), 2, "run.executor"),
    (("run", "p.yaml", "-o", "a.tif"), 1, "the output is the input"),
    (("run", "p.yaml", "-o", "/proc/no/o.zarr"), 1, "cannot write"),
    (("run", "p.yaml", "-o", "a.zarr", "-o", "b.zarr"), 2, "--output is given 2 times"),
    (("run", "p.yaml", "-i", "a.tif", "-i", "b.tif"), 2, "names one place for several images"),
    (("check", "p.yaml", "a.tif", "b.tif"), 2, "names one place for several images"),
    (("run", "p.yaml", "-o", "s3://bucket//o.zarr"), 2, "no part of a URL is empty"),
    (("run", "s3://bucket/p.yaml"), 2, "read from this machine alone"),
    (("status", "https://host/o.zarr?token=HUSH"), 2, "may hold a credential"),
    (("rerun", "o.zarr", "-o", "gs://bucket/../o.zarr"), 2, "no part of a URL is empty"),
    (("sample", "synthetic", "-o", "s3://bucket/x.tif", "--size", "64x64"), 2, "read from this machine alone"),
    (("picture", "a.tif", "-o", r"C:\x.png"), 2, "write /mnt/c/x.png"),
    (("run",), 2, "Missing argument"),
    (("run", "p.yaml", "--fast"), 2, "No such option"),
    (("nonsense",), 2, "No such command"),
    (("sample", "hubble"), 2, "expected the file to write"),
    (("sample", "x.tif", "--size", "10"), 2, "expected two numbers"),
    (("sample", "x.tif", "--size", "10x10", "--shape", "10,10"), 2, "not both"),
    (("sample", "x.tif", "--size", "0x10"), 2, "expected two numbers"),
    (("sample", "hubbl", "-o", "x.tif"), 2, "hubble"),
    (("sample", "nope"), 2, "hubble"),
    (("sample", "synthetic", "-o", "x.jpg", "--size", "64x64"), 2, "x.jpg"),
    (("sample", "synthetic", "-o", "x.tif", "--dtype", "complex64"), 2, "complex64"),
    (("sample", "synthetic", "-o", "x.tif", "--dtype", "nonsense"), 2, "nonsense"),
    (("picture", "absent.tif", "-o", "x.png"), 1, "absent.tif"),
    (("picture", "a.tif", "-o", "x.png", "--max-px", "0"), 2, "max-px"),
    (("picture", "a.tif", "-o", "x.png", "--max-chunk", "2Gi"), 2, "a size such as 2GiB"),
    (("picture", "a.tif", "-o", "x.png", "--axes", "yxq"), 1, "'yxq'"),
]


@pytest.mark.parametrize(("words", "expected", "message"), BAD, ids=[" ".join(case[0]) for case in BAD])
def test_bad_input_ends_in_a_message(folder, call, words, expected, message):
    before = {path.name for path in folder.iterdir()}
    code, out, err = call(*words)
    assert out == ""
    assert message in err
    assert code == expected
    assert {path.name for path in folder.iterdir()} == before


def test_exit_codes_are_those_of_the_documentation(folder, call, monkeypatch):
    """Every code that docs/spec.md names is met here, and no other."""
    seen = collections.defaultdict(set)

    def do(*words):
        seen[words[0]].add(call(*words)[0])

    rows = (Path(__file__).parents[1] / "docs" / "spec.md").read_text("utf-8").splitlines()
    do("ops", "gausian")
    do("schema")
    do("sample", "synthetic", "--size", "64x64", "-o", "a.tif")
    do("sample", "nope")
    do("calibrate", "-o", "a.tif/costs.json")
    do("check", "p.yaml", "--set", "stages.0.sigma=0")
    do("check", "p.yaml", "-i", "absent.tif")
    do("plan", "p.yaml")
    do("plan", "p.yaml", "-i", "absent.tif")
    do("plan", "p.yaml", "--set", "run.memory=10MiB")
    do("status", "o.zarr")
    do("verify", "o.zarr")
    do("run", "p.yaml", "-i", "absent.tif")
    do("run", "p.yaml")
    do("run", "p.yaml", "--set", "stages.0.sigma=2")
    tifffile.imwrite("b.tif", strategies.pixels((70, 90), "uint8", 0), tile=(16, 16), compression="zlib")
    for command in ("status", "verify", "rerun"):
        do(command, "o.zarr")
    for image, file in (("o.zarr", "o.ome.tif"), ("absent.zarr", "b.ome.tif"), ("o.zarr", "o.jpg")):
        do("export", image, file)
    for words in (
        ("absent.zarr", "--in-place"),
        ("o.zarr", "--in-place", "-o", "p.ome.zarr"),
        ("o.zarr", "-o", "p.zarr"),
    ):
        do("pyramid", *words)
    do("rerun", "absent.zarr")
    do("rerun", "o.zarr", "-i", "b.tif")
    do("picture", "o.zarr", "-o", "a.png")
    do("picture", "absent.tif", "-o", "a.png")
    with tifffile.TiffFile("b.tif") as file:
        offset = file.pages[0].dataoffsets[3]
    damaged = bytearray(Path("b.tif").read_bytes())
    damaged[offset : offset + 8] = bytes(8)
    Path("b.tif").write_bytes(damaged)
    small = ("--set", "run.tile=16", "--set", "output.chunks=16")
    do("run", "p.yaml", "-i", "b.tif", "-o", "b.zarr", "--keep-going", *small)
    do("status", "b.zarr")
    chunk = folder / "o.zarr" / "0" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    do("verify", "o.zarr")
    shutil.rmtree("o.zarr")
    shutil.copytree("o.rerun.ome.zarr", "o.zarr")
    shutil.copy(folder / "o.zarr" / "0" / "zarr.json", folder / "o.zarr" / "zarr.json")
    do("status", "o.zarr")
    monkeypatch.setattr(TerminalProgress, "begin", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    do("run", "p.yaml", "-o", "c.zarr", *small)
    (of_all,) = (row for row in rows if row.startswith("A command ends with exit code "))
    assert "130 when it is interrupted" in of_all
    seen["run"].remove(130)
    for command, codes in seen.items():
        row = next(row for row in rows if re.match(rf"\| `tileconv {command}\b", row))
        assert codes | {0} == {0, *map(int, re.findall(r"\b\d\b", row.split("|")[3]))}, command
    assert len(seen) == sum(row.startswith("| `tileconv ") for row in rows)


def test_the_module_is_a_command(folder):
    """A process of its own: what the shell sees."""
    command = [sys.executable, "-m", "tileconv"]
    done = subprocess.run([*command, "check", "p.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:23], done.stderr) == (0, "p.yaml: fine, 2 stages\n", "")
    done = subprocess.run([*command, "run", "p.yaml", "-i", "gone.tif"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")


def test_a_run_imports_what_it_needs(folder):
    """A run over a TIFF on threads does without what others need, and without the compiler, which it leaves usable."""
    text = """
import sys
from tileconv import cli
OTHERS = "dask zarr scipy numba pydantic rich PIL email tileconv.api tileconv.engines.fft".split()
sys.argv = ["tileconv", "run", "p.yaml", "--overwrite"]
try:
    cli.main()
except SystemExit:
    print([m for m in (*OTHERS, "tileconv.operations.hypot", "tileconv.execute.cluster") if m in sys.modules])
    places = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
    print({name.partition(".")[0] for name, place in places.items() if "site-packages" in place and name[0] != "_"})
import numba, numpy
print(numba.njit(lambda a: (a @ a).sum() + len("ab"))(numpy.eye(3)))
"""
    for _ in range(2):  # the first may have to compile
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    *_, others, libraries, usable = done.stdout.splitlines()
    assert (others, usable) == ("[]", "5.0")
    needed = {"click", "google_crc32c", "imagecodecs", "numba", "numpy", "tifffile", "yaml"}  # of Numba modules of C
    assert ast.literal_eval(libraries) - {"tileconv"} <= needed
