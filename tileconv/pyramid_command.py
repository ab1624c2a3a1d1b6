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
@click.option("--memory", metavar="SIZE", type=memory, help="As run.memory.")
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
    from tileconv.execute.pyramid import pyramid as made

    words: dict[str, Any] = {"levels": levels if levels == "auto" else int(levels), "method": method}
    words |= {"workers": workers, "memory": memory, "overwrite": overwrite}
    added = watched_call(lambda progress: made(image, output, **words, progress=progress), watch)
    print_(json_text(added.as_json()) if as_json else str(added))
