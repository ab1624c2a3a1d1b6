"""The command that learns a kernel from two images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tileconv.options import argument, as_json, memory, option, overwrite
from tileconv.printing import interruptible, json_text, print_, refuse


@argument("before", help="An image.")
@argument("after", help="What it is to become: an image of the same shape, or a mask.")
@option("--output", "-o", required=True, help="The pipeline (.yaml) to write, with a picture beside it.")
@click.option("--size", metavar="N|HxW|DxHxW", default="9", show_default=True, help="Weights along each axis.")
@click.option("--over", help="Axes that the kernel runs over: yx or zyx.")
@click.option(
    "--target",
    type=click.Choice(["image", "mask"]),
    default="image",
    show_default=True,
    help="What the second image is; of a mask log odds are learned.",
)
@click.option("--ridge", default=0.0, show_default=True, help="How strongly short weights are preferred.")
@click.option("--symmetric", metavar="NAMES", default="", help="Of z, y, x, point, transpose, rotate.")
@click.option("--non-negative", is_flag=True, help="No weight is below 0.")
@click.option("--sum-one", is_flag=True, help="The weights sum to 1.")
@click.option("--zero-sum", is_flag=True, help="The weights sum to 0.")
@option("--mask", help="An image that is 0 where pixels do not count.")
@click.option("--validation", metavar="SHARE", default=0.0, help="Share of the blocks that is held out.")
@click.option("--border", help="What lies outside; by default pixels there do not count.")
@click.option("--axes", help="As input.axes of a pipeline file.")
@click.option("--tile", type=click.IntRange(1), help="Pixels along y and x.")
@click.option("--workers", type=click.IntRange(1), help="As run.workers.")
@click.option("--memory", metavar="SIZE", type=memory, help="As run.memory.")
@click.option("--executor", default="threads", show_default=True, help="As run.executor.")
@overwrite
@as_json
def learn(before: Path, after: Path, output: Path, size: str, *, as_json: bool, **words: Any) -> None:
    """Learn the kernel that best makes one image of another, and write it as a pipeline.

    Least squares in one pass over images of any size; what passes between workers is gone afterwards, and a pass that
    is killed begins anew.
    """
    from tileconv import learning  # with all libraries
    from tileconv.report.terminal import TerminalProgress

    with interruptible(), TerminalProgress(sys.stderr) as progress:
        learned = learning.learn(before, after, size=_size(size), output=output, **words, progress=progress)
    lines = [str(output), *(f"{name:<11}{said}" for name, said in learned.rows().items() if said)]
    print_(json_text(learned.as_json()) if as_json else "\n".join(lines))


def _size(text: str) -> int | list[int]:
    """Return what ``learn`` takes as size; a usage error where *text* says none."""
    sizes = text.split("x")
    if not all(part.isascii() and part.isdecimal() for part in sizes):
        refuse(f"expected a size such as 9, 5x7 or 3x5x7, found {text}")
    return int(text) if len(sizes) == 1 else [int(part) for part in sizes]
