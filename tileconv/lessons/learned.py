"""What was learned: a kernel and its offset as a stage, and how well it does."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.quick import dataclass
from tileconv.shown import Shown, rate_text, size_text, tiles_text

FIRST = "# Learned by tileconv"
"""How a file that may be replaced begins."""


@dataclass(frozen=True, repr=False, eq=False)
class Learned(Shown):
    """The kernel that best makes one image of another, and figures of it.

    Attributes
    ----------
    weights
        One axis per letter of ``over``; they slide over the image as they are (correlation), centred at ``n // 2``.
    offset
        What is added to the sum under the weights. Of marked pixels both together are log odds.
    border
        What was taken to lie outside the image, as a pipeline file says it; None where pixels did not count whose
        kernel leaves the image.
    target
        ``image``, or ``mask`` where marked pixels were told from others.
    residual
        Root of the mean square that the model leaves; of marked pixels the mean loss, in nats.
    explained, explained_held_out
        The share of the variance (of the loss: McFadden 1974) that the model explains, of the pixels that it was
        learned from and of those held out; NaN where there is none.
    condition
        Of the normal equations: their largest eigenvalue divided by their least.
    pixels, held_out, left_out
        Pixels that the kernel was learned from, that were held out, and that did not count: missing or masked.
    passes
        How often the images were read.
    peak_bytes, predicted_bytes
        Peak memory of this process as the system counts it, and what was predicted for all local ones together.
    notes
        What a reader of the numbers should know.
    """

    weights: NDArray[np.float64]
    offset: float
    over: str
    border: str | dict[str, Any] | None
    target: str
    residual: float
    explained: float
    explained_held_out: float
    condition: float
    pixels: int
    held_out: int
    left_out: int
    passes: int
    tiles: int
    seconds: float
    megapixels_per_second: float
    peak_bytes: int
    predicted_bytes: int
    notes: tuple[str, ...] = ()

    @property
    def stage(self) -> dict[str, Any]:
        """The stage of a pipeline that does what was learned."""
        over = {"over": self.over} if self.over != "yx" else {}
        return {"op": "correlate", "kernel": self.weights.tolist(), "offset": self.offset, **over}

    def rows(self) -> dict[str, str]:
        """Return what is worth knowing, by name."""
        marked = self.target == "mask"
        tried, size = self.explained_held_out, " x ".join(map(str, self.weights.shape))
        held = "" if math.isnan(tried) else f", {_share(tried)} of what was held out"
        return {
            "kernel": f"{size}, sum {self.weights.sum():.6g}, offset {self.offset:.6g}",
            "residual": f"{self.residual:.6g}, {'mean loss in nats' if marked else 'root mean square'}",
            "explained": f"{_share(self.explained)} of the {'loss' if marked else 'variance'}{held}",
            "condition": f"{self.condition:.3g}",
            "pixels": f"{self.pixels:,} learned from, {self.held_out:,} held out, {self.left_out:,} left out",
            "time": f"{self.seconds:.1f} s, {rate_text(self.megapixels_per_second)}, "
            f"{self.passes} pass{'es' * (self.passes != 1)} of {tiles_text(self.tiles)}",
            "memory": f"{size_text(self.peak_bytes)} at most here, {size_text(self.predicted_bytes)} predicted",
            "notes": "; ".join(self.notes),
        }

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.weights.shape))
        return f"<Learned: {size}, offset {self.offset:.6g}, {_share(self.explained)} explained>"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values; what is no finite number is null."""
        plain = {name: value for name, value in vars(self).items() if name != "weights"}
        numbers = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in plain.items()}
        return {"weights": self.weights.tolist(), **numbers}

    def text(self, image: Mapping[str, str], output: Path, *, missing: bool) -> str:
        """Return a pipeline file that does what was learned.

        Its input is *image*, as a pipeline file says it, or none; pixels may be *missing* there. Its output lies
        beside the file *output*.
        """
        lines = [
            f"{FIRST}: {self.rows()['kernel']}; explains {self.rows()['explained']}.",
            "# The weights slide over the image as written (correlation), centred at index n // 2."
            + " Sum and offset are log odds: above 0 a pixel is marked rather than not." * (self.target == "mask"),
            "# For another image: tileconv run FILE --input OTHER --output OTHER.ome.zarr; or copy the stage.",
            "version: 1",
        ]
        if image:
            lines.append(f"input: {json.dumps(dict(image), ensure_ascii=False)}")
        lines += ["missing: {rule: propagate}"] * missing
        lines += ["stages:", "  - op: correlate", f"    offset: {self.offset!r}"]
        lines += [f"    over: {self.over}"] * (self.over != "yx") + ["    kernel:"]
        for plane in self.weights.tolist():
            if self.weights.ndim == 2:
                lines.append(f"      - [{', '.join(map(repr, plane))}]")
            else:
                rows = [f"[{', '.join(map(repr, row))}]" for row in plane]
                lines.append("      - [" + ",\n         ".join(rows) + "]")
        if self.border is not None:
            lines.append(f"border: {json.dumps(self.border)}")
        lines.append(f"output: {{path: {json.dumps(f'{output.stem}.ome.zarr', ensure_ascii=False)}}}")
        return "\n".join(lines) + "\n"


def _share(share: float) -> str:
    return "none" if math.isnan(share) else f"{100 * share:.6g} %"
