"""One chain judged: the same bytes for every tiling, the right pixels and NaN, no error above the printed bound."""

import re
from dataclasses import dataclass, field

import numpy as np

from tests.chains import oracle
from tests.chains.draw import Case
from tests.properties.runs_help import by_plan, overlapped, pipeline, plan_of, tiled, windows
from tileconv.errors import PlanError, SpecError, TileError

REFUSED = PlanError, SpecError, TileError


class Wrong(AssertionError):  # noqa: N818 what is looked for
    """A chain of which tileconv makes something that must not be."""


@dataclass
class Verdict:
    """What became of a chain: ``refused`` with a reason, or its largest error over the bound and over the expected."""

    refused: str = ""
    of_bound: float = 0.0
    of_expected: float | None = None
    exact: bool = False
    engines: tuple[str, ...] = field(default_factory=tuple)


def judge(case: Case) -> Verdict:
    """Return the verdict on *case*.

    Raises
    ------
    Wrong
        What is wrong, with the first place.
    """
    words = dict(case.words)
    nodata = words.pop("nodata", None)
    more = {"input_": {"nodata": nodata}} if nodata is not None else {}
    try:
        plan = plan_of(tiled(case.stages, None, **words, **more), case.image, case.axes)
        whole, _ = by_plan(plan, case.image, case.axes)
    except REFUSED as error:
        return Verdict(refused=re.sub(r"[0-9.,]+", "N", str(error.problem))[:70])
    _same_bytes(case, words, more, whole)
    steps = [step for work in plan.passes for step in work.stages]
    truth = Truth(case, words.get("missing"), nodata, steps)
    verdict = truth.compare(whole)
    verdict.engines = tuple(sorted({c.engine for step in steps for c in step.choices}))
    return verdict


def _same_bytes(case: Case, words: dict, more: dict, whole: np.ndarray) -> None:
    output = words.get("output", {}) | {"chunks": case.tile}
    ways = {
        "tile": lambda: windows(
            pipeline(case.stages, **words | {"output": output}, **more, run={"tile": case.tile}), case.image, case.axes
        )[0]
    }
    if case.chunks[-1] % 4 == 0:
        ways["chunks"] = lambda: overlapped(
            tiled(case.stages, None, **words, **more), case.image, case.chunks, case.axes
        )
    for name, make in ways.items():
        made = make()
        if made.shape != whole.shape or made.dtype != whole.dtype or made.tobytes() != whole.tobytes():
            raise Wrong(f"bytes depend on the {name}: {_first(made, whole)}")


def _first(made, whole):
    if made.shape != whole.shape or made.dtype != whole.dtype:
        return f"{made.shape} {made.dtype} against {whole.shape} {whole.dtype}"
    one, other = (np.ascontiguousarray(a).view(f"V{a.itemsize}") for a in (made, whole))
    at = np.argwhere(one != other)[0]
    return f"at {tuple(at)}: {made[tuple(at)]} against {whole[tuple(at)]}"


