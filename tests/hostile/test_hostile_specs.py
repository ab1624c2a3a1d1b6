"""Pipeline files, kernels and output paths that are hostile; ``tests/errors`` and ``tests/spec`` hold more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import tileconv
from tileconv.errors import KernelError, SourceError, SpecError, TileconvError
from tileconv.kernels import correlate
from tileconv.spec import load_spec

GOOD = "version: 1\ninput: {path: a.tif}\nstages:\n  - {op: gaussian, sigma: 2}\noutput: {path: b.zarr}\n"
LAUGHS = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)
STAGE = b"  - {op: gaussian, sigma: two}\n"
SPECS = {
    "laughs": LAUGHS.encode(),
    "an alias of itself": b"a: &a [*a]",
    "10 MB of text": b"x-note: " + b"y" * 10_000_000,
    "10 MB of nothing": b"\n" * 10_000_000,
    "NUL": GOOD.replace("a.tif", "a\0b").encode(),
    "escaped NUL": GOOD.replace("a.tif", '"a\\0b"').encode(),
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-32": GOOD.encode("utf-32"),
    "half a surrogate pair in UTF-8": GOOD.replace("a.tif", "?").encode().replace(b"?", b"\xed\xa0\x80"),
    "Latin-1": GOOD.replace("a.tif", "ä.tif").encode("latin-1"),
    "1e999": GOOD.replace("sigma: 2", "sigma: 1e999").encode(),
    "1e308": GOOD.replace("sigma: 2", "sigma: 1e308").encode(),
    "10^5 digits": GOOD.replace("sigma: 2", "sigma: " + "9" * 100_000).encode(),
    "exponent of 10^5 digits": GOOD.replace("sigma: 2", "sigma: 1e" + "9" * 100_000).encode(),
    "decimals 10^5": GOOD.replace("sigma: 2", "sigma: -0." + "0" * 100_000 + "1").encode(),
    "version of 10^5 digits": GOOD.replace("version: 1", "version: 1" + "0" * 100_000).encode(),
    "a key of 10^5 letters": GOOD.replace("sigma", "s" * 100_000).encode(),
    "2000 unknown keys": GOOD.encode() + b"".join(b"k%d: 1\n" % i for i in range(2000)),
    "2000 stages": GOOD.replace("sigma: 2", "sigma: two").encode().replace(STAGE, STAGE * 2000),
    "tag of Python": b"!!python/object/apply:os.system ['exit 1']",
    "tag of Python inside": GOOD.replace("sigma: 2", "sigma: !!python/name:os.system").encode(),
    "tag of a set": GOOD.replace("sigma: 2", "sigma: !!set {a, b}").encode(),
    "tag of bytes": GOOD.replace("a.tif", "!!binary aGk=").encode(),
    "document of YAML 9": b"%YAML 9.9\n---\n" + GOOD.replace("version: 1", "version: 2").encode(),
    "terminal commands": GOOD.replace("sigma", '"\\e]0;x\\a"').encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_pipeline_files(tmp_path, name):
    (tmp_path / "p.yaml").write_bytes(SPECS[name])
    tracemalloc.start()
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "p.yaml", environ={})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20
    assert len(caught.value.problems) <= 101
    for problem in caught.value.problems:
        assert len(problem.message) < 500
        assert (problem.key + problem.message + problem.hint).isprintable()


class Explodes:
    """Would make a folder when unpickled."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def npy(shape, descr="<f8", data=b"", order=False):
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text + data


ONES = np.ones((3, 3)).tobytes()
KERNELS = {
    "shape 10^12.npy": npy((10**12,)),
    "shape 10^12 squared.npy": npy((10**12, 10**12)),
    "shape of 2^64.npy": npy((2**32, 2**32)),
    "shape of 40 axes.npy": npy((1,) * 40, data=bytes(8)),
    "no weights.npy": npy((0, 3)),
    "truncated.npy": npy((3, 3), data=ONES[:-1]),
    "infinite.npy": npy((1, 2), data=np.array([1, np.inf]).tobytes()),
    "structured.npy": b"\x93NUMPY" + npy((1, 1), data=bytes(8))[6:].replace(b"'<f8'", b"[('a', '<f8')]"),
    "texts.npy": npy((1, 1), "<U2", bytes(8)),
    "dates.npy": npy((1, 1), "<M8[s]", bytes(8)),
    "version 9.npy": npy((3, 3), data=ONES).replace(b"\x01\0", b"\x09\0", 1),
    "header of 4 GiB.npy": b"\x93NUMPY\x02\0\xff\xff\xff\xff{",
    "header of 1 MiB.npy": b"\x93NUMPY\x02\0\0\0\x10\0" + b"(" * 2**20,
    "header that calls.npy": npy((3, 3), data=ONES).replace(b"False", b"exit("),
    "1e999.csv": b"1,1e999\n",
    "underscores and words.csv": b"1,0x10\n",
    "NUL.csv": b"1,\0\n",
    "2 million numbers.csv": b"1," * 2_000_000 + b"1",
    "2 million lines.csv": b"1\n" * 2_000_000,
    "10^5 digits.csv": b"9" * 100_000,
    "one word of 1 MiB.csv": b"x" * 2**20,
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(KERNELS[name])
    tracemalloc.start()
    with pytest.raises(KernelError) as caught:
        correlate(str(tmp_path / name))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20
    assert name in str(caught.value)
    assert len(str(caught.value)) < 2000
    assert not (tmp_path / "exploded").exists()


def test_kernel_paths_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "zero.npy").symlink_to("/dev/zero")
    (tmp_path / "circle.csv").symlink_to(tmp_path / "circle.csv")
    for name in ("pipe.npy", "zero.npy", "circle.csv", "a" * 300 + ".npy", "n\0ul.npy", "pipe.npy/x.npy"):
        with pytest.raises(KernelError):
            correlate(str(tmp_path / name))


