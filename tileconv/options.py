"""Arguments and options that several commands take; paths, which name files of this machine, and places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tileconv.audit.batch import Asked

Place = Path | str
"""A path of this machine, or a URL."""


def path(text: str) -> Path:
    """Return the path that *text* names; a usage error where it is none of this machine."""
    from tileconv.stores.location import local

    try:
        return local(text)
    except ValueError as error:
        raise click.BadParameter(f"expected a path, found {text!r}: {error}") from None


def place(text: str) -> Place:
    """Return the path that *text* names, or its URL; a usage error where it is neither."""
    from tileconv.stores.location import SecretError, located

    try:
        whole = located(text, Path())
    except ValueError as error:
        found = "one" if isinstance(error, SecretError) else repr(text)
        raise click.BadParameter(f"expected a path or a URL, found {found}: {error}") from None
    return whole if "://" in whole else path(text)


def batch_at(path: Place) -> Asked | None:
    """Return the images of the pipeline file, or of the lists of batches, at *path*; None where it is neither."""
    from tileconv.storage import file_kind

    pipeline = isinstance(path, Path) and not file_kind(path.name) and path.is_file()
    if isinstance(path, Path) and not (pipeline or any(path.glob("*.tileconv-batch"))):
        return None
    from tileconv.audit.batch import asked_of_folder, asked_of_spec
    from tileconv.spec import load_spec

    return asked_of_spec(load_spec(path)) if pipeline else asked_of_folder(path)


def only(given: Sequence[str], option: str) -> str | None:
    """Return the value of an option that is given once or not at all; a usage error where it is given again."""
    if len(given) > 1:
        raise click.BadParameter(f"{option} is given {len(given)} times; write {{stem}} in it for several images")
    return given[0] if given else None


def memory(text: str) -> int | None:
    """Return the bytes that *text* says, as in a pipeline file; a usage error where it says none."""
    from tileconv.spec.words import parse_memory

    try:
        return parse_memory(text)
    except ValueError:
        raise click.BadParameter(f"expected a size such as 2GiB, found {text!r}") from None


def size_of(shape: str | None, size: str | None) -> tuple[int, int] | None:
    """Return (height, width) from either option."""
    if shape and size:
        raise click.BadParameter("give --shape or --size, not both")
    text, separator = (shape, ",") if shape else (size, "x")
    if text is None:
        return None
    numbers = text.split(separator)
    if len(numbers) != 2 or not all(n.strip().isdecimal() and int(n) > 0 for n in numbers):
        raise click.BadParameter(f"expected two numbers as in --shape 512,1024 or --size 1024x512, found {text}")
    first, second = map(int, numbers)
    return (first, second) if shape else (second, first)


def operators() -> list[str]:
    """Return what a shell completes the name of an operator from."""
    from tileconv.operations.registry import OPERATORS

    return list(OPERATORS)


def samples() -> list[str]:
    """Return what a shell completes the name of a sample from."""
    from tileconv.samples import sample_names

    return list(sample_names())


def completed(names: Callable[[], list[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return what the shell asks for those of *names* that begin as what is typed."""
    return lambda _context, _parameter, typed: [name for name in names() if name.startswith(typed)]


argument = partial(click.argument, type=path)
option = partial(click.option, metavar="PATH", type=path)

pipeline = argument("spec", metavar="PIPELINE", help="The pipeline file (YAML).")
set_ = click.option("--set", "set_", metavar="KEY=VALUE", multiple=True, help="Override, as stages.0.sigma=3.")
input_ = click.option(
    *("--input", "-i", "input_"), metavar="PATH", multiple=True, help="Replaces input.path; several are a batch."
)
images = click.argument("images", metavar="[IMAGE]...", nargs=-1, help="As -i.")
output = click.option(
    *("--output", "-o"),
    metavar="PATH",
    multiple=True,
    help="Replaces output.path; {stem}, {name} and {parent} of the input.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def watched(command: Callable[..., None]) -> Callable[..., None]:
    """Give *command* the options of whoever hears of a run, as ``watch``, which opens that."""
    kinds = click.Choice(["auto", "plain", "json", "none"])
    told = "What stderr hears: a bar or lines, lines, events, nothing."

    @click.option("--progress", type=kinds, default="auto", show_default=True, help=told)
    @click.option("--log", metavar="FILE", type=path, help="Append what happens, with times.")
    @wraps(command)
    def with_watch(*args: Any, progress: str, log: Path | None, **words: Any) -> None:
        from tileconv.report.watch import watch

        command(*args, watch=partial(watch, progress, log), **words)

    return with_watch


overwrite = click.option("--overwrite", is_flag=True, help="Replace an output that tileconv made.")