class Truth:
    """The right pixels of a chain with what they may be wrong by."""

    def __init__(self, case: Case, missing: dict | None, nodata: float | None, steps: list) -> None:
        axes = len(case.stages[0]["over"])
        image = case.image
        absent = np.isnan(image) if image.dtype.kind == "f" else np.zeros(image.shape, bool)
        if nodata is not None:
            absent = absent | (image == nodata)
        rules = [[(b["rule"], b.get("value", 0)) for b in (s["border"][a] for a in s["over"])] for s in case.stages]
        fill = missing["value"] if missing and missing["rule"] == "fill" else 0
        whole = (
            image.dtype.kind in "iu"
            and float(fill).is_integer()
            and not (missing and missing["rule"] == "propagate" and absent.any())
        )
        words = [
            {k: v for k, v in s.items() if k not in {"op", "over", "border", "extent", "engine"}} for s in case.stages
        ]
        self.exact = (
            whole
            and case.words["precision"] == "auto"
            and all(oracle.stays_whole(s["op"], w, axes, r) for s, w, r in zip(case.stages, words, rules, strict=True))
        )
        self.exact = self.exact and all(step.values_out.whole for step in steps)  # else the plan promises a bound
        pixels = image.astype(object if self.exact else oracle.WIDE)
        if missing:
            pixels = np.where(
                absent,
                int(fill) if self.exact else (np.nan if missing["rule"] == "propagate" else oracle.WIDE(fill)),
                pixels,
            )
        self.bound, self.expected, self.doubtful = 0.0, 0.0, np.False_
        for spec, own, rule, step in zip(case.stages, words, rules, steps, strict=True):
            before = pixels
            pixels = oracle.stage(pixels, spec["op"], own, axes, rule, spec.get("extent", "same"))
            self._grow(spec, own, axes, rule, step, before)
            if not self.exact:
                pixels = self._held(pixels, step.values_out.dtype)
        self.pixels, self.dtype = pixels, steps[-1].values_out.dtype

    def _grow(self, spec, words, axes, rules, step, before) -> None:
        """Add what a stage may be wrong by, and what it is expected to be, to what it enlarges of before."""
        op, extent = spec["op"], spec.get("extent", "same")
        if not self.exact and step.values_out.dtype == np.float32 and beyond(before, np.float32):
            raise Doubtful  # such pixels are infinite in the type that was asked for
        sizes = np.abs(before[np.isfinite(before.astype(float))]) if before.dtype != object else np.abs(before.ravel())
        constants = [abs(v) for rule, v in rules if rule == "constant"]
        peak = float(max([*sizes.tolist(), *constants, 0.0]))
        gain = oracle.gain(op, words, axes)
        share = {"": 1.0, "max |pixel|": peak, "max(1, |pixel|)": max(1.0, peak)}[step.error_unit]
        self.bound = gain * self.bound + step.error_bound * share + self._tiny(step, gain)
        expected = getattr(step, "expected_error", None)
        self.expected = (
            None
            if expected is None or self.expected is None
            else float(np.hypot(gain * self.expected, expected * share))
        )
        if op == "unsharp" and words.get("threshold"):
            plain = oracle.stage(before, op, words | {"threshold": 0.0, "amount": 1.0}, axes, rules, extent)
            own = oracle.stage(before, op, words | {"threshold": 0.0, "amount": 0.0}, axes, rules, extent)
            with np.errstate(all="ignore"):
                self.doubtful = np.abs(np.abs(plain - own) - words["threshold"]) <= self.bound

    def _tiny(self, step, gain: float) -> float:
        """Return what rounding to the smallest numbers of a type may cost, which no relative error counts."""
        if self.exact or step.values_out.dtype.kind != "f":
            return 0.0
        count = 4 + sum(int(np.prod(c.shape)) for c in step.choices)
        return float(np.finfo(step.values_out.dtype).smallest_subnormal) * count * (1 + gain)

    def _held(self, pixels, dtype):
        """Return *pixels* with infinity where the type of a stage's pixels ends; next to its end both are right."""
        if dtype.kind != "f":
            return pixels
        most = oracle.WIDE(np.finfo(dtype).max)
        with np.errstate(all="ignore"):
            sizes = np.abs(pixels)
            near = (np.abs(sizes - most) <= self.bound + most * np.finfo(dtype).eps) & np.isfinite(pixels)
            if near.any() or not np.isfinite(self.bound):
                raise Doubtful
            return np.where(sizes > most, np.copysign(oracle.WIDE(np.inf), pixels), pixels)

    def compare(self, made: np.ndarray) -> Verdict:
        """Return the verdict on *made*; Wrong if it is not what it must be."""
        if made.shape != self.pixels.shape:
            raise Wrong(f"shape {made.shape}, expected {self.pixels.shape}")
        if self.exact:
            return self._exactly(made)
        pixels = self.pixels
        if made.dtype.kind in "iu":
            return self._as_integers(made)
        if made.dtype != self.dtype:
            most = oracle.WIDE(np.finfo(made.dtype).max)
            clip = made.dtype.itemsize < self.dtype.itemsize
            finite = np.isfinite(pixels)
            pixels = np.where(finite & clip, np.clip(np.where(finite, pixels, 0), -most, most), pixels)
            self.expected = None  # it does not count the output's rounding
            self.bound += float(np.finfo(made.dtype).eps) * float(np.abs(pixels[finite]).max(initial=0)) + float(
                np.finfo(made.dtype).smallest_subnormal
            )
        wide = made.astype(oracle.WIDE)
        for name, which in (("NaN", np.isnan), ("infinity", np.isposinf), ("-infinity", np.isneginf)):
            if (bad := (which(wide) != which(pixels)) & ~self.doubtful).any():
                at = tuple(np.argwhere(bad)[0])
                raise Wrong(f"{name} differs at {at}: {made[at]}, expected {pixels[at]}; {int(bad.sum())} pixels")
        bits = made[np.isnan(made)].tobytes()
        if bits != np.full(int(np.isnan(made).sum()), np.nan, made.dtype).tobytes():
            raise Wrong("a NaN of another form")
        use = np.isfinite(pixels) & ~self.doubtful
        error = np.abs(np.where(use, wide, 0) - np.where(use, pixels, 0))
        largest = float(error.max(initial=0))
        if largest > self.bound * (1 + 1e-9):
            at = tuple(map(int, np.unravel_index(int(error.argmax()), made.shape)))
            told = f"error {largest:.3g} above the bound {self.bound:.3g}"
            raise Wrong(f"at {at}: {made[at]}, expected {pixels[at]}: {told}")
        of_expected = largest / self.expected if self.expected else None
        return Verdict(of_bound=largest / self.bound if self.bound else 0.0, of_expected=of_expected)

    def _exactly(self, made):
        right = self.pixels
        if made.dtype.kind in "iu":
            limits = np.iinfo(made.dtype)
            right = np.clip(right, int(limits.min), int(limits.max))
            values = [int(v) for v in made.ravel().tolist()]
            bad = [n for n, (a, b) in enumerate(zip(values, right.ravel().tolist(), strict=True)) if a != b]
        else:
            values = made.ravel().tolist()
            eps = float(np.finfo(made.dtype).eps)
            slack = [self.bound + eps * abs(int(b)) for b in right.ravel()]
            bad = [
                n
                for n, (a, b, s) in enumerate(zip(values, right.ravel().tolist(), slack, strict=True))
                if abs(oracle.WIDE(a) - oracle.WIDE(int(b))) > s
            ]
        if bad:
            at = tuple(map(int, np.unravel_index(bad[0], made.shape)))
            raise Wrong(f"whole numbers: {made[at]} at {at}, expected {right[at]}; {len(bad)} pixels")
        return Verdict(exact=True)

    def _as_integers(self, made):
        pixels = self.pixels
        if np.isnan(pixels).any() and not self.doubtful.any():
            raise Wrong("an integer where NaN is right")
        limits = np.iinfo(made.dtype)
        with np.errstate(all="ignore"):
            low = np.rint(np.clip(pixels - self.bound, int(limits.min), int(limits.max)))
            high = np.rint(np.clip(pixels + self.bound, int(limits.min), int(limits.max)))
        wide = made.astype(oracle.WIDE)
        bad = ((wide < low) | (wide > high)) & ~self.doubtful
        if bad.any():
            at = tuple(map(int, np.argwhere(bad)[0]))
            raise Wrong(f"at {at}: {made[at]}, expected {low[at]} to {high[at]}")
        return Verdict()


def beyond(pixels: np.ndarray, dtype: type) -> bool:
    """Return whether finite *pixels* leave the range of *dtype*."""
    sizes = np.abs(pixels[np.isfinite(pixels)])
    return bool(sizes.size and sizes.max() > np.finfo(dtype).max)


class Doubtful(Exception):  # noqa: N818 not an error: the case says nothing
    """The true value lies next to the end of a type's range, where both answers are right."""
