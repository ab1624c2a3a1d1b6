"""The command that writes a store as one file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tileconv.options import Place, argument, as_json, place, watched
from tileconv.printing import json_text, print_, watched_call

if TYPE_CHECKING:
    from tileconv.progress import Progress


@argument("store", metavar="IMAGE", type=place, help="A result, or any image that tileconv reads.")
@argument("file", help="The file to write: .ome.tif; or .tif, a GeoTIFF and COG where the image lies on the earth.")
@click.option(
    "--codec",
    type=click.Choice(["deflate", "zstd", "lzw", "jpeg", "none"]),
    help="What compresses tiles; deflate by default.",
)
@click.option("--codec-level", type=click.IntRange(0), help="How hard it tries; of JPEG the quality.")
@click.option("--series", type=click.IntRange(0), default=0, help="As input.series of a pipeline file.")
@click.option("--workers", type=click.IntRange(1), help="As run.workers.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@watched
@as_json
def export(
    store: Place,
    file: Path,
    codec: str | None,
    codec_level: int | None,
    series: int,
    workers: int | None,
    *,
    overwrite: bool,
    watch: Callable[[], AbstractContextManager[Progress]],
    as_json: bool,
) -> None:
    """Write a result as one file: a pyramidal OME-TIFF, GeoTIFF or COG.

    Pixels pass through in tiles, and the file has its name once it is whole.
    """
    from tileconv.execute.export import export as exported

    made = watched_call(
        lambda progress: exported(
            store,
            file,
            codec=codec,
            level=codec_level,
            series=series,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        ),
        watch,
    )
    print_(json_text(made.as_json()) if as_json else str(made))
