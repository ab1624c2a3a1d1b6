"""The command that learns a kernel from two images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tileconv.options import Json, Overwrite, argument, memory, option
from tileconv.printing import interruptible, json_text, print_, refuse

Target = Literal["image", "mask"]


def learn(
    before: Annotated[Path, argument(help="An image.")],
    after: Annotated[Path, argument(help="What it is to become: an image of the same shape, or a mask.")],
    output: Annotated[Path, option("--output", "-o", help="The pipeline (.yaml) to write, with a picture beside it.")],
    size: Annotated[str, typer.Option(metavar="N|HxW|DxHxW", help="Weights along each axis.")] = "9",
    over: Annotated[str | None, typer.Option(help="Axes that the kernel runs over: yx or zyx.")] = None,
    target: Annotated[Target, typer.Option(help="What the second image is; of a mask log odds are learned.")] = "image",
    ridge: Annotated[float, typer.Option(help="How strongly short weights are preferred.")] = 0.0,
    symmetric: Annotated[str, typer.Option(metavar="NAMES", help="Of z, y, x, point, transpose, rotate.")] = "",
    non_negative: Annotated[bool, typer.Option("--non-negative", help="No weight is below 0.")] = False,
    sum_one: Annotated[bool, typer.Option("--sum-one", help="The weights sum to 1.")] = False,
    zero_sum: Annotated[bool, typer.Option("--zero-sum", help="The weights sum to 0.")] = False,
    mask: Annotated[Path | None, option("--mask", help="An image that is 0 where pixels do not count.")] = None,
    validation: Annotated[float, typer.Option(metavar="SHARE", help="Share of the blocks that is held out.")] = 0.0,
    border: Annotated[str | None, typer.Option(help="What lies outside; by default pixels there do not count.")] = None,
    axes: Annotated[str | None, typer.Option(help="As input.axes of a pipeline file.")] = None,
    tile: Annotated[int | None, typer.Option(min=1, help="Pixels along y and x.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="As run.workers.")] = None,
    memory_: Annotated[
        int | None, typer.Option("--memory", metavar="SIZE", parser=memory, help="As run.memory.")
    ] = None,
    executor: Annotated[str, typer.Option(help="As run.executor.")] = "threads",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Learn the kernel that best makes one image of another, and write it as a pipeline.

    Least squares in one pass over images of any size; what passes between workers is gone afterwards, and a pass that
    is killed begins anew.
    """
    from tileconv import learning  # with all libraries
    from tileconv.engines.start import read_compiler_late
    from tileconv.report.terminal import TerminalProgress

    read_compiler_late()
    wishes = {"ridge": ridge, "symmetric": symmetric, "non_negative": non_negative, "sum_one": sum_one}
    words = wishes | {"zero_sum": zero_sum, "mask": mask, "validation": validation, "border": border, "axes": axes}
    words |= {"tile": tile, "workers": workers, "memory": memory_, "executor": executor, "overwrite": overwrite}
    words |= {"size": _size(size), "over": over, "target": target, "output": output}
    with interruptible(), TerminalProgress(sys.stderr) as progress:
        learned = learning.learn(before, after, **words, progress=progress)  # type: ignore[arg-type]  # checked there
    lines = [str(output), *(f"{name:<11}{said}" for name, said in learned.rows().items() if said)]
    print_(json_text(learned.as_json()) if as_json else "\n".join(lines))


def _size(text: str) -> int | list[int]:
    """Return what ``learn`` takes as size; a usage error where *text* says none."""
    sizes = text.split("x")
    if not all(part.isascii() and part.isdecimal() for part in sizes):
        refuse(f"expected a size such as 9, 5x7 or 3x5x7, found {text}")
    return int(text) if len(sizes) == 1 else [int(part) for part in sizes]
