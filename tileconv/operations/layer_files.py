"""The weights of a layer from a file, ``.npy``, ``.npz`` or safetensors; no more is read than a layer may have."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tileconv.engines.filters import MAX_WEIGHTS
from tileconv.errors import KernelError
from tileconv.stores import steady

Array = NDArray[Any]
HEADER_LIMIT = 2**24
"""Bytes of the header of a safetensors file, which names every tensor of a network."""
SAFE = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
"""Types of tensors by their names in the file."""
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_layer(path: Path, name: str = "") -> tuple[Array, Array | None]:
    """Return weights and bias of a file; the latter is None where it holds none. Nothing of it is ever run.

    Parameters
    ----------
    name
        The tensor of a safetensors file; its bias is the one whose name ends in ``bias`` in the place of ``weight``.

    Raises
    ------
    KernelError
        If the file is missing, of another kind, damaged, or holds no such array or too large a one.
    """
    try:
        if not steady.is_file(path):
            found = "it is no plain file" if steady.exists(path) else "no such file"
            raise KernelError(found, fix="Give the path of a .npy, .npz or .safetensors file.")
        kind = READERS.get(path.suffix.lower())
        if kind is None:
            raise KernelError(
                f"weights lie in .npy, .npz or .safetensors, found '{path.name}'", fix="Save them with numpy.savez."
            )
        if name and kind is not _safetensors:
            raise KernelError(f"tensors of '{path.name}' have no names of one's own", fix="Give its path alone.")
        with steady.opened(path) as file:
            return kind(file, name)
    except KernelError as error:
        raise KernelError(error.problem, where=str(path), why=error.why, fix=error.fix) from None
    except OSError as error:
        raise KernelError(f"cannot read the weights: {error.strerror}", where=str(path)) from error
    except Exception as error:  # headers are read by parsers of NumPy, zipfile and json, which fail in many ways
        raise KernelError("cannot read the weights: the file is damaged", where=str(path)) from error


def _npy(file: BinaryIO, _: str) -> tuple[Array, None]:
    return _array(file), None


def _npz(file: BinaryIO, _: str) -> tuple[Array, Array | None]:
    with zipfile.ZipFile(file) as parts:
        names = [name.removesuffix(".npy") for name in parts.namelist()]
        if "weights" not in names or set(names) > {"weights", "bias"}:
            listed = ", ".join(names[:10]) or "nothing"
            raise KernelError(f"expected arrays named weights and bias, found {listed}", fix="Save with numpy.savez.")

        def read(name: str) -> Array:
            with parts.open(f"{name}.npy") as part:
                return _array(part)

        return read("weights"), read("bias") if "bias" in names else None


def _array(file: Any) -> Array:
    """Return the array of an open ``.npy`` file."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise KernelError(f"a .npy file of version {version} holds no plain numbers")
    shape, fortran, dtype = HEADERS[version](file)
    made = _numbers(file, dtype, shape)
    return made.reshape(shape[::-1]).T if fortran else made.reshape(shape)


def _numbers(file: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    count = math.prod(shape)
    if dtype.kind not in "biuf":
        raise KernelError(f"weights are real numbers, found type {dtype}")
    if count > MAX_WEIGHTS:
        raise KernelError(f"a layer has at most {MAX_WEIGHTS:,} weights, found {count:,}")
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise KernelError(f"the file ends after {len(data):,} of {count * dtype.itemsize:,} bytes of an array")
    return np.frombuffer(data, dtype)


def tensors_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a safetensors file, by name, in its order; KernelError if it is none."""
    try:
        with steady.opened(path) as file:
            header = _header(file)[1]
            return {name: tuple(map(int, told["shape"])) for name, told in header.items()}
    except KernelError as error:
        raise KernelError(error.problem, where=str(path)) from None
    except OSError as error:
        raise KernelError(f"cannot read the weights: {error.strerror}", where=str(path)) from error
    except Exception as error:
        raise KernelError("cannot read the weights: the file is damaged", where=str(path)) from error


def _header(file: BinaryIO) -> tuple[int, dict[str, Mapping[str, Any]]]:
    """Return where the numbers of a safetensors file begin, and what it says of its tensors, in their order."""
    size = int.from_bytes(file.read(8), "little")
    if not 2 <= size <= HEADER_LIMIT:
        raise KernelError("it is no safetensors file")
    header: dict[str, Mapping[str, Any]] = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return 8 + size, dict(sorted(header.items(), key=lambda item: int(item[1]["data_offsets"][0])))


def _safetensors(file: BinaryIO, name: str) -> tuple[Array, Array | None]:
    begin, header = _header(file)
    layers = [n for n, told in header.items() if n.endswith("weight") and len(told["shape"]) >= 4]
    if not name and len(layers) == 1:
        (name,) = layers
    if name not in header:
        listed = ", ".join(layers[:10] or [*header][:10]) or "none"
        problem = f"there is no tensor '{name}'" if name else f"it holds {len(layers)} layers, and no name says which"
        raise KernelError(problem, fix=f"Give weights: {{path: ..., name: ...}}, one of {listed}.")

    def read(name: str) -> Array:
        told = header[name]
        if told["dtype"] not in SAFE:
            raise KernelError(f"tensor '{name}' is of type {told['dtype']}", fix="Save it as float32.")
        file.seek(begin + int(told["data_offsets"][0]), io.SEEK_SET)
        shape = tuple(map(int, told["shape"]))
        return _numbers(file, np.dtype(SAFE[told["dtype"]]), shape).reshape(shape)

    bias = f"{name.removesuffix('weight')}bias" if name.endswith("weight") else ""
    return read(name), read(bias) if bias in header else None


READERS = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors}
