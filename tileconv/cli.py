"""The command line: parse, call, print. Results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import gc
import json
import os
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from tileconv.errors import Interrupted, PlanError, SpecError, TileconvError
from tileconv.options import (
    Compression,
    Input,
    Json,
    Output,
    Overwrite,
    Pipeline,
    Set,
    argument,
    memory,
    only,
    operators,
    option,
    samples,
    size_of,
)
from tileconv.signals import cleaning
from tileconv.streams import lost

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rich.console import RenderableType

    from tileconv.execute.report import Report
    from tileconv.spec import PipelineSpec

    Command = TypeVar("Command", bound=Callable[..., None])

app = typer.Typer(
    help="Convolve images too large for memory: a pipeline file (YAML) in, OME-Zarr out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RARELY = 100_000
"""New objects between two searches for garbage: imports make many, and none of it (measured: docs/performance.md)."""
SAMPLE_TILE_PX = 256 * 256


def _command(function: Command) -> Command:
    """Make *function* a command, whose line in the list of all is the first of its docstring, whatever its length."""
    return app.command(short_help=(function.__doc__ or "").partition("\n\n")[0])(function)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print_(f"tileconv {version('tileconv')}")
        raise typer.Exit


@app.callback()
def _of_all(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@_command
def run(
    spec: Pipeline,
    set_: Set = None,
    input_: Input = None,
    output: Output = None,
    overwrite: Overwrite = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Make the other tiles when one fails.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Verify the output first; make what is damaged again.")] = (
        False
    ),
    as_json: Json = False,
) -> None:
    """Run a pipeline, or what is left of an unfinished run, and print where the result lies.

    Loops are compiled by the first run and kept for others; NUMBA_CACHE_DIR names another folder for them.
    """
    if repair and overwrite:
        _refuse("give --repair or --overwrite, not both")
    loaded = _load(spec, set_, input_, output)
    with _announced(loaded) if repair else nullcontext():
        from tileconv import api  # with all libraries

        work = partial(api.run, loaded, overwrite=overwrite, keep_going=keep_going, repair=repair)
        _report(work, as_json=as_json, repair=repair)


@_command
def rerun(
    made: Annotated[Path, argument(metavar="OUT", help="A finished output; its run folder is not needed.")],
    output: Annotated[Path | None, option("--output", "-o", help="By default OUT.rerun.ome.zarr beside it.")] = None,
    input_: Annotated[Path | None, option("--input", "-i", help="Where the input lies now.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Make a result once more, from the provenance that it carries."""
    from tileconv import api

    def note(text: str) -> None:
        sys.stderr.write(f"note: {text}\n")

    _report(partial(api.rerun, made, output, input_path=input_, overwrite=overwrite, note=note), as_json=as_json)


def _announced(loaded: PipelineSpec) -> AbstractContextManager[None]:
    from tileconv.record.folder import announced

    return announced(Path(loaded.output.path), hold=loaded.run.lock == "auto")


def _report(work: Callable[..., Report], *, as_json: bool, repair: bool = False) -> None:
    """Do *work* with progress on stderr, and print its report; an interruption becomes its text and exit code."""
    from tileconv.engines import loops
    from tileconv.engines.start import read_compiler_late
    from tileconv.report.terminal import TerminalProgress, summary

    read_compiler_late()
    if kept := loops.note():
        sys.stderr.write(f"note: {kept}\n")
    try:
        with TerminalProgress(Console(stderr=True)) as progress:
            report = work(progress=progress)
    except Interrupted as end:
        sys.stderr.write(f"{end}\n")
        raise typer.Exit(end.exit_code) from None
    print_(_json(report.as_json()) if as_json else summary(report, repair=repair))


