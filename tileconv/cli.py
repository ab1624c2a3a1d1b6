"""The command line: parse, call, print. Results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tileconv import completion
from tileconv.errors import PlanError, SpecError, TileconvError
from tileconv.export_command import export
from tileconv.learn_command import learn
from tileconv.options import (
    Place,
    argument,
    as_json,
    batch_at,
    images,
    input_,
    only,
    option,
    output,
    overwrite,
    pipeline,
    place,
    set_,
    watched,
)
from tileconv.printing import end_with, fail, json_text, print_, refuse, rich_text, watched_call
from tileconv.pyramid_command import pyramid
from tileconv.streams import lost
from tileconv.tools import calibrate, import_network, ops, picture, sample, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tileconv.execute.report import Report
    from tileconv.progress import Progress
    from tileconv.spec import PipelineSpec

    Watch = Callable[[], AbstractContextManager[Progress]]


class InOrder(click.Group):
    """Lists its commands in the order in which they stand here."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 as click calls it
        """Return their names."""
        return list(self.commands)


@click.group(cls=InOrder, no_args_is_help=True)
@click.version_option(package_name="tileconv", message="%(prog)s %(version)s", help="Print the version and exit.")
@completion.install
@completion.show
def app() -> None:
    """Convolve images too large for memory: a pipeline file (YAML) in, OME-Zarr out."""


def _command(function: Callable[..., None]) -> click.Command:
    """Make *function* a command, whose line in the list of all is the first of its docstring, whatever its length."""
    return app.command(short_help=(function.__doc__ or "").partition("\n\n")[0])(function)


@_command
@pipeline
@images
@set_
@input_
@output
@overwrite
@click.option("--keep-going", is_flag=True, help="Make the other tiles when one fails.")
@click.option("--repair", is_flag=True, help="Verify the output first; make what is damaged again.")
@watched
@as_json
def run(
    spec: Path,
    images: Sequence[str],
    set_: Sequence[str],
    input_: Sequence[str],
    output: Sequence[str],
    *,
    overwrite: bool,
    keep_going: bool,
    repair: bool,
    watch: Watch,
    as_json: bool,
) -> None:
    """Run a pipeline, or what is left of an unfinished run, and print where the result lies.

    Loops are compiled by the first run and kept for others; NUMBA_CACHE_DIR names another folder for them.
    """
    if repair and overwrite:
        refuse("give --repair or --overwrite, not both")
    loaded = _load(spec, set_, (*input_, *images), output)
    words: dict[str, Any] = {"overwrite": overwrite, "keep_going": keep_going, "repair": repair}
    if loaded.is_batch:
        _batch(loaded, watch, as_json=as_json, **words)
    with _announced(loaded) if repair else nullcontext():
        from tileconv.execute.prepare import planned  # with all libraries
        from tileconv.execute.run import run_plan

        def call(progress: Progress) -> Report:
            return run_plan(*planned(loaded), progress=progress, **words)

        _report(call, watch, as_json=as_json, repair=repair)


@_command
@argument("done", metavar="OUT", type=place, help="A finished output; its run folder is not needed.")
@option("--output", "-o", type=place, help="By default OUT.rerun.ome.zarr beside it.")
@option("--input", "-i", "input_", type=place, help="Where the input lies now.")
@overwrite
@watched
@as_json
def rerun(
    done: Place, output: Place | None, input_: Place | None, *, overwrite: bool, watch: Watch, as_json: bool
) -> None:
    """Make a result once more, from the provenance that it carries."""
    from tileconv import api

    def call(progress: Progress) -> Report:
        return api.rerun(done, output, input_path=input_, overwrite=overwrite, note=progress.note, progress=progress)

    _report(call, watch, as_json=as_json)


@contextmanager
def _announced(loaded: PipelineSpec) -> Iterator[None]:
    from tileconv.record.folder import announced

    with ExitStack() as stack:
        for output in loaded.outputs:
            stack.enter_context(announced(output.path, hold=loaded.run.lock == "auto"))
        yield


def _report(call: Callable[[Progress], Report], watch: Watch, *, as_json: bool, repair: bool = False) -> None:
    """Make *call* while *watch* hears of it, and print its report."""
    from tileconv.report.terminal import summary

    report = watched_call(call, watch)
    print_(json_text(report.as_json()) if as_json else summary(report, repair=repair))


def _batch(loaded: PipelineSpec, watch: Watch, *, as_json: bool, **words: Any) -> NoReturn:
    """Run the pipeline of several images while *watch* hears of it, print what became of each, and end the command."""
    from tileconv.execute.batch import run_batch
    from tileconv.report.batch import batch_text

    report = watched_call(lambda progress: run_batch(loaded, progress=progress, **words), watch)
    end_with(report, batch_text, as_json=as_json)


