"""What comes out of files that other programs write, as a table.

    python -m venv others
    others/bin/pip install rasterio rioxarray pyvips pyvips-binary opencv-python-headless pillow tifffile zarr
    others/bin/pip install imagecodecs
    python -m venv zarr2
    zarr2/bin/pip install "zarr<3" "numcodecs<0.16"
    OTHERS="--python others/bin/python --python zarr2/bin/python"
    python -m tests.sources.other_programs $OTHERS --page docs/inputs.md

These programs are no part of the project's own tests: they are large, and some exclude one another. The command ends
with 1 when a file came out otherwise than its own program reads it, or without what should be said of it. ``--page``
is where it writes what was found of axes, sizes, units and channels, and whether the result has the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import zarr

import tileconv
from tileconv.errors import PlanError, SourceError
from tileconv.images import ImageInfo, as_text
from tileconv.sources.open import open_source

TABLE = (
    "| file, written by | axes and sizes | pixel size, place | channels | in the result |\n"
    "| --- | --- | --- | --- | --- |\n"
)
"""How the table of the page begins."""
WRITERS = Path(__file__).with_name("other_writers.py")
MOST = 2
"""How far a pixel of JPEG may lie from what another decoder of it makes."""


def facts(info: ImageInfo, attributes: dict) -> str:
    """Return all that was taken from a file beside its pixels, in one text."""
    found = [*info.notes]
    found += [f"names {', '.join(info.channels)}"] * bool(info.channels)
    found += [f"colours {', '.join(info.colours)}"] * bool(info.colours)
    found += [f"{info.scale[-1]:g} {info.units[-1]}"] * bool(info.units[-1])
    found += [f"nodata {as_text(info.nodata)}"] if info.nodata is not None else []
    found += [f"mask {Path(info.mask.where).name}"] if info.mask else []
    found += [f"crs {str(attributes['crs'])[:24]}"] if "crs" in attributes else []
    found += [f"transform {str(attributes['transform'])[1:-1]}"] if "transform" in attributes else []
    return "; ".join(found)


def columns(info: ImageInfo) -> tuple[str, str, str]:
    """Return axes and sizes, size and place of pixels, and channels, in words."""
    steps = zip(info.axes, info.scale, info.units, strict=True)
    sizes = {f"{size:g} {unit}" for axis, size, unit in steps if unit and axis in "yx"}
    place = [info.georeference.crs[:12], " ".join(f"{n:g}" for n in info.georeference.transform)]
    names = info.channel_names
    colours = info.colours or ("",) * len(names)
    named = [f"{name} {colour}".strip() for name, colour in zip(names, colours, strict=True)]
    return str(info), ", ".join([*sorted(sizes), *filter(None, place)]), ", ".join(filter(None, named))


def row(folder: Path, entry: dict, info: ImageInfo | None, text: str) -> str:
    """Return the row of a file that was found to be *info*, or refused with *text*, in the table of the page."""
    first = f"`{entry['file']}`, {entry['by']}: {entry['what']}"
    if info is None:
        return f"| {first} | | | | {text.replace('|', '/')} |"
    result = open_source(folder / "out.ome.zarr").info  # where every channel has a name and a colour, for viewers
    result = replace(result, channels=result.channels if info.channels else ())
    found, out = columns(info), columns(replace(result, colours=result.colours if info.colours else ()))
    same = "the same" if found == out else "; ".join(b or "none" for a, b in zip(found, out, strict=True) if a != b)
    return f"| {' | '.join((first, *found, same))} |"


def outcome(folder: Path, entry: dict) -> tuple[bool, str, ImageInfo | None]:
    """Return whether a file came out right, what came out, and what was found."""
    spec = {"input": {"path": str(folder / entry["file"])}, "output": {"path": str(folder / "out.ome.zarr")}}
    spec |= {"version": 1, "stages": [], "missing": {"rule": "fill", "value": 1}}
    try:
        info = tileconv.plan(spec).source
    except (SourceError, PlanError) as error:
        said = str(error)
        return entry["expected"] is None and entry["says"] in said, f"refused: {said.partition('.tif: ')[2]}", None
    if entry["expected"] is None:
        return False, "taken, and should be refused", None
    spec["input"]["nodata"] = "none"
    report = tileconv.run(spec, overwrite=True)
    array, expected = zarr.open_array(report.output / "0", mode="r"), np.load(folder / entry["expected"])
    attributes = array.attrs.asdict()
    said = facts(info, attributes)
    same = array.shape == expected.shape
    off = np.abs(array[...].astype(float) - expected.astype(float)).max() if same else np.inf
    right = off <= (MOST if "JPEG" in entry["what"] else 0) and all(part in said for part in entry["says"].split("; "))
    pixels = "equal" if not off else f"within {off:g}"
    return bool(right), f"{info.axes} {array.shape} {array.dtype}, pixels {pixels}. {said}", info


def main() -> int:
    """Write the files, read them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", required=True, help="an interpreter that has other programs")
    parser.add_argument("--page", type=Path, help="the page whose table is written anew")
    options, rows = parser.parse_args(), []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for python in options.python:
            subprocess.run([python, WRITERS, folder], check=True)
        entries = [entry for file in sorted(folder.glob("manifest-*.json")) for entry in json.loads(file.read_text())]
        lines, wrong = ["| file | by | what it is | right | what came out |", "| --- | --- | --- | --- | --- |"], 0
        for entry in entries:
            right, text, info = outcome(folder, entry)
            rows.append(row(folder, entry, info, text))
            wrong += not right
            words = (entry["file"], entry["by"], entry["what"], "yes" if right else "NO", text.replace("|", "/"))
            lines.append(f"| {' | '.join(words)} |")
    if options.page:
        before, _, rest = options.page.read_text("utf-8").partition(TABLE)
        page = before + TABLE + "\n".join(rows) + "\n\n" + rest.partition("\n\n")[2]
        options.page.write_text(page, "utf-8")
    sys.stdout.write("\n".join([*lines, "", f"{len(entries) - wrong} of {len(entries)} right", ""]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
