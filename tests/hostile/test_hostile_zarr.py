"""Zarr and OME-Zarr folders, of both formats, broken in many ways: one error of ours each, or the right pixels."""

from __future__ import annotations

import json
import os
import shutil
import struct
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hostile_help import PIXELS, Trial, assert_trials, zarr_image

KEYS = {2: "0/1.2", 3: "0/c/1/2"}
ARRAY = {2: "0/.zarray", 3: "0/zarr.json"}
GROUP = {2: ".zattrs", 3: "zarr.json"}


def edit(path, change):
    """Replace a JSON file by what *change* makes of it."""
    found = json.loads(path.read_text())
    made = change(found)
    path.write_text(json.dumps(found if made is None else made))


def metadata(change):
    """Return a damage to the array's metadata."""
    return lambda path, version: edit(path / ARRAY[version], partial(change, version=version))


def put(name, value):
    """Return a damage that sets one key of the array's metadata."""
    return metadata(lambda found, **_: found.__setitem__(name, value))


def chunks(value):
    def change(found, version):
        if version == 2:
            found["chunks"] = value
        else:
            found["chunk_grid"]["configuration"]["chunk_shape"] = value

    return metadata(change)


def multiscale(change):
    """Return a damage to the OME metadata's first image."""

    def on_group(found, version):
        ome = found if version == 2 else found["attributes"]["ome"]
        return change(ome) and None

    return lambda path, version: edit(path / GROUP[version], partial(on_group, version=version))


def first(key, value):
    return multiscale(lambda ome: ome["multiscales"][0].__setitem__(key, value))


def level(key, value):
    return multiscale(lambda ome: ome["multiscales"][0]["datasets"][0].__setitem__(key, value))


def steps(*transforms):
    return level("coordinateTransformations", list(transforms))


def text(name, content):
    """Return a damage that replaces a file; *name* is ``array``, ``group`` or ``chunk``."""
    files = {"array": ARRAY, "group": GROUP, "chunk": KEYS}[name]
    return lambda path, version: (path / files[version]).write_bytes(content)


