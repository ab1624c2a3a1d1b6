"""A corpus of malformed TIFF files, and files cut off anywhere: one error of ours each, or the right pixels."""

from __future__ import annotations

import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import tiff_corpus
import tiff_structures
import tifffile
from hostile_help import Trial, assert_trials, verdict
from hostile_trial import digest
from tiff_writer import noise

from tileconv.errors import SourceError
from tileconv.sources.open import open_source
from tileconv.sources.tiff_guard import declared

CORPUS = [*tiff_corpus.cases(), *tiff_structures.cases()]
STACK = noise((3, 64, 80), "u2", seed=5)
WHOLE = {
    "uncompressed tiles": (STACK[0], {"tile": (16, 16), "metadata": None}),
    "deflate strips": (STACK[0], {"compression": "deflate", "rowsperstrip": 8, "metadata": None}),
    "OME": (STACK, {"ome": True, "metadata": {"axes": "ZYX"}, "photometric": "minisblack", "tile": (32, 32)}),
}
RUN = """
version: 1
input: {{path: {0}}}
stages: [{{op: box, size: 3}}]
output: {{path: out.ome.zarr}}
"""


def test_corpus(tmp_path):
    assert len({case.name for case in CORPUS}) == len(CORPUS) >= 60
    trials = []
    for number, case in enumerate(CORPUS):
        path = tmp_path / f"{number}.tif"
        path.write_bytes(case.content)
        trials.append(Trial(case.name, path, case.must, case.truth))
    reports = assert_trials(trials)
    named = sum(reports[t.name]["error"] is None or str(t.path) in reports[t.name]["error"] for t in trials)
    assert named == len(trials)


@pytest.mark.parametrize("kind", WHOLE)
def test_cut_off_at_every_hundredth(tmp_path, kind):
    image, options = WHOLE[kind]
    tifffile.imwrite(tmp_path / "whole.ome.tif", image, **options)
    content = (tmp_path / "whole.ome.tif").read_bytes()
    trials = [Trial("whole", tmp_path / "whole.ome.tif", "read", image)]
    for percent in range(100):
        path = tmp_path / f"{percent}.ome.tif"
        path.write_bytes(content[: len(content) * percent // 100])
        trials.append(Trial(f"{kind} at {percent} %", path, "either", image))
    refused = [report["error"] is not None for report in assert_trials(trials).values()]
    assert sum(refused) >= 90  # the last bytes of a file may be padding, or words that nobody needs


def test_left_out_tile_is_counted(tmp_path):
    holed = tiff_corpus.with_entries({(tiff_corpus.TILE_OFFSETS, 4): 0, (tiff_corpus.TILE_COUNTS, 4): 0})
    (tmp_path / "a.tif").write_bytes(bytes(holed))
    truth = tiff_corpus.PIXELS.copy()
    truth[16:32, 16:32] = 0
    report = assert_trials([Trial("left out", tmp_path / "a.tif", "read", truth)])["left out"]
    assert report["absent"] == 1
    strict = Trial("strict", tmp_path / "a.tif", "refuse", says="is not stored", options={"missing_chunks": "error"})
    assert_trials([strict])


def test_a_verdict_can_be_guilty(tmp_path):
    """What the reports are judged by sees every kind of failure."""
    truth = tiff_corpus.PIXELS
    good = {"error": None, "leaks": [], "growth": 0, "read": digest(truth)}
    trial = Trial("a", tmp_path / "a.tif", "either", truth)
    assert verdict(trial, good) == ""
    assert "leaks" in verdict(trial, good | {"leaks": ["Traceback"]})
    assert "took" in verdict(trial, good | {"growth": 2**30})
    assert "not in it" in verdict(trial, good | {"read": digest(truth * 0)})
    assert "not in it" in verdict(trial, good | {"read": "in part"})
    assert "is read" in verdict(Trial("a", trial.path, "refuse", truth), good)
    refused = {"error": "no", "fix": "Do.", "leaks": [], "growth": 0}
    assert verdict(Trial("a", trial.path), refused) == ""
    assert "no next step" in verdict(Trial("a", trial.path), refused | {"fix": ""})
    for text in ("ValueError: no", "<COMPRESSION.NONE: 1>", "zip() argument", "from 0 to -1", "found None"):
        assert "speaks of" in verdict(Trial("a", trial.path), refused | {"error": text})
    assert "is refused" in verdict(Trial("a", trial.path, "read", truth), refused)


CODECS = [
    *[(name, {}) for name in ("png", "jpeg8", "lerc", "jpegxr", "jpegxl")],
    *[("jpeg2k", {"codecformat": form}) for form in ("j2k", "jp2")],
    *[("webp", {"lossless": lossless}) for lossless in (True, False)],
]


@pytest.mark.parametrize(("codec", "options"), CODECS)
@pytest.mark.parametrize("shape", [(16, 16), (72, 64), (31, 57), (300, 40), (512, 1024)])
def test_declared_size_of_embedded_pictures(codec, options, shape):
    image = np.dstack([noise(shape, "u1")] * 3)
    data = getattr(imagecodecs, f"{codec}_encode")(image, **options)
    assert declared(data) == shape[::-1]


ON_THE_COMMAND_LINE = ("9 EB in 131 kB", "OME in /etc/hostname", "deflate of 4 GiB", "empty file")
BAD = [case for case in CORPUS if case.name in ON_THE_COMMAND_LINE]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_command_line_says_one_thing_and_leaves_no_image(tmp_path, case):
    (tmp_path / "a.tif").write_bytes(case.content)
    (tmp_path / "p.yaml").write_text(RUN.format("a.tif"))
    command = [sys.executable, "-m", "tileconv", "run", str(tmp_path / "p.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error:") == 1
    output = tmp_path / "out.ome.zarr"
    if output.exists():
        with pytest.raises(SourceError):
            open_source(output)
