"""Commands that run no pipeline: operators, the schema, samples, calibration, pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tileconv.options import argument, as_json, completed, memory, operators, option, place, samples, size_of
from tileconv.printing import json_text, print_, refuse, rich_text
from tileconv.signals import cleaning

if TYPE_CHECKING:
    from tileconv.sources.source import Source

SAMPLE_TILE_PX = 256 * 256


@click.argument("name", required=False, help="One of them, explained.", shell_complete=completed(operators))
@as_json
def ops(name: str | None, *, as_json: bool) -> None:
    """List the operators and their parameters, or explain one."""
    from tileconv.report.operators import operator_list, operator_text
    from tileconv.spec import operator_table
    from tileconv.spec.reader import did_you_mean

    records = {record["name"]: record for record in operator_table()}
    if name is None:
        shown = list(records.values())
        print_(json_text(shown) if as_json else rich_text(operator_list(shown), wrap=True), alone=True)
    elif name in records:
        print_(json_text(records[name]) if as_json else operator_text(records[name]), alone=True)
    else:
        refuse(f"there is no operator {name}; {did_you_mean(name, records) or 'tileconv ops lists them'}")


def schema() -> None:
    """Print the JSON Schema of pipeline files, for editors."""
    from tileconv.spec.schema import json_schema

    print_(json_text(json_schema()), alone=True)


@click.argument(
    "name",
    required=False,
    help="A photograph, such as hubble, or synthetic; none lists them.",
    shell_complete=completed(samples),
)
@argument("path", required=False, help="The file to write: .tif or .zarr.")
@option("--output", "-o", help="The same, as an option.")
@click.option("--shape", metavar="HEIGHT,WIDTH", help="Pixels of a synthetic image.")
@click.option("--size", metavar="WIDTHxHEIGHT", help="The same.")
@click.option("--dtype", help="Pixel type of a synthetic image.")
@click.option("--seed", default=0, show_default=True, help="Another number, another synthetic image.")
@click.option("--compression", type=click.Choice(["deflate", "lzw", "zstd"]), help="Of a TIFF.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def sample(
    name: str | None,
    path: Path | None,
    output: Path | None,
    shape: str | None,
    size: str | None,
    dtype: str | None,
    seed: int,
    compression: Literal["deflate", "lzw", "zstd"] | None,
    *,
    overwrite: bool,
) -> None:
    """Write an image to try things on, or list those that there are."""
    from tileconv.report.terminal import TerminalProgress
    from tileconv.samples import sample_names, write_sample

    if name is None and output is None:
        print_("\n".join([*sample_names(), "", "tileconv sample NAME -o NAME.tif writes one of them"]))
        return
    name, target = _target(name or "synthetic", path, output, sample_names())
    with cleaning(), TerminalProgress(sys.stderr) as bar:

        def progress(done: int, of: int) -> None:
            if done == 1:
                bar.begin(of, of * SAMPLE_TILE_PX)
            bar.tile(SAMPLE_TILE_PX)

        write_sample(
            name,
            target,
            shape=size_of(shape, size),
            dtype=dtype,
            seed=seed,
            compression=compression,
            overwrite=overwrite,
            progress=progress,
        )
    print_(str(target))


def _target(name: str, path: Path | None, output: Path | None, names: Sequence[str]) -> tuple[str, Path]:
    """Return which of *names* is written, and where; one word alone may be either."""
    if name not in names and path is None and output is None:
        name, path = "synthetic", Path(name)
    target = output or path
    if target is None:
        refuse(f"expected the file to write, as in: tileconv sample {name} -o {name}.tif")
    if target.suffix == "" and output is None:
        refuse(f"expected one of {', '.join(names)}, or a file to write, found {target}")
    return name, target


@option("--output", "-o", help="Where to keep them; by default for this user.")
def calibrate(output: Path | None) -> None:
    """Measure this machine's engines, so that plans choose by its own costs."""
    from tileconv.allocator import keep_freed_memory
    from tileconv.engines.calibrate import calibrate as measure
    from tileconv.engines.cost import check_writable, own_costs

    keep_freed_memory()  # as a run does
    target = output or own_costs()
    if target is None:
        refuse("there is no home to keep them in: give --output, or set XDG_CONFIG_HOME, here and where plans are made")
    check_writable(target)
    measure(lambda said: sys.stderr.write(f"{said}\n")).write(target)
    print_(str(target))


@argument("model", help="The network: .onnx, or .safetensors.")
@option("--output", "-o", required=True, help="The pipeline file to write; weights lie beside it.")
@click.option("--input", "-i", "image", metavar="PATH", default="image.tif", help="The image that it reads.")
def import_network(model: Path, output: Path, image: str) -> None:
    """Write a pipeline of the layers of a trained network."""
    from tileconv.networks import import_network as written

    print_("\n".join(map(str, written(model, output, image))))


@argument("image", type=place, help="An image: a result, or anything that tileconv reads.")
@option("--output", "-o", "png", required=True, help="The PNG to write.")
@click.option("--max-px", type=click.IntRange(1), default=1024, show_default=True, help="Longest side, in pixels.")
@click.option("--signed", is_flag=True, help="Blue above zero, red below, white at zero.")
@click.option(
    "--zoom",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Pixels of the picture along each that is shown.",
)
@click.option("--series", type=click.IntRange(0), default=0, help="As input.series of a pipeline file.")
@click.option("--level", type=click.IntRange(0), help="As input.level; else the smallest that is large enough.")
@click.option("--axes", help="As input.axes.")
@click.option("--max-chunk", metavar="SIZE", type=memory, help="As run.max_chunk.")
def picture(
    image: Path | str,
    png: Path,
    max_px: int,
    zoom: int,
    series: int,
    level: int | None,
    axes: str | None,
    max_chunk: int | None,
    *,
    signed: bool,
) -> None:
    """Write a small PNG of an image of any size."""
    from tileconv.report.picture import smallest_level, write_picture
    from tileconv.sources.open import open_source
    from tileconv.stores.location import here

    if png.suffix.lower() != ".png":
        refuse(f"a picture ends in .png, found {png.name}")
    with cleaning():
        found = here(image) if isinstance(image, str) else image

        def opened(level: int) -> Source:
            return open_source(found, series=series, level=level, axes=axes, max_chunk=max_chunk, own_mask=True)

        source = smallest_level(opened, max(1, max_px // zoom)) if level is None else opened(level)
        write_picture(source, png, max_px=max_px, signed=signed, zoom=zoom)
    print_(str(png))
