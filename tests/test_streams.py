"""Where the command line prints to: closed, full, left by its reader, or of few characters."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import strategies
import tifffile
from properties.runs_help import complete

from tileconv import streams

SPEC = """\
version: 1
input: {path: a.tif}
stages: [{op: gaussian, sigma: 1}]
output: {path: ü µ.zarr}
run: {memory: 2GiB, workers: 2}
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with an image and a spec."""
    tifffile.imwrite(tmp_path / "a.tif", strategies.pixels((70, 90), "uint8", 0))
    (tmp_path / "p.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path


def shell(folder, words, redirected, **environment):
    """Run ``tileconv`` with *words* and a redirection of the shell; return exit code and what both streams hold."""
    command = f"set -o pipefail; exec 3>out 4>err; {sys.executable} -m tileconv {words} >&3 2>&4 {redirected}"
    env = os.environ | environment
    code = subprocess.run(["bash", "-c", command], cwd=folder, env=env, check=False).returncode
    return code, (folder / "out").read_text("utf-8"), (folder / "err").read_text("utf-8")


@pytest.mark.parametrize("redirected", [">/dev/full", ">&-", ">&- 2>&-", ">/dev/full 2>/dev/full"])
def test_a_run_is_not_lost_with_its_report(folder, redirected):
    code, out, err = shell(folder, "run p.yaml", redirected)
    assert (code, out) == (0, "")
    assert complete(folder / "ü µ.zarr")
    told = err.startswith("note: the exit code is that of the result, whose report cannot be printed: ")
    assert told if "2>" not in redirected else err == ""


@pytest.mark.parametrize("words", ["plan p.yaml", "ops", "--help"])
def test_a_text_that_is_the_result_must_be_printed(folder, words):
    code, _, err = shell(folder, words, ">/dev/full")
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot be printed: No space left on device" in err


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=str)
def test_few_characters(folder, environment):
    code, out, err = shell(folder, "ops", "", **environment)
    assert (code, err) == (0, "")
    assert "\\xd7" not in out
    assert " x " in out


def test_a_path_of_other_characters(folder):
    code, out, err = shell(folder, "run p.yaml", "", PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == str(folder / "\\xfc u.zarr")
    assert complete(folder / "ü µ.zarr")


def test_a_path_that_the_environment_cannot_name(folder):
    code, out, err = shell(folder, "plan p.yaml", "", LC_ALL="C", PYTHONUTF8="0")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "PYTHONUTF8=1" in err


def test_a_reader_that_leaves_early():
    """``tileconv schema | head -1``: no traceback."""
    command = [sys.executable, "-m", "tileconv", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert "Traceback" not in err


def test_a_reader_that_comes_late(folder):
    """A pipe that does not wait is full when the text comes: nothing of it is lost."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    raw = streams.Lasting(write, "w", closefd=False)
    text = np.random.default_rng(0).bytes(2**18)
    code = f"import os, sys; sys.stdout.buffer.write(os.fdopen({read}, 'rb').read())"
    with subprocess.Popen([sys.executable, "-c", code], pass_fds=[read], stdout=subprocess.PIPE) as reader:
        os.close(read)
        with io.BufferedWriter(raw) as stream:
            stream.write(text)
        os.close(write)
        assert reader.stdout.read() == text
    assert raw.error is None


def test_bytes_of_a_name_that_are_no_characters_stay():
    streams.use_plain_characters()
    assert "a\udcff µ\u2192".encode("ascii", "tileconv") == b"a\xff u\\u2192"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", "tileconv")