@_command
def verify(
    output: Annotated[Path, argument(help="The output of a run, beside its run folder.")],
    recompute: Annotated[
        str, typer.Option(metavar="SHARE", help="Also make a sample again and compare: 1%, or a number of boxes.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Another number, another sample.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare an output with what was written: exit code 0 when it is whole, 4 when anything differs."""
    from tileconv import api
    from tileconv.report.terminal import TerminalProgress, verification_text

    with TerminalProgress(Console(stderr=True)) as progress:
        found = api.verify(output, recompute=recompute, seed=seed, progress=progress)
    print_(_json(found.as_json()) if as_json else verification_text(found))
    raise typer.Exit(found.exit_code)


@_command
def status(output: Annotated[Path, argument(help="The output of a run.")], as_json: Json = False) -> None:
    """Tell how far a run is: exit code 0 when its output is complete, 3 when it is not."""
    from tileconv.audit.status import status as status_of
    from tileconv.report.terminal import status_lines

    found = status_of(output)
    if as_json:
        print_(_json(found.as_json()))
    else:
        print_(_text(status_lines(found)))
    raise typer.Exit(found.exit_code)


@_command
def check(spec: Pipeline, set_: Set = None, input_: Input = None, output: Output = None) -> None:
    """Check a pipeline file, print every problem at once, and look at its input and where its output will lie."""
    loaded = _load(spec, set_, input_, output)
    print_(f"{spec}: fine, {len(loaded.stages)} stage{'s' * (len(loaded.stages) != 1)}")
    from tileconv.execute.places import looked

    for line in looked(loaded):
        print_(line)


@_command
def plan(spec: Pipeline, set_: Set = None, input_: Input = None, output: Output = None, as_json: Json = False) -> None:
    """Print what a run would do, what it would need, and why."""
    from tileconv import api
    from tileconv.report.explain import explain

    made = api.plan(_load(spec, set_, input_, output))
    print_(_json(made.as_json()) if as_json else _text(explain(made)), alone=True)


@_command
def ops(
    name: Annotated[str | None, typer.Argument(help="One of them, explained.", autocompletion=operators)] = None,
    as_json: Json = False,
) -> None:
    """List the operators and their parameters, or explain one."""
    from tileconv.report.operators import operator_list, operator_text
    from tileconv.spec import operator_table
    from tileconv.spec.reader import did_you_mean

    records = {record["name"]: record for record in operator_table()}
    if name is None:
        shown = list(records.values())
        print_(_json(shown) if as_json else _text(operator_list(shown), wrap=True), alone=True)
    elif name in records:
        print_(_json(records[name]) if as_json else operator_text(records[name]), alone=True)
    else:
        _refuse(f"there is no operator {name}; {did_you_mean(name, records) or 'tileconv ops lists them'}")


@_command
def schema() -> None:
    """Print the JSON Schema of pipeline files, for editors."""
    from tileconv.spec.schema import json_schema

    print_(_json(json_schema()), alone=True)


@_command
def sample(
    name: Annotated[
        str | None,
        typer.Argument(help="A photograph, such as hubble, or synthetic; none lists them.", autocompletion=samples),
    ] = None,
    path: Annotated[Path | None, argument(help="The file to write: .tif or .zarr.")] = None,
    output: Annotated[Path | None, option("--output", "-o", help="The same, as an option.")] = None,
    shape: Annotated[str | None, typer.Option(help="Pixels of a synthetic image: HEIGHT,WIDTH.")] = None,
    size: Annotated[str | None, typer.Option(help="The same as WIDTHxHEIGHT.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Pixel type of a synthetic image.")] = None,
    seed: Annotated[int, typer.Option(help="Another number, another synthetic image.")] = 0,
    compression: Annotated[Compression | None, typer.Option(help="Of a TIFF.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write an image to try things on, or list those that there are."""
    from tileconv.report.terminal import TerminalProgress
    from tileconv.samples import sample_names, write_sample

    if name is None and output is None:
        print_("\n".join([*sample_names(), "", "tileconv sample NAME -o NAME.tif writes one of them"]))
        return
    name = name or "synthetic"
    if name not in sample_names() and path is None and output is None:
        name, path = "synthetic", Path(name)
    target = output or path
    if target is None:
        _refuse(f"expected the file to write, as in: tileconv sample {name} -o {name}.tif")
    if target.suffix == "" and output is None:
        _refuse(f"expected one of {', '.join(sample_names())}, or a file to write, found {target}")
    with cleaning(), TerminalProgress(Console(stderr=True)) as bar:

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


@_command
def calibrate(
    output: Annotated[
        Path | None, option("--output", "-o", help="Where to keep them; by default for this user.")
    ] = None,
) -> None:
    """Measure this machine's engines, so that plans choose by its own costs."""
    from tileconv.allocator import keep_freed_memory
    from tileconv.engines.calibrate import calibrate as measure
    from tileconv.engines.cost import check_writable, own_costs

    keep_freed_memory()  # as a run does
    target = output or own_costs()
    if target is None:
        _refuse(
            "there is no home to keep them in: give --output, or set XDG_CONFIG_HOME, here and where plans are made"
        )
    check_writable(target)
    measure(Console(stderr=True).print).write(target)
    print_(str(target))


@_command
def picture(
    image: Annotated[Path, argument(help="An image: a result, or anything that tileconv reads.")],
    png: Annotated[Path, option("--output", "-o", help="The PNG to write.")],
    max_px: Annotated[int, typer.Option(min=1, help="Longest side, in pixels.")] = 1024,
    series: Annotated[int, typer.Option(min=0, help="As input.series of a pipeline file.")] = 0,
    level: Annotated[int, typer.Option(min=0, help="As input.level.")] = 0,
    axes: Annotated[str | None, typer.Option(help="As input.axes.")] = None,
    max_chunk: Annotated[int | None, typer.Option(metavar="SIZE", parser=memory, help="As run.max_chunk.")] = None,
) -> None:
    """Write a small PNG of an image of any size."""
    from tileconv.report.picture import write_picture
    from tileconv.sources.open import open_source

    if png.suffix.lower() != ".png":
        _refuse(f"a picture ends in .png, found {png.name}")
    with cleaning():
        source = open_source(image, series=series, level=level, axes=axes, max_chunk=max_chunk)
        write_picture(source, png, max_px=max_px)
    print_(str(png))


def _load(spec: Path, overrides: list[str] | None, inputs: list[str] | None, outputs: list[str] | None) -> PipelineSpec:
    from tileconv.spec import load_spec

    input_, output = only(inputs, "--input"), only(outputs, "--output")
    return load_spec(spec, overrides or (), input_path=input_, output_path=output)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=str)


def _text(shown: RenderableType, *, wrap: bool = False) -> str:
    """Return what rich makes of *shown* for stdout; lines are as long as they need to be where there is no terminal."""
    console = Console(soft_wrap=not (wrap or sys.stdout.isatty()))
    with console.capture() as captured:
        console.print(shown, highlight=False)
    return captured.get().removesuffix("\n")


def print_(text: str, *, alone: bool = False) -> None:
    """Print a result; one that is this text *alone* must reach its reader, else the command fails."""
    sys.stdout.write(text + "\n")
    if not (why := lost()):
        return
    if alone:
        _fail(f"error: the result cannot be printed: {why}")
    sys.stderr.write(f"note: the exit code is that of the result, whose report cannot be printed: {why}\n")


def _fail(message: str, code: int = 1) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise SystemExit(code)


def _refuse(message: str) -> NoReturn:
    raise typer.BadParameter(message)


def main() -> None:
    """Run the command line; an error of ours becomes its message and its exit code, never a traceback."""
    gc.set_threshold(RARELY)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start threads that spin for work never given them
    try:
        app(standalone_mode=True, prog_name="tileconv")
    except TileconvError as error:
        sys.stderr.write(f"{error}\n" if isinstance(error, SpecError) else f"error: {error}\n")
        sys.stderr.writelines(f"{note}\n" for note in getattr(error, "__notes__", ()))
        raise SystemExit(error.exit_code) from None
    except UnicodeEncodeError as error:  # of a path: what is printed has a character for everything
        problem = f"the file system's encoding here, {error.encoding}, cannot name {error.object!r}"
        _fail(f"error: {problem}. Set a locale of UTF-8, as LC_ALL=C.UTF-8, or PYTHONUTF8=1.", PlanError.exit_code)
    except (MemoryError, OSError, RuntimeError) as error:
        from tileconv.retry import of_lack

        if not of_lack(error):
            raise
        _fail(
            "error: the system gives no more memory, threads or processes. Raise the limit (ulimit -a), or lower "
            "run.workers; then give the same command again."
        )
    except SystemExit as end:
        if (why := lost()) and not end.code:
            _fail(f"error: what was asked for cannot be printed: {why}")  # the help
        raise
    finally:
        gc.freeze()  # an interpreter that ends would look through all that is imported again
