"""The tests of scipy.ndimage as judges of ranks: ``python -m tests.judges.ranks`` runs them on tileconv's functions.

What a pipeline can say is made by tileconv: boxes of up to three axes, the five borders, real pixels. All else goes to
SciPy as ever, and is counted by its reason. It ends with 1 if one of the tests fails.
"""

import inspect
import sys
from collections import Counter
from functools import wraps
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from scipy._lib._array_api import xp_capabilities_table

import tileconv
from tileconv import kernels
from tileconv.engines.borders import ALIASES, RULES

OPERATORS = {
    "median_filter": kernels.median,
    "rank_filter": kernels.rank,
    "percentile_filter": kernels.rank,
    "minimum_filter": kernels.local_minimum,
    "maximum_filter": kernels.local_maximum,
}
TESTS = Path(scipy.ndimage.__file__).parent / "tests" / "test_filters.py"
FILTERS = "rank or median or minimum or maximum or percentile or axes or modes or origins or overlap"
"""Names of tests that call these functions; others among them are run as well."""
counts = Counter()


class ElsewhereError(Exception):
    """What SciPy has to do, and why."""


def axes_of(array, axes):
    if array.size == 0 or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ElsewhereError(f"an image of {array.size and array.dtype}")
    axes = range(array.ndim) if axes is None else [axes] if np.isscalar(axes) else list(axes)
    whole = all(isinstance(axis, int | np.integer) for axis in axes)
    chosen = [int(axis) + array.ndim * int(axis < 0) for axis in axes] if whole else []
    if not 1 <= len(set(chosen)) == len(chosen) <= 3 or not 0 <= min(chosen) <= max(chosen) < array.ndim:
        raise ElsewhereError("axes that are refused, or more than three")
    return chosen


def sizes_of(size, footprint, axes):
    if footprint is not None:
        shape = np.asarray(footprint, bool)
        if not shape.all():
            raise ElsewhereError("a footprint that is no box")
        size = shape.shape
    sizes = [size] * len(axes) if np.isscalar(size) else list(size if size is not None else [])
    if len(sizes) != len(axes) or not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
        raise ElsewhereError("a size that is refused")
    return sizes


def borders_of(mode, cval, axes):
    modes = [mode] * len(axes) if isinstance(mode, str) else list(mode)
    rules = [ALIASES.get(m, m) for m in modes if m in RULES or m.startswith("grid-")]
    if len(rules) != len(axes):
        raise ElsewhereError("a mode that is refused")
    return [{"rule": rule, "value": cval} if rule == "constant" else rule for rule in rules]


def made(name, words):
    array = np.asarray(words["input"])
    axes = axes_of(array, words["axes"])
    if not np.isscalar(words["origin"]) or words["origin"]:
        raise ElsewhereError("an origin")
    if not isinstance(words["mode"], str) and name not in {"minimum_filter", "maximum_filter"}:
        raise ElsewhereError("a mode per axis, which SciPy refuses")
    letters = ["zyx"[-len(axes) :][place] for place in np.argsort(np.argsort(axes))]
    sizes = sizes_of(words["size"], words["footprint"], axes)
    border = dict(zip(letters, borders_of(words["mode"], words["cval"], axes), strict=True))
    asked = {key: words[key] for key in ("rank", "percentile") if key in words}
    if not all(isinstance(value, int | float | np.number) for value in asked.values()):
        raise ElsewhereError("a rank that is refused")
    try:
        operation = OPERATORS[name](dict(zip(letters, sizes, strict=True)), **asked, axes="zyx"[-len(axes) :])
        result = tileconv.apply(array, operation, border=border, axes=sorted(axes))
    except tileconv.errors.TileconvError as error:
        raise ElsewhereError(f"refused: {error}") from error
    output = words["output"]
    result = result.astype(array.dtype if output is None or isinstance(output, np.ndarray) else output)
    if isinstance(output, np.ndarray):
        output[...] = result
        return output
    return result


def replace(name):
    """Put ours in the place of SciPy's function *name*."""
    original = getattr(scipy.ndimage, name)
    signature = inspect.signature(original)

    @wraps(original)
    def ours(*args, **words):
        bound = signature.bind(*args, **words)
        bound.apply_defaults()
        try:
            result = made(name, bound.arguments)
        except ElsewhereError as why:
            counts[str(why)] += 1
            return original(*args, **words)
        counts["tileconv"] += 1
        return result

    xp_capabilities_table[ours] = xp_capabilities_table[original]
    setattr(scipy.ndimage, name, ours)


def main():
    """Run the tests; return how they ended."""
    for name in OPERATORS:
        replace(name)
    words = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(TESTS.parent), "-k", FILTERS]
    ended = pytest.main([*words, *sys.argv[1:], str(TESTS)])
    for reason, count in counts.most_common():
        sys.stdout.write(f"{count:7,} calls: {reason}\n")
    return int(ended)


if __name__ == "__main__":
    sys.exit(main())
