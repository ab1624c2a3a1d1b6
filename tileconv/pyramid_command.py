"""The command that adds levels to an image, where it lies or in a new store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from tileconv.options import Place, argument, as_json, memory, option, overwrite, place, watched
from tileconv.printing import json_text, print_, refuse, watched_call

if TYPE_CHECKING:
    from tileconv.progress import Progress

    Watch = Callable[[], AbstractContextManager[Progress]]

METHODS = ("auto", "mean", "gaussian", "nearest", "mode", "median")


@argument("image", metavar="STORE", type=place, help="An OME-Zarr image; with -o anything that tileconv reads.")
@click.option("--in-place", is_flag=True, help="Add the levels where the image lies.")
@option("--output", "-o", type=place, help="Write the image with its levels to a new store.")
@click.option("--levels", metavar="N", default="auto", show_default=True, help="How many there are with the full size.")
@click.option("--method", type=click.Choice(METHODS), default="auto", help="As output.pyramid.method.")
@click.option("--workers", type=click.IntRange(1), help="As run.workers.")
@click.option("--memory", metavar="SIZE", type=memory, help="As run.memory; with -o.")
@overwrite
@watched
@as_json
def pyramid(
    image: Place, output: Place | None, levels: str, method: str, workers: int | None, memory: int | None, *,
    in_place: bool, overwrite: bool, watch: Watch, as_json: bool,
) -> None:  # fmt: skip
    """Add smaller levels to an image, so that one of any size can be looked at.

    Levels that are there stay as they are. The image can be read meanwhile; the same command makes what is left.
    """
    if in_place == (output is not None):
        refuse("give --in-place, or a new store with -o")
    if levels != "auto" and not (levels.isascii() and levels.isdecimal() and int(levels) > 0):
        refuse(f"expected auto or a number of levels, found {levels}")
    count: Any = levels if levels == "auto" else int(levels)
    if output is not None:
        _copy(image, output, {"levels": count, "method": method}, workers, memory, overwrite, watch, as_json)
        return
    from tileconv.execute.pyramid import add_levels
    from tileconv.spec.pyramid import PyramidSpec

    asked = PyramidSpec(levels=count, method=method)  # type: ignore[arg-type]
    added = watched_call(lambda progress: add_levels(image, asked, workers=workers, progress=progress), watch)
    if as_json:
        print_(json_text(added.as_json()))
        return
    sizes = ", ".join(" x ".join(map(str, shape)) for shape in added.shapes)
    print_(f"{added.output}\nlevels     {len(added.shapes)}, {added.added} of them added: {sizes}")


def _copy(
    image: Place, output: Place, pyramid: dict[str, Any], workers: int | None, memory: int | None, overwrite: bool,
    watch: Watch, as_json: bool,
) -> None:  # fmt: skip
    from tileconv.execute.prepare import planned
    from tileconv.execute.pyramid import as_pipeline
    from tileconv.execute.run import run_plan
    from tileconv.report.terminal import summary

    spec = as_pipeline(image, output, pyramid, {"workers": workers, "memory": memory})
    report = watched_call(lambda progress: run_plan(*planned(spec), overwrite=overwrite, progress=progress), watch)
    print_(json_text(report.as_json()) if as_json else summary(report))
