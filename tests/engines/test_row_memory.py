"""The row machine reads and writes by addresses: never beside the pixels that it is given, whatever their number."""

import ctypes
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from properties.runs_help import pipeline, plan_of

from tileconv.boxes import Box
from tileconv.tiles.blocks import Block
from tileconv.tiles.compute import compute_tile

NONE, PAGE = 0, mmap.PAGESIZE
GAUSSIAN, SOBEL, SHARPEN = {"op": "gaussian", "sigma": 2.5}, {"op": "sobel"}, {"op": "sharpen"}
LOPSIDED = {"op": "convolve", "kernel": [[1, 2, 3, 4], [0, 1, 0, -1]], "divide_by": 3}
UNSHARP = {"op": "unsharp", "sigma": 1, "amount": 0.5}
CHAINS = ([GAUSSIAN, SOBEL, SHARPEN], [LOPSIDED], [UNSHARP], [{"op": "box", "size": 3}, UNSHARP])
SIDES = (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 257, 520)
KINDS = (("uint8", "uint8"), ("uint16", "uint16"), ("int16", "float32"), ("float32", "float32"), ("float64", "input"))


def between_pages(shape, dtype, *, last):
    """Return an array that ends, or begins, where memory ends: who looks beside it dies."""
    libc, size = ctypes.CDLL(None), int(np.prod(shape)) * np.dtype(dtype).itemsize
    inner = -(-size // PAGE) * PAGE
    held = mmap.mmap(-1, inner + 2 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(held))
    for page in (start, start + PAGE + inner):
        assert libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), NONE) == 0
    at = PAGE + (inner - size if last else 0)
    return np.frombuffer(held, np.uint8, size, at).view(dtype).reshape(shape)


def look(read, stored):
    """Make all chains of arrays of all sides between pages, and compare them with arrays that lie elsewhere."""
    for number, width in enumerate(SIDES):  # flat ones beside tall ones
        shape = (SIDES[-1 - number] % 65 or 4, width)
        image = np.random.default_rng(number).integers(0, 255, shape).astype(read)
        for stages in CHAINS:
            (pass_,) = plan_of(
                pipeline(stages, output={"dtype": stored, "overflow": "clip", "chunks": 1024}), image
            ).passes
            box = Box.of_shape(shape)
            (whole,), _ = compute_tile(pass_, [Block(image, box)], box)
            for last in (False, True):
                source, made = between_pages(shape, read, last=last), between_pages(shape, whole.dtype, last=last)
                source[...] = image
                compute_tile(pass_, [Block(source, box)], box, [made])
                assert made.tobytes() == whole.tobytes(), (shape, stages)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mprotect of glibc")
def test_nothing_beside_the_pixels_is_touched():
    words = (
        "import sys; sys.path.insert(0, 'tests'); "
        "from engines.test_row_memory import KINDS, look; [look(*kinds) for kinds in KINDS]"
    )
    ended = subprocess.run([sys.executable, "-c", words], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
