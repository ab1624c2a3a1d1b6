"""The fuzzers in small: the inputs of a few seeds hold what they must, and what they look for would be found."""

import os
import re
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import loop, spec_target, tiff_bytes, tiff_target
from tests.fuzz.loop import Offence, generator
from tileconv.errors import SpecError

ROOT = Path(__file__).parents[2]
TARGETS = {"spec": spec_target, "tiff": tiff_target}
numbers = st.integers(0, 2**32)


@given(numbers)
def test_spec_made_by_the_grammar(number):
    spec_target.check(spec_target.make(generator(0, number)))


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_spec_of_any_bytes(data):
    spec_target.check(data)


@given(numbers)
def test_tiff_with_changes(number):
    tiff_target.check(tiff_target.make(generator(0, number)))


@given(st.sampled_from((b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0")), st.binary(max_size=300))
def test_tiff_of_any_bytes(magic, data):
    tiff_target.check(magic + data)


@pytest.mark.parametrize("name", TARGETS)
def test_every_valid_seed_is_taken(name):
    target = TARGETS[name]
    before = dict(target.OUTCOMES)
    if name == "tiff":
        for number, (data, _) in enumerate(tiff_target.seeds()):
            tiff_target.check(tiff_target._packed(data, number, True))
        gained = target.OUTCOMES["true pixels"] - before.get("true pixels", 0)
        assert gained == len(tiff_target.seeds())
        return
    for path in sorted((ROOT / "pipelines").glob("*.yaml")):
        spec_target.check(path.read_bytes())
    assert target.OUTCOMES["accepted"] > before.get("accepted", 0)


@pytest.mark.parametrize("name", tiff_bytes.CHANGES)
def test_every_change_of_tiff_bytes_changes_something(name):
    made = 0
    for number, (data, _) in enumerate(tiff_target.seeds()):
        tiff = tiff_bytes.Tiff(data)
        tiff_bytes.CHANGES[name](tiff, generator(1, number))
        made += bytes(tiff.data) != data
    assert made >= 4


@pytest.mark.parametrize("name", TARGETS)
def test_changes_of_changed_inputs(name):
    target = TARGETS[name]
    for number in range(5):
        rng = generator(2, number)
        target.check(target.mutate(target.make(rng), rng))


def test_wrong_pixels_are_found(monkeypatch):
    """A source that gives zeros, and one that gives the neighbour's pixel, do not pass."""
    data, truth = tiff_target.seeds()[0]
    packed = tiff_target._packed(data, 0, True)
    read = tiff_target._read
    monkeypatch.setattr(tiff_target, "_read", lambda *a: (np.roll(read(*a)[0], 1), True))
    with pytest.raises(Offence, match="other pixels"):
        tiff_target.check(packed)
    monkeypatch.setattr(tiff_target, "_read", lambda *_: (np.zeros_like(truth), True))
    with pytest.raises(Offence, match="nothing but zeros"):
        tiff_target.check(tiff_target._packed(data, 0, False))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"line": 9}, "line 9 of"),
        ({"column": 99}, "column 99 of"),
        ({"line": 0, "key": ""}, "neither a place nor a key"),
        ({"source": "other: 1"}, "shows another line"),
        ({"width": 50}, "underlines more"),
        ({"message": "\x1b[2J"}, "a terminal would obey"),
    ],
)
def test_a_problem_that_points_nowhere_is_found(monkeypatch, change, said):
    load = spec_target.load_spec

    def broken(*words, **options):
        try:
            return load(*words, **options)
        except SpecError as error:
            raise SpecError(error.path, tuple(replace(p, **change) for p in error.problems)) from None

    text = b"version: 1\ninput: {path: a.tif, paht: 2}\noutput: {path: b.zarr}\n"
    spec_target.check(text)
    monkeypatch.setattr(spec_target, "load_spec", broken)
    with pytest.raises(Offence, match=said):
        spec_target.check(text)


def stall():
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (lambda _: int("x"), "ValueError"),
        (lambda _: os.write(2, b"noise"), "Offence"),
        (lambda _: warnings.warn("noise", stacklevel=1), "Offence"),
        (lambda _: stall(), "Hang"),
        (lambda _: None, "Offence"),
    ],
    ids=["error", "print", "warning", "hang", "memory"],
)
def test_what_escapes_is_kept(request, tmp_path, capfd, monkeypatch, fault, kind):
    monkeypatch.setattr(loop, "HANG_S", 0.2)
    if request.node.callspec.id == "memory":
        monkeypatch.setattr(loop, "GROWTH_BYTES", -1)
    target = ModuleType("broken_target")
    target.make = lambda *_: b"input"
    target.check = fault
    monkeypatch.setitem(sys.modules, "broken_target", target)
    status = loop.main("broken_target", ".bin", ["--inputs", "1", "--offenders", str(tmp_path)])
    said = capfd.readouterr().out
    assert status == 1
    assert f"1 x {kind} at" in said
    assert (tmp_path / "offender-1.bin").read_bytes() == b"input"


@pytest.mark.parametrize("name", TARGETS)
def test_from_the_command_line(name, tmp_path):
    words = [sys.executable, "-m", f"tests.fuzz.{name}", "--inputs", "40", "--seed", "7", "--offenders", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert re.search(r"40 inputs from seed 7, .* per second\n.*\nno offender", done.stdout)
    assert list(tmp_path.iterdir()) == []
