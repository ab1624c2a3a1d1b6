"""Random chains: every operator, border, extent, engine, type and awkward shape, each from one number."""

import random
from dataclasses import dataclass, field

import numpy as np

RULES = ("reflect", "mirror", "nearest", "wrap", "constant")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS = ("float32", "float64", "float16")


@dataclass
class Case:
    """One chain: an image with its axes, the stages as a spec has them, the other words, and how it is cut."""

    number: str
    image: np.ndarray
    axes: str
    stages: list[dict]
    words: dict = field(default_factory=dict)
    tile: dict[str, int] = field(default_factory=dict)
    chunks: tuple[int, ...] = ()


def case(seed: int, number: int) -> Case:
    """Return chain *number* of *seed*; the same one whenever it is asked for."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 no secrets here
    over = rng.choice(("yx",) * 5 + ("zyx",))
    lead = rng.choice(("",) * 5 + ("c", "z")) if over == "yx" else ""
    sides = [
        rng.choice((1, rng.randint(1, 4), rng.randint(2, 23), rng.randint(2, 40)) if over == "yx" else (1, 3, 8))
        for _ in over
    ]
    shape = (*(2 for _ in lead), *sides)
    whole = rng.random() < 0.25
    image = integers(rng, shape) if whole else pixels(rng, shape)
    stages = [stage(rng, over, whole=whole) for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4)))]
    if min(sides) < 8:
        for each in stages:
            each.pop("extent", None) if each.get("extent") == "valid" else None
    for each in stages[
        :-1
    ]:  # next to a threshold both answers are right, and nothing says what later stages make of them
        each.pop("threshold", None)
    words = {"precision": "auto" if whole else rng.choice(("auto", "auto", "float64", "float32"))}
    words["output"] = {"dtype": rng.choice(("auto", "auto", "float64", "float32", "input", "uint8", "int16", "int64"))}
    if rng.random() < 0.15:
        words["missing"] = rng.choice(
            ({"rule": "propagate"}, {"rule": "fill", "value": rng.choice((0, 3) if whole else (0, 3, 0.5, 0.1, -2.25))})
        )
        if image.dtype.kind in "iu" or rng.random() < 0.5:
            words["nodata"] = image.flat[rng.randrange(image.size)].item()
    tile = {a: rng.randint(-(-n // 4), 30) for a, n in zip(over, sides, strict=True)}
    chunks = tuple(rng.randint(1, n) for n in shape)
    return Case(f"{seed} {number}", image, lead + over, stages, words, tile, chunks)


def integers(rng: random.Random, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image of whole numbers: small ones, a type's whole range, its ends."""
    dtype = np.dtype(rng.choice(INTEGERS))
    draw = np.random.default_rng(rng.getrandbits(32))
    limits = np.iinfo(dtype)
    peak = rng.choice((5, 1000, 2**20, 2**31, 2**52, 2**53 + 99, int(limits.max)))
    low, high = max(int(limits.min), -peak), min(int(limits.max), peak)
    image = draw.integers(low, high, shape, dtype, endpoint=True)
    if rng.random() < 0.3:
        image.flat[draw.integers(image.size)] = high
    return image


