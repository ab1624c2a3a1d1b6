"""Arguments and options that several commands take, and paths, which name files of this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer


def local(text: str) -> Path:
    """Return the path that *text* names, a relative one as it is; a usage error where it is none of this machine."""
    from tileconv.spec.paths import located

    try:
        whole = located(text, Path())
    except ValueError as error:
        raise typer.BadParameter(f"expected a path, found {text!r}: {error}") from None
    return Path(whole if text.startswith("file:") else text)


def only(given: list[str] | None, option: str) -> str | None:
    """Return the value of an option that is given once or not at all; a usage error where it is given again."""
    if given and len(given) > 1:
        raise typer.BadParameter(f"{option} is given {len(given)} times: a run has one, so run each image by itself")
    return given[0] if given else None


argument = partial(typer.Argument, parser=local)
option = partial(typer.Option, metavar="PATH", parser=local)

Pipeline = Annotated[Path, argument(metavar="PIPELINE", help="The pipeline file (YAML).")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override, as stages.0.sigma=3.")]
Input = Annotated[list[str] | None, typer.Option("--input", "-i", metavar="PATH", help="Replaces input.path.")]
Output = Annotated[
    list[str] | None,
    typer.Option("--output", "-o", metavar="PATH", help="Replaces output.path; {stem} and {parent} of the input."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that tileconv made.")]
Compression = Literal["deflate", "lzw", "zstd"]
