"""What the golden pipelines make on this machine, as digests, and what was recorded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import llvmlite.binding
import numpy as np

import tileconv
from tests.golden.corpus import CORPUS
from tests.golden.images import write
from tileconv.errors import TileconvError

RECORDED = Path(__file__).with_name("digests.json")
LIBRARIES = (
    *("google-crc32c", "imagecodecs", "llvmlite", "numba", "numcodecs", "numpy", "pillow", "scipy", "tifffile"),
    "zarr",
)
MAY_DIFFER = ("version", "fingerprint", "libraries", "python")
"""What a result says of who made it: another commit or library may say another thing about the same pixels."""

Digests = Mapping[str, str]
"""By name of a file; ``input`` stands for all files of the input."""


def environment() -> dict[str, str]:
    """Return what decides about bytes beside tileconv itself: the processor's kind, the C library, the libraries."""
    features = hashlib.sha256(llvmlite.binding.get_host_cpu_features().flatten().encode())
    processor = f"{platform.machine()} {llvmlite.binding.get_host_cpu_name()} {features.hexdigest()[:12]}"
    return {
        "processor": processor,
        "C library": " ".join(platform.libc_ver()),
        **{name: version(name) for name in LIBRARIES},
    }


def recorded() -> dict[str, Any]:
    """Return the *environment* and, for every pipeline, the *digests* that were recorded in it."""
    read: dict[str, Any] = json.loads(RECORDED.read_text("utf-8"))
    return read


def digests(name: str, folder: Path) -> Digests:
    """Run pipeline *name* in the empty *folder*; return the digests of its files, or the words of its refusal."""
    with contextlib.chdir(folder), patch.dict(os.environ, XDG_CONFIG_HOME=str(folder / "none")):  # no costs of its own
        pipeline = written(name)
        made = {"input": _digest(b"".join(_told(path) for path in _files(Path(pipeline["input"]["path"]))))}
        try:
            tileconv.run(pipeline)
        except TileconvError as error:
            return made | {"refused": f"{type(error).__name__}: {error}".replace(f"{folder}/", "")}
        out = Path("out.ome.zarr")
        return made | {path.relative_to(out).as_posix(): _digest(_bytes(path, folder)) for path in _files(out)}


def written(name: str) -> dict[str, Any]:
    """Write the input of pipeline *name* to the current folder, and return the pipeline."""
    image, stages, words = CORPUS[name]
    np.save("kernel.npy", np.arange(-7, 8).reshape(3, 5) / 4)
    pipeline = {"version": 1, "stages": stages, **words}
    pipeline["input"] = {"path": write(image), **words.get("input", {})}
    pipeline["output"] = {"path": "out.ome.zarr", "chunks": 64, **words.get("output", {})}
    pipeline["run"] = {"memory": "1GiB", "workers": 2, "tile": 64, **words.get("run", {})}
    return pipeline


def differences(before: Digests, now: Digests) -> list[str]:
    """Return what differs, one line per file.

    Examples
    --------
    >>> differences({"0/c/0": "a", "0/c/1": "b", "0/c/2": "c"}, {"0/c/0": "a", "0/c/1": "x", "0/c/3": "y"})
    ['0/c/1: was b, is x', '0/c/2: was c, is not there', '0/c/3: new']
    """
    changed = [name for name in before if before[name] != now.get(name)]
    return [f"{name}: was {before[name]}, is {now.get(name, 'not there')}" for name in changed] + [
        f"{name}: new" for name in now if name not in before
    ]


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _told(path: Path) -> bytes:
    return f"{path} {path.stat().st_size} ".encode() + path.read_bytes()


def _bytes(path: Path, folder: Path) -> bytes:
    """Return a file as it is; metadata that say how the result was made without ``MAY_DIFFER`` and the folder."""
    stored = path.read_bytes()
    if path.name not in {"zarr.json", ".zattrs"}:
        return stored
    whole = json.loads(stored.replace(f"{folder}/".encode(), b""))
    told = whole.get("attributes", whole).get("tileconv")
    if told is None:
        return stored
    for key in MAY_DIFFER:
        told.pop(key, None)
    return json.dumps(whole).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