def cut(path, version):
    data = (path / KEYS[version]).read_bytes()
    (path / KEYS[version]).write_bytes(data[: len(data) // 2])


def flip(path, version):
    data = bytearray((path / KEYS[version]).read_bytes())
    data[0] ^= 255
    (path / KEYS[version]).write_bytes(data)


def other_size(path, version):
    """Put a chunk there that decodes without fault, to fewer pixels."""
    (path / KEYS[version]).write_bytes(imagecodecs.zstd_encode(bytes(range(32))))


def too_large(path, version):
    """Put a chunk there that decodes without fault, to 4 GiB: zstd blocks that repeat one byte."""
    frame, run = b"\x28\xb5\x2f\xfd\xc0\x38" + struct.pack("<Q", 2**32), struct.pack("<I", 2**20 | 2)[:3] + b"\x07"
    (path / KEYS[version]).write_bytes(frame + run * (2**15 - 1) + struct.pack("<I", 2**20 | 3)[:3] + b"\x07")


def no_chunks(path, version):
    for file in (path / "0").rglob("*"):
        if file.is_file() and file.name not in ("zarr.json", ".zarray", ".zattrs"):
            file.unlink()


def link_outside(path, version):
    shutil.move(path / "0", path.parent / f"outside{version}")
    (path / "0").symlink_to(path.parent / f"outside{version}")


def circle_of_links(path, version):
    """A Bio-Formats layout whose first image is the folder itself."""
    shutil.rmtree(path / "0")
    (path / "0").symlink_to(".")
    layout = {"bioformats2raw.layout": 3}
    edit(path / GROUP[version], lambda found: layout if version == 2 else found | {"attributes": layout})


def nested(path, version):
    """Groups in groups, and an array nowhere."""
    attributes = {"bioformats2raw.layout": 3}
    inner = path / "0"
    shutil.rmtree(inner)
    for _ in range(150):
        edit(path / GROUP[version], lambda found: attributes if version == 2 else found | {"attributes": attributes})
        inner.mkdir()
        for name in (".zgroup", ".zattrs") if version == 2 else ("zarr.json",):
            shutil.copy(path / name, inner / name)
        path, inner = inner, inner / "0"


def link_to_itself(path, version):
    shutil.rmtree(path / "0")
    (path / "0").symlink_to(path / "0")


def chunk_is_a_folder(path, version):
    (path / KEYS[version]).unlink()
    (path / KEYS[version]).mkdir()


def chunk_is_a_pipe(path, version):
    (path / KEYS[version]).unlink()
    os.mkfifo(path / KEYS[version])


def metadata_is_a_pipe(path, version):
    (path / ARRAY[version]).unlink()
    os.mkfifo(path / ARRAY[version])


def consolidated_lie(path, version):
    if version == 2:
        array = json.loads((path / ARRAY[2]).read_text()) | {"shape": [400, 480]}
        group = json.loads((path / ".zattrs").read_text())
        content = {"0/.zarray": array, ".zattrs": group, ".zgroup": {"zarr_format": 2}}
        (path / ".zmetadata").write_text(json.dumps({"zarr_consolidated_format": 1, "metadata": content}))
    else:
        array = json.loads((path / ARRAY[3]).read_text()) | {"shape": [400, 480]}
        inline = {"kind": "inline", "must_understand": False, "metadata": {"0": array}}
        edit(path / "zarr.json", lambda found: found | {"consolidated_metadata": inline})


SCALE = {"type": "scale"}
DAMAGES = {
    "metadata that is no JSON": text("array", b"{no"),
    "metadata of nothing": text("array", b""),
    "metadata that is a list": text("array", b"[]"),
    "metadata in UTF-16": text("array", '{"zarr_format": 3}'.encode("utf-16")),
    "metadata nested 10^5 deep": text("array", b'{"a":' + b"[" * 100_000),
    "metadata with an integer of 10^5 digits": text("array", b'{"zarr_format": ' + b"9" * 100_000 + b"}"),
    "format 99": put("zarr_format", 99),
    "format as text": put("zarr_format", "three"),
    "shape 10^12 squared": put("shape", [10**12, 10**12]),
    "shape 2^31 - 1 by 48": put("shape", [2**31 - 1, 48]),
    "shape larger than 64 bits": put("shape", [2**70, 48]),
    "shape negative": put("shape", [-40, 48]),
    "shape of words": put("shape", ["a", "b"]),
    "shape of floats": put("shape", [40.5, 48]),
    "shape of no pixels": put("shape", [0, 48]),
    "shape of no axes": put("shape", []),
    "shape of one axis": put("shape", [40]),
    "shape of 40 axes": put("shape", [1] * 40),
    "shape twice as large": put("shape", [80, 96]),
    "shape missing": metadata(lambda found, **_: found.pop("shape") and None),
    "chunks 0": chunks([0, 16]),
    "chunks negative": chunks([-16, 16]),
    "chunks of 1 EB": chunks([2**30, 2**30]),
    "chunks of words": chunks(["wide", 16]),
    "chunks of one axis": chunks([16]),
    "chunks twice as large": chunks([32, 32]),
    "chunks half as large": chunks([8, 8]),
    "fill value of words": put("fill_value", "none"),
    "fill value null": put("fill_value", None),
    "attributes a list": put("attributes", []),
    "dimension names too many": put("dimension_names", ["y", "x", "z"]),
    "dimension names of numbers": put("dimension_names", [1, 2]),
    "group metadata of nothing": text("group", b""),
    "group metadata that is a list": text("group", b"[]"),
    "multiscales empty": multiscale(lambda ome: ome.__setitem__("multiscales", [])),
    "multiscales missing": multiscale(lambda ome: ome.pop("multiscales") and None),
    "multiscales a mapping": multiscale(lambda ome: ome.__setitem__("multiscales", {"a": 1})),
    "multiscales words": multiscale(lambda ome: ome.__setitem__("multiscales", "levels")),
    "multiscales null": multiscale(lambda ome: ome.__setitem__("multiscales", None)),
    "multiscales of null": multiscale(lambda ome: ome.__setitem__("multiscales", [None])),
    "omero of words": multiscale(lambda ome: ome.__setitem__("omero", "none")),
    "omero channels of null": multiscale(lambda ome: ome.__setitem__("omero", {"channels": [None]})),
    "datasets missing": multiscale(lambda ome: ome["multiscales"][0].pop("datasets") and None),
    "datasets empty": first("datasets", []),
    "datasets a number": first("datasets", 7),
    "path ..": level("path", "../outside"),
    "path . . below": level("path", "0/../../outside"),
    "path absolute": level("path", "/etc"),
    "path of another system": level("path", "..\\outside"),
    "path with NUL": level("path", "0\0"),
    "path of nothing": level("path", ""),
    "path of the group itself": level("path", "."),
    "path a number": level("path", 0),
    "path of 10^5 letters": level("path", "a" * 100_000),
    "path to nowhere": level("path", "9"),
    "axes too many": first("axes", ["t", "y", "x"]),
    "axes of the same name": first("axes", [{"name": "x"}, {"name": "x"}]),
    "axes of numbers": first("axes", [1, 2]),
    "axes of null": first("axes", [None, None]),
    "axes a number": first("axes", 7),
    "axes without names": first("axes", [{"type": "space"}] * 2),
    "axes of lists": first("axes", [["y"], ["x"]]),
    "scale too long": steps(SCALE | {"scale": [1, 1, 1]}),
    "scale 0": steps(SCALE | {"scale": [0, 0]}),
    "scale negative": steps(SCALE | {"scale": [-1, 1]}),
    "scale not a number": steps(SCALE | {"scale": [float("nan"), 1]}),
    "scale infinite": steps(SCALE | {"scale": [float("inf"), 1]}),
    "scale of words": steps(SCALE | {"scale": ["wide", "high"]}),
    "scale missing": steps(SCALE),
    "scale a number": steps(SCALE | {"scale": 2}),
    "steps of null": steps(None),
    "steps of an unknown type": steps({"type": "rotation", "rotation": [1, 2, 3, 4]}),
    "translation infinite": steps(SCALE | {"scale": [1, 1]}, {"type": "translation", "translation": [float("inf"), 0]}),
    "chunk of nothing": text("chunk", b""),
    "chunk of noise": text("chunk", bytes(range(200))),
    "chunk cut in the middle": cut,
    "chunk whose first byte is flipped": flip,
    "chunk that decodes to fewer pixels": other_size,
    "chunk that decodes to 1 GiB": too_large,
    "chunk that is a folder": chunk_is_a_folder,
    "chunk that is a pipe": chunk_is_a_pipe,
    "metadata that is a pipe": metadata_is_a_pipe,
    "no chunks": no_chunks,
    "link that leads outside": link_outside,
    "link that leads to itself": link_to_itself,
    "layout that is its own first image": circle_of_links,
    "groups nested 150 deep": nested,
    "consolidated metadata that lies": consolidated_lie,
}
CODECS = {
    2: {
        "codec unknown": put("compressor", {"id": "nonsense"}),
        "codec a number": put("compressor", 7),
        "codec missing": put("compressor", None),
        "filters unknown": put("filters", [{"id": "nonsense"}]),
        "filter that unpickles": put("filters", [{"id": "pickle"}]),
        "type of objects": put("dtype", "|O"),
        "type of texts": put("dtype", "<U4"),
        "type of structures": put("dtype", [["a", "<u2"], ["b", "<u2"]]),
        "type of 2^30 bytes": put("dtype", "|V1073741824"),
        "type complex": put("dtype", "<c16"),
        "type signed": put("dtype", "<i4"),
        "order Z": put("order", "Z"),
        "separator of two": put("dimension_separator", "--"),
    },
    3: {
        "codec unknown": put("codecs", [{"name": "bytes"}, {"name": "nonsense"}]),
        "codecs none": put("codecs", []),
        "codecs a mapping": put("codecs", {}),
        "codec that only compresses": put("codecs", [{"name": "zstd", "configuration": {"level": 1}}]),
        "transpose out of range": put(
            "codecs", [{"name": "transpose", "configuration": {"order": [5, 7]}}, {"name": "bytes"}]
        ),
        "type unknown": put("data_type", "quaternion"),
        "type complex": put("data_type", "complex128"),
        "type of 2^30 bits": put("data_type", "r1073741824"),
        "type of 32 bits": put("data_type", "uint32"),
        "key encoding unknown": put("chunk_key_encoding", {"name": "odd"}),
        "key encoding separator": put("chunk_key_encoding", {"name": "default", "configuration": {"separator": "../"}}),
        "grid unknown": put("chunk_grid", {"name": "odd", "configuration": {}}),
        "storage transformers": put("storage_transformers", [{"name": "odd"}]),
        "node type odd": put("node_type", "odd"),
        "unknown key that must be understood": put("new_thing", {"must_understand": True}),
    },
}  # fmt: skip
HOLE = PIXELS.copy()
HOLE[16:32, 32:48] = 0
TWICE = np.zeros((80, 96), "u2")
TWICE[:40, :48] = PIXELS
REPORTED = {"chunk that is a folder": HOLE, "shape twice as large": TWICE}
"""What reads with fill value where nothing is stored, because ``missing_chunks`` is ``report``: it must be counted."""


@pytest.mark.parametrize("version", [2, 3])
def test_broken_folders(tmp_path, version):
    whole = zarr_image(tmp_path / "whole", version)
    trials = [Trial("whole", whole, "read", PIXELS)]
    damages = DAMAGES | CODECS[version]
    assert len(damages) >= 30
    for number, (name, damage) in enumerate(damages.items()):
        path = Path(shutil.copytree(whole, tmp_path / str(number) / "a.ome.zarr"))
        shutil.copytree(whole / "0", tmp_path / str(number) / "outside")
        damage(path, version)
        trials.append(Trial(name, path, "either", REPORTED.get(name, PIXELS)))
    reports = assert_trials(trials)
    assert {name for name, report in reports.items() if report.get("absent")} == set(REPORTED)