@_command
@argument("output", type=place, help="The output of a run; of a batch its pipeline file, or the folder of its outputs.")
@click.option(
    "--recompute", metavar="SHARE", default="", help="Also make a sample again and compare: 1%, or a number of boxes."
)
@click.option("--seed", default=0, show_default=True, help="Another number, another sample.")
@watched
@as_json
def verify(output: Place, recompute: str, seed: int, *, watch: Watch, as_json: bool) -> None:
    """Compare an output with what was written: exit code 0 when it is whole, 4 when anything differs."""
    from tileconv.report.terminal import verification_text

    words: dict[str, Any] = {"recompute": recompute, "seed": seed}
    if batch := batch_at(output):
        from tileconv.audit.batch import batch_verification
        from tileconv.report.batch import batch_verification_text

        several = watched_call(lambda progress: batch_verification(batch, progress=progress, **words), watch)
        end_with(several, batch_verification_text, as_json=as_json)
    from tileconv import api

    found = watched_call(lambda progress: api.verify(output, progress=progress, **words), watch)
    end_with(found, verification_text, as_json=as_json)


@_command
@argument("output", type=place, help="The output of a run; of a batch its pipeline file, or the folder of its outputs.")
@as_json
def status(output: Place, *, as_json: bool) -> None:
    """Tell how far a run is: exit code 0 when its output is complete, 3 when it is not."""
    if batch := batch_at(output):
        from tileconv.audit.batch import batch_status
        from tileconv.report.batch import batch_status_text

        end_with(batch_status(batch), batch_status_text, as_json=as_json)
    from tileconv.audit.status import status as status_of
    from tileconv.report.terminal import status_text

    end_with(status_of(output), status_text, as_json=as_json)


@_command
@pipeline
@images
@set_
@input_
@output
def check(spec: Path, images: Sequence[str], set_: Sequence[str], input_: Sequence[str], output: Sequence[str]) -> None:
    """Check a pipeline file, print every problem at once, and look at its input and where its output will lie."""
    loaded = _load(spec, set_, (*input_, *images), output)
    print_(f"{spec}: fine, {len(loaded.stages)} stage{'s' * (len(loaded.stages) != 1)}")
    from tileconv.execute.places import looked

    if loaded.is_batch:
        _forecast(loaded, looks=True)
    for line in looked(loaded):
        print_(line)


@_command
@pipeline
@images
@set_
@input_
@output
@as_json
def plan(
    spec: Path,
    images: Sequence[str],
    set_: Sequence[str],
    input_: Sequence[str],
    output: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Print what a run would do, what it would need, and why."""
    from tileconv import api
    from tileconv.report.explain import explain

    loaded = _load(spec, set_, (*input_, *images), output)
    if loaded.is_batch:
        _forecast(loaded, as_json=as_json)
    made = api.plan(loaded)
    print_(json_text(made.as_json()) if as_json else rich_text(explain(made)), alone=True)


def _forecast(loaded: PipelineSpec, *, as_json: bool = False, looks: bool = False) -> NoReturn:
    """Print what the plans of a batch, or *looks* at its images, come to, line by line as they are made."""
    from tileconv.execute.images import each_image
    from tileconv.execute.plans import Sum, each_look, each_plan
    from tileconv.report.plans import plan_json, plan_lines

    images, sums = each_image(loaded), Sum()
    for line in (plan_json if as_json else plan_lines)(images, (each_look if looks else each_plan)(images), sums):
        print_(line)
    raise SystemExit(sums.exit_code)


for command in (pyramid, export, learn, import_network, ops, schema, sample, calibrate, picture):
    _command(command)


def _load(spec: Path, overrides: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> PipelineSpec:
    from tileconv.spec import load_spec

    given = inputs[0] if len(inputs) == 1 else inputs or None
    return load_spec(spec, overrides, input_path=given, output_path=only(outputs, "--output"))


def main() -> None:
    """Run the command line; an error of ours becomes its message and its exit code, never a traceback."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start threads that spin for work never given them
    try:
        app(standalone_mode=True, prog_name="tileconv")
    except TileconvError as error:
        sys.stderr.write(f"{error}\n" if isinstance(error, SpecError) else f"error: {error}\n")
        sys.stderr.writelines(f"{note}\n" for note in getattr(error, "__notes__", ()))
        raise SystemExit(error.exit_code) from None
    except UnicodeEncodeError as error:  # of a path: what is printed has a character for everything
        problem = f"the file system's encoding here, {error.encoding}, cannot name {error.object!r}"
        fail(f"error: {problem}. Set a locale of UTF-8, as LC_ALL=C.UTF-8, or PYTHONUTF8=1.", PlanError.exit_code)
    except (MemoryError, OSError, RuntimeError) as error:
        from tileconv.retry import of_lack

        if not of_lack(error):
            raise
        fail(
            "error: the system gives no more memory, threads or processes. Raise the limit (ulimit -a), or lower "
            "run.workers; then give the same command again."
        )
    except SystemExit as end:
        if (why := lost()) and not end.code:
            fail(f"error: what was asked for cannot be printed: {why}")  # the help
        raise
    finally:
        gc.freeze()  # an interpreter that ends would look through all that is imported again
