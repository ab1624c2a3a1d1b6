"""What each engine costs, from sizes alone: planning reads no clock and no pixel.

The constants are nanoseconds per output pixel on one core, measured by ``tileconv calibrate``. They are handed in: a
run takes those of this machine where it has been measured (``user_costs``), an array always those of ``costs.json``
beside this file. Only their ratios matter to a choice. The choice is part of the plan and of its fingerprint, so other
constants never change a result that was begun.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tileconv.engines.grid import Blocks, block_cost
from tileconv.errors import PlanError
from tileconv.own import own_file
from tileconv.quick import dataclass
from tileconv.stores import steady

SHIPPED = Path(__file__).with_name("costs.json")


@dataclass(frozen=True)
class Costs:
    """Constants of the cost model, with when and with what they were measured.

    A pair is the cost of an output pixel whatever the kernel, and of one multiplication (direct: per weight; separable:
    per weight of an axis, and the pixel once per outer product). ``narrow`` sums are held in 4 bytes, ``wide`` in 8.
    ``threes`` is all that an outer product of 3 x 3 costs, which has loops of its own.
    ``fft_narrow`` and ``fft_wide`` are one unit of ``grid.block_cost`` for transforms in float32 and in float64.
    """

    measured: str
    versions: str
    direct_narrow: tuple[float, float]
    direct_wide: tuple[float, float]
    separable_narrow: tuple[float, float]
    separable_wide: tuple[float, float]
    threes_narrow: float
    threes_wide: float
    fft_narrow: float
    fft_wide: float

    def direct_ns(self, shape: tuple[int, ...], accumulate: np.dtype[Any]) -> float:
        """Return the cost of the direct engine for a kernel of *shape*."""
        pixel, tap = self.direct_narrow if accumulate.itemsize == 4 else self.direct_wide
        return pixel + tap * direct_work(shape)

    def separable_ns(self, shape: tuple[int, ...], terms: int, accumulate: np.dtype[Any]) -> float:
        """Return the cost of the separable engine for a kernel that is a sum of *terms* outer products."""
        narrow = accumulate.itemsize == 4
        if shape == (1, 3, 3):
            return terms * (self.threes_narrow if narrow else self.threes_wide)
        pixel, tap = self.separable_narrow if narrow else self.separable_wide
        return terms * (pixel + tap * sum(shape))

    def fft_ns(self, grid: Blocks) -> float:
        """Return the cost of the FFT engine on its canonical grid."""
        return (self.fft_narrow if grid.narrow else self.fft_wide) * block_cost(grid)

    def write(self, path: Path) -> None:
        """Write the constants as JSON; the file is whole at any moment. PlanError if the file system refuses."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
        with _writing(path):
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")
            temporary.replace(path)


def check_writable(path: Path) -> None:
    """Make the folder of *path*, and refuse with PlanError where nothing can be written to it."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        from tempfile import TemporaryFile

        with TemporaryFile(dir=path.parent):
            pass
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fix = "Give --output, or set XDG_CONFIG_HOME to a folder that can be written, here and where plans are made."
        raise PlanError(f"cannot write: {os.strerror(error.errno or 0)}", where=str(path), fix=fix) from error


def own_costs() -> Path | None:
    """Return where this machine's constants lie, if there are any; None for a user without a home."""
    return own_file("costs.json")


@lru_cache(maxsize=8)
def read_costs(path: Path) -> Costs:
    """Return the constants of a file.

    Raises
    ------
    PlanError
        If the file holds anything else.
    """
    try:
        found = json.loads(steady.read_bytes(path))
        read = Costs(**{f.name: _read(found[f.name], f.name) for f in fields(Costs)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Delete the file, or run tileconv calibrate again."
        raise PlanError("expected the constants of tileconv calibrate", where=str(path), fix=fix) from error
    return read


def _read(value: Any, name: str) -> Any:
    if name in {"measured", "versions"}:
        return str(value)
    numbers = [float(v) for v in (value if isinstance(value, list) else [value])]
    if not all(math.isfinite(v) and v >= 0 for v in numbers):
        raise ValueError(f"{name} must be finite and not below 0, found {value}")
    return numbers[0] if name.startswith(("fft", "threes")) else tuple(numbers)


def shipped_costs() -> Costs:
    """Return the constants that lie beside this file, the same for everybody."""
    return read_costs(SHIPPED)


def user_costs() -> Costs:
    """Return this machine's constants where it has been measured, else the shipped ones."""
    own = own_costs()
    return read_costs(own) if own is not None and steady.is_file(own) else shipped_costs()


def direct_work(shape: tuple[int, ...]) -> int:
    """Return the multiplications that its time goes with: a row of one weight costs as much as one of four."""
    return math.prod(shape[:-1]) * max(4, shape[-1])
