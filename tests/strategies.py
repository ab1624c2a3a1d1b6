"""What Hypothesis draws: small images of awkward shapes in every type, lopsided kernels, borders, places to cut.

Values are drawn by a seeded NumPy generator: Hypothesis shrinks shapes, types and the seed, which is what one reads.
"""

import numpy as np
from hypothesis import strategies as st

INTEGERS = ("uint8", "uint16", "int16", "int8", "int32", "uint32", "int64", "uint64")
FLOATS = ("float32", "float64", "float16")
DTYPES = INTEGERS + FLOATS
RULES = ("reflect", "mirror", "nearest", "wrap", "constant")

seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from(DTYPES)
lengths = st.one_of(st.just(1), st.integers(1, 4), st.integers(1, 24))


def shapes(ndim: int | None = None) -> st.SearchStrategy[tuple[int, ...]]:
    """1x1, 1xn, nx1, tiny and small shapes of 2 or 3 axes."""
    counts = st.sampled_from((2, 2, 2, 3)) if ndim is None else st.just(ndim)
    return counts.flatmap(lambda n: st.tuples(*[lengths if n < 3 else st.integers(1, 9)] * n))


def pixels(shape, dtype, seed, *, peak=None) -> np.ndarray:
    """Return random pixels: an integer type's whole range (or up to *peak*) with its extremes; floats around 0."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * 100).astype(dtype)
    limits = np.iinfo(dtype)
    high = limits.max if peak is None else min(limits.max, peak)
    low = limits.min if peak is None else max(limits.min, -peak)
    image = rng.integers(low, high, shape, dtype, endpoint=True)
    image.flat[rng.integers(image.size)] = high
    image.flat[rng.integers(image.size)] = low
    return image


@st.composite
def images(draw, dtype=dtypes, ndim=None, peak=None):
    """Draw an image. *peak* limits the absolute value of whole numbers."""
    chosen = draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype
    return pixels(draw(shapes(ndim)), chosen, draw(seeds), peak=peak)


@st.composite
def kernels(draw, ndim=2, *, whole=None, longest=9):
    """Draw lopsided weights of 1 to *longest* per axis, even sizes included: int64 (whole) or float64 of any rank."""
    shape = draw(st.tuples(*[st.integers(1, longest)] * ndim))
    rank = draw(st.sampled_from((1, 1, 2, None)))
    whole = draw(st.booleans()) if whole is None else whole
    rng = np.random.default_rng(draw(seeds))

    def numbers(size):
        return rng.integers(-9, 10, size) if whole else rng.standard_normal(size)

    if rank is None:
        return numbers(shape)
    total = np.zeros(shape, np.int64 if whole else np.float64)
    for _ in range(rank):
        term = np.ones((), total.dtype)
        for n in shape:
            term = np.multiply.outer(term, numbers(n))
        total = total + term
    return total


@st.composite
def borders(draw, ndim=2, *, whole=False):
    """Draw one ``(rule, value)`` per axis; the value matters to ``constant`` alone."""
    value = st.integers(0, 100) if whole else st.floats(-1000, 1000, width=16)
    one = st.tuples(st.sampled_from(RULES), value)
    same = one.map(lambda border: (border,) * ndim)
    return draw(st.one_of(same, st.tuples(*[one] * ndim)))


@st.composite
def cuts(draw, size):
    """Draw places that cut ``0:size`` into pieces: a sorted list that begins with 0 and ends with *size*."""
    inner = draw(st.lists(st.integers(1, max(1, size - 1)), max_size=4, unique=True)) if size > 1 else []
    return [0, *sorted(inner), size]