def test_pickled_kernel_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("k.npy", np.array([[Explodes()]], object), allow_pickle=True)
    with pytest.raises(KernelError):
        correlate("k.npy")
    assert not (tmp_path / "exploded").exists()


def test_kernel_in_fortran_order_is_read_right(tmp_path):
    weights = np.arange(1.0, 7).reshape(2, 3)
    np.save(tmp_path / "k.npy", np.asfortranarray(weights))
    np.testing.assert_array_equal(correlate(str(tmp_path / "k.npy")).kernel.weights, weights)


def outputs(folder):
    """Yield output paths that must not be written, beside the input ``a.npy`` and the store ``store``."""
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe" / "p.zarr")
    (folder / "circle.zarr").symlink_to(folder / "circle.zarr")
    (folder / "link").symlink_to(folder / "store")
    (folder / "hard.zarr").hardlink_to(folder / "a.npy")
    yield from ("a.npy/below.zarr", "store/0", ".", "hard.zarr", "pipe/p.zarr", "circle.zarr")
    yield from ("b" * 300 + ".zarr", "/dev/null", "/proc/new.zarr", "/dev/null/x.zarr", "c" * 5000)


def test_output_paths(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((20, 30), np.float32))
    job = {"version": 1, "stages": [{"op": "box", "size": 3}], "input": {"path": str(tmp_path / "a.npy")}}
    tileconv.run(job | {"output": {"path": str(tmp_path / "store")}})
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    inside = ("store", "store/0", "link", "link/new.zarr", ".")
    for source, target in (*(("a.npy", name) for name in outputs(tmp_path)), *(("store", name) for name in inside)):
        paths = {"input": {"path": str(tmp_path / source)}, "output": {"path": str(tmp_path / target)}}
        with pytest.raises(TileconvError) as caught:
            tileconv.run(job | paths)
        assert len(str(caught.value)) < 12_000
    again = tileconv.run(job | {"output": {"path": str(tmp_path / "link")}})  # the same output by another name
    assert (again.tiles, again.output) == (0, tmp_path / "store")
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.parametrize("name", ["NUL", "tag of Python", "10 MB of text", "a key of 10^5 letters"])
def test_command_line_refuses_hostile_pipelines(tmp_path, name):
    (tmp_path / "p.yaml").write_bytes(SPECS[name])
    command = [sys.executable, "-m", "tileconv", "check", "p.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("p.yaml")


@pytest.mark.parametrize("kind", ["tif", "zarr", "png"])
def test_the_limit_of_a_chunk_is_an_option(tmp_path, kind):
    image = np.arange(1, 1201).reshape(30, 40).astype("u1" if kind == "png" else "u2")
    path = tmp_path / f"a.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, image, compression="zlib")
    elif kind == "zarr":
        zarr.create_array(path, data=image, chunks=(30, 40))
    else:
        Image.fromarray(image).save(path)
    job = {"version": 1, "input": {"path": str(path)}, "stages": [], "output": {"path": str(tmp_path / "out.ome.zarr")}}
    assert tileconv.plan(job | {"run": {"max_chunk": str(image.nbytes)}}).passes
    assert tileconv.plan(job | {"run": {"max_chunk": "auto"}}).passes
    with pytest.raises(SourceError, match=r"limit.*Raise run\.max_chunk|raise run\.max_chunk"):
        tileconv.plan(job | {"run": {"max_chunk": str(image.nbytes - 1)}})


@pytest.mark.parametrize(
    ("command", "file", "code"),
    [("check", "pipe", 2), ("plan", "pipe", 2), ("run", "pipe", 2), ("plan", "p.yaml", 1), ("run", "p.yaml", 1)],
)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, command, file, code):
    """Nobody ever writes to it: a command that opened it would never end."""
    os.mkfifo(tmp_path / "pipe")
    job = {"version": 1, "stages": [{"op": "sobel"}], "input": {"path": "pipe"}, "output": {"path": "o.zarr"}}
    (tmp_path / "p.yaml").write_text(json.dumps(job))
    words = [sys.executable, "-m", "tileconv", command, file]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (code, "")
    assert "pipe: expected a" in done.stderr
    assert "found a device or a pipe" in done.stderr
    assert not (tmp_path / "o.zarr").exists()
    assert not (tmp_path / "o.zarr.tileconv").exists()