def pixels(rng: random.Random, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image of some type: around 0 or of huge, tiny and mixed sizes, with NaN and infinities."""
    if rng.random() < 0.3:
        return integers(rng, shape)
    dtype = np.dtype(rng.choice(FLOATS))
    draw = np.random.default_rng(rng.getrandbits(32))
    wide = 4 if dtype.itemsize == 2 else 37 if dtype.itemsize == 4 else 300
    scale = 10.0 ** rng.choice((0, 0, 0, 2, 4, -4, wide // 2, -wide // 2, wide, -wide))
    image = draw.standard_normal(shape)
    if rng.random() < 0.2:
        image = np.round(image * 10)
    if rng.random() < 0.15:  # a large range within one image
        image *= 10.0 ** draw.integers(-min(wide, 12), min(wide, 12), shape)
    with np.errstate(all="ignore"):
        image = (image * scale).astype(dtype)
    if rng.random() < 0.7:
        image = np.nan_to_num(image, posinf=np.finfo(dtype).max, neginf=np.finfo(dtype).min)
    for value in (np.nan, -np.nan, np.inf, -np.inf):
        if rng.random() < 0.12:
            image[draw.random(shape) < rng.choice((0.01, 0.1))] = value
    return image


def stage(rng: random.Random, over: str, *, whole: bool) -> dict:
    """Return one stage over the axes *over*; with *whole* one that makes whole numbers of whole numbers."""
    op, words = (
        _own(rng, over, whole=whole) if rng.random() < 0.25 else _drawn(rng, WHOLE if whole else OPERATORS, over)
    )
    made = {"op": op, "over": over, "border": border(rng, over, CONSTANTS[:3] if whole else CONSTANTS), **words}
    if op not in POINTWISE:
        made["engine"] = rng.choice(("auto", "auto", "direct", "separable", "fft", "fft"))
        made["extent"] = rng.choice(("same", "same", "same", "full", "valid"))
    return made


CONSTANTS = (0, 3, -7, 0.5, 0.1, 12.75, 1e6)


def border(rng: random.Random, over: str, constants: tuple[float, ...]) -> dict:
    """Return a rule for every axis, most often the same one."""
    rules = [rng.choice(RULES)] * len(over) if rng.random() < 0.7 else [rng.choice(RULES) for _ in over]
    value = rng.choice(constants)
    return {a: {"rule": r} | ({"value": value} if r == "constant" else {}) for a, r in zip(over, rules, strict=True)}


POINTWISE = ("rescale", "abs", "clip")


def _own(rng, over, *, whole):
    """Return an operator with weights of its own: of rank 1, nearly so, or any, with zeros among them, huge or tiny."""
    draw = np.random.default_rng(rng.getrandbits(32))
    shape = [rng.randint(1, 7 if len(over) == 2 else 4) for _ in over]
    plain, whole = whole, whole or rng.random() < 0.4
    kind = rng.random()
    grid = draw.integers(-9, 10, shape) if whole else draw.standard_normal(shape)
    if kind < 0.3:
        lines = [draw.integers(-4, 5, n) if whole else draw.standard_normal(n) for n in shape]
        grid = lines[0]
        for line in lines[1:]:
            grid = np.multiply.outer(grid, line)
        if not whole and rng.random() < 0.4:
            grid = grid + draw.standard_normal(shape) * 10.0 ** rng.choice((-15.5, -15, -14, -9))  # near rank 1
    if rng.random() < 0.4:
        grid[draw.random(shape) < 0.5] = 0
    words = {"kernel": grid.tolist()}
    if not whole and rng.random() < 0.15:
        words["kernel"] = (grid * 10.0 ** rng.choice((-46, -20, 20, 39))).tolist()
    if rng.random() < 0.3 and not plain:
        words["divide_by"] = rng.choice((2.0, 9.0, -3.5, 1e-3))
    if rng.random() < 0.2:
        words["offset"] = rng.choice((1.0, 1e5, -40.0) if plain else (1.0, -2.5, 1e5))
    return rng.choice(("convolve", "correlate")), words


def _drawn(rng, table, over):
    """Return an operator of *table* with a word for each of its parameters; those over volumes stay small."""
    op, choices = rng.choice(table)
    words = {name: rng.choice(values) for name, values in choices.items()}
    if over == "zyx" and "sigma" in words:
        words["sigma"] = min(words["sigma"], 0.8)
    if "component" in words and rng.random() < 0.5:
        words["component"] = rng.choice(over)
    return op, words


GRADIENTS = ("sobel", "scharr", "prewitt")
PLAIN = (("laplacian", {}), ("sharpen", {}), ("abs", {}))
OPERATORS = (
    *PLAIN,
    *((name, {"component": ("x", "y", "magnitude")}) for name in (*GRADIENTS, "edge")),
    ("box", {"size": (1, 2, 3, 4, 5, 6)}),
    ("gaussian", {"sigma": (0.4, 1, 1.7, 3)}),
    ("disk", {"radius": (1, 2, 2.5, 3)}),
    ("unsharp", {"sigma": (0.6, 1.2), "amount": (0.6, 1, -0.5, 3), "threshold": (0, 0, 2)}),
    ("rescale", {"gain": (1, 2, -1, 0.5, 0.1), "offset": (0, 5, -0.25)}),
    ("clip", {"range": ([-3, 90], [0, 1000.5], [-1e9, 1e9])}),
)
WHOLE = (
    *PLAIN,
    *((name, {"component": ("x", "y")}) for name in GRADIENTS),
    ("rescale", {"gain": (1, 2, -1), "offset": (0, 5)}),
    ("clip", {"range": ([-3, 90], [0, 1000], [-1e9, 1e9])}),
)
