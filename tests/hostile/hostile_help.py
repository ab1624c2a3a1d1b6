"""Runs ``hostile_trial.py`` over files and judges what it reports."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numcodecs
import numpy as np
import zarr
from hostile_trial import digest
from tiff_writer import noise

TRIAL = Path(__file__).with_name("hostile_trial.py")
TIMEOUT_S = 240
"""For a whole batch; generous, because the machine may be busy. A file that hangs is what it is there for."""
GROWTH_LIMIT = 300 * 2**20
JARGON = re.compile(
    r"\b[A-Z]\w*(Error|Exception|Warning)\b|<[A-Za-z_.]+[ :]|\w\(\)|0 to -1|None|attack| object (at|has)|\b__"
)
"""Words of Python and of libraries, which tell a user nothing."""
PIXELS = noise((40, 48), "u2", seed=9)
"""What Zarr images of the trials hold before they are broken."""


@dataclass(frozen=True)
class Trial:
    """A file and what may become of it.

    *truth* are the pixels that may be read, None if there are none; *must* is ``refuse``, ``read`` or ``either``.
    """

    name: str
    path: Path
    must: str = "either"
    truth: np.ndarray | None = None
    says: str = ""
    options: dict = field(default_factory=dict)


def run_trials(trials):
    """Return what became of each file, by name."""
    lines = [json.dumps({"name": t.name, "path": str(t.path), "options": t.options}) for t in trials]
    done = subprocess.run(
        [sys.executable, str(TRIAL)], input="\n".join(lines), capture_output=True, text=True, timeout=TIMEOUT_S
    )
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    last = next((r["begin"] for r in reversed(reports) if "begin" in r), "none")
    assert done.returncode == 0, f"the process ended with {done.returncode} in {last}: {done.stderr[-3000:]}"
    assert done.stderr == ""
    return {report["name"]: report for report in reports if "name" in report}


def verdict(trial, report):
    """Return what is wrong with the report of one trial; nothing if it is fine."""
    if report["leaks"]:
        return f"leaks {report['leaks'][0]}"
    if report["growth"] > GROWTH_LIMIT:
        return f"took {report['growth'] / 2**20:.0f} MiB"
    if "read" not in report:
        if trial.must == "read":
            return f"is refused: {report['error']}"
        if len(report["error"]) > 2000 or not report["error"].strip():
            return f"has a message of {len(report['error'])} characters"
        if found := JARGON.search(report["error"]):
            return f"speaks of {found[0]!r}: {report['error']}"
        if not report["fix"]:
            return f"has no next step: {report['error']}"
        return "" if trial.says in report["error"] else f"does not say {trial.says!r}: {report['error']}"
    if trial.must == "refuse":
        return "is read"
    if trial.truth is None or report["read"] != digest(trial.truth):
        return "reads as pixels that are not in it"
    return ""


def assert_trials(trials):
    """Every file ends in one error of ours or in the right pixels; time is reported, memory is bounded."""
    reports = run_trials(trials)
    assert set(reports) == {trial.name for trial in trials}
    wrong = {trial.name: said for trial in trials if (said := verdict(trial, reports[trial.name]))}
    slowest = max(reports.values(), key=lambda r: r["seconds"])
    largest = max(reports.values(), key=lambda r: r["growth"])
    refused = sum(r["error"] is not None for r in reports.values())
    sys.stdout.write(
        f"{len(trials)} files, {refused} refused; slowest {slowest['name']} {slowest['seconds']:.2f} s; "
        f"largest {largest['name']} {largest['growth'] / 2**20:.0f} MiB\n"
    )
    assert not wrong, "\n".join(f"{name} {said}" for name, said in wrong.items())
    return reports


def zarr_image(path, version, *, shards=None, compress=True):
    """Write an OME-Zarr image of one level in chunks of 16 pixels."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    names = {"dimension_names": ("y", "x")} if version == 3 else {}
    codec = zarr.codecs.ZstdCodec() if version == 3 else numcodecs.Zstd()
    more = {"shards": shards} if shards else {}
    more |= {"compressors": codec if compress else None}
    array = group.create_array("0", shape=PIXELS.shape, chunks=(16, 16), dtype="u2", **names, **more)
    array[...] = PIXELS
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    steps = [{"type": "scale", "scale": [0.5, 0.5]}]
    level = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
    group.attrs.update({"multiscales": level} if version == 2 else {"ome": {"version": "0.5", "multiscales": level}})
    return path
