"""Rows of the table in docs/inputs.md: what a file can declare of its pixels, and what tileconv does with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from PIL import Image
from rich.console import Console

import tileconv
from tileconv.errors import PlanError, SourceError
from tileconv.images import ImageInfo
from tileconv.report.explain import explain
from tileconv.sources.open import open_source

GRAY = np.arange(20 * 24, dtype=np.uint8).reshape(20, 24) // 2
"""An image on which every axis can be told from the other, and no value is the largest."""


@dataclass(frozen=True)
class Row:
    """One thing that files of *format* can declare.

    ``does`` begins with ``used``, ``told`` or ``refused``. ``write`` makes a file that declares it in a folder and
    returns its path; ``says`` is a part of the note or the refusal; ``look`` looks at what came out, by default whether
    pixels are as other libraries read them.
    """

    format: str
    declares: str
    does: str
    write: Callable[[Path], Path]
    says: str = ""
    look: Callable[[Seen], None] | None = None


@dataclass
class Seen:
    """What tileconv makes of one file."""

    path: Path

    @property
    def info(self) -> ImageInfo:
        return open_source(self.path, own_mask=True).info

    @property
    def pixels(self) -> np.ndarray:
        source = open_source(self.path)
        return source.read(source.info.box)

    def spec(self, **words: Any) -> dict[str, Any]:
        """Return a pipeline that copies the image; words of ``input`` beside, and ``stages`` and ``missing``."""
        rest = {name: words.pop(name) for name in ("stages", "missing") if name in words}
        output = {"path": str(self.path.with_name("out.ome.zarr"))}
        return {"version": 1, "input": {"path": str(self.path), **words}, "stages": [], "output": output} | rest

    def stored(self) -> np.ndarray:
        """Return the pixels as other libraries read them, colours first."""
        if self.path.suffix == ".tif":
            pixels = tifffile.imread(self.path)
        elif self.path.suffix in (".png", ".jpg"):
            with Image.open(self.path) as picture:
                pixels = np.asarray(picture)
        else:
            return zarr.open_array(self.path / ("0" if self.path.name == "a.ome.zarr" else ""), mode="r")[...]
        return np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 and pixels.shape[-1] < 5 else pixels

    def plan(self) -> str:
        console = Console(width=1000, no_color=True)
        with console.capture() as said:
            console.print(explain(tileconv.plan(self.spec())))
        return said.get()

    def refusal(self) -> str:
        try:
            tileconv.plan(self.spec())
        except (SourceError, PlanError) as error:
            return str(error)
        return ""

    def result(self, **words: Any) -> Any:
        """Return the array of the result, and check that the report repeats every note."""
        report = tileconv.run(self.spec(**words), overwrite=True)
        assert set(self.info.notes) <= set(report.notes)
        return zarr.open_array(report.output / "0", mode="r")

    def georeference(self) -> tuple[Any, Any]:
        """Return reference system and transform by the attributes of the result."""
        attributes = self.result().attrs
        return attributes.get("proj:code", attributes.get("proj:wkt2")), attributes.get("spatial:transform")

    def omero(self) -> list[dict[str, Any]]:
        group = zarr.open_group(self.path.with_name("out.ome.zarr"), mode="r")
        return group.attrs["ome"]["omero"]["channels"]


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [f"| {row.format} | {row.declares} | {row.does} |" for row in rows]
    return "\n".join(["| format | what a file can declare | what tileconv does |", "| --- | --- | --- |", *lines])
