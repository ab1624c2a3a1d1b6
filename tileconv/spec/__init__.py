"""Text to checked values: a YAML file, or a mapping, becomes a PipelineSpec or one SpecError with every problem."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tileconv.errors import Problem, SpecError
from tileconv.retry import retrying
from tileconv.spec.check import check
from tileconv.spec.mapping import NAME, tree_of
from tileconv.spec.model import InputSpec, MissingSpec, OutputSpec, PipelineSpec, RunSpec, StageSpec
from tileconv.spec.operators import operator_table
from tileconv.spec.override import Paths, apply_overrides, expand, redirect
from tileconv.spec.text import MAX_BYTES, MapNode, compose
from tileconv.spec.written import as_mapping
from tileconv.stores import steady

__all__ = [
    "InputSpec",
    "MissingSpec",
    "OutputSpec",
    "Paths",
    "PipelineSpec",
    "RunSpec",
    "StageSpec",
    "as_mapping",
    "load_spec",
    "operator_table",
    "parse_spec",
    "spec_from_mapping",
]

_UNREAD: dict[type[OSError], str] = {
    FileNotFoundError: "there is no such file; a relative path is taken from the current folder",
    NotADirectoryError: "there is no such file; a part of its path is a file itself",
    IsADirectoryError: "it is a folder; give the YAML file itself",
    PermissionError: "you may not read it: change its permissions",
}


def load_spec(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    input_path: Paths | None = None,
    output_path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> PipelineSpec:
    """Return the checked pipeline of the YAML file *path*; arguments as for ``parse_spec``.

    Raises
    ------
    SpecError
        If the file cannot be read, is no UTF-8 text, is larger than 1 MiB, or its pipeline is wrong.
    """
    name = str(path)
    try:
        mode = retrying(Path(path).stat).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a pipe waits for whoever writes to it
            hint = "write the pipeline to a file"
            raise SpecError(name, (Problem("", "expected a plain file, found a device or a pipe", hint=hint),))
        with steady.opened(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = _UNREAD.get(type(error), f"the system says: {error.strerror}")
        raise SpecError(name, (Problem("", "cannot read the file", hint=hint),)) from error
    if len(data) > MAX_BYTES:
        raise SpecError(name, (Problem("", f"a pipeline file has at most {MAX_BYTES:,} bytes"),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        message = f"expected UTF-8 text, found the byte 0x{data[error.start]:02X} on line {line}"
        raise SpecError(name, (Problem("", message, hint="save the file as UTF-8"),)) from None
    return parse_spec(
        text, name, Path(path).parent, overrides, input_path=input_path, output_path=output_path, environ=environ
    )


def parse_spec(
    text: str,
    name: str,
    folder: str | Path,
    overrides: Sequence[str] = (),
    *,
    input_path: Paths | None = None,
    output_path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> PipelineSpec:
    r"""Return the checked pipeline of YAML *text*, whose relative paths are taken from *folder*.

    Parameters
    ----------
    text, name
        The pipeline, and what messages call it.
    folder
        Where the files that the pipeline names lie.
    overrides
        Texts such as ``stages.0.sigma=3`` or ``stages.blur.sigma=3``, set before the check.
    input_path, output_path
        Replace ``input.path``, by one path or several, and ``output.path``; relative to the current folder. In an
        output path ``{stem}``, ``{name}`` and ``{parent}`` are those of the input.
    environ
        Values of ``${VAR}``; the process's environment by default.

    Raises
    ------
    SpecError
        If anything is wrong, with every problem in the order of the text.

    Examples
    --------
    >>> text = "version: 1\ninput: {path: a.tif}\nstages: [{op: box, size: 3}]\noutput: {path: b.zarr}"
    >>> parse_spec(text, "p.yaml", "/data", ["stages.0.size=5"]).stages[0].operation.kernel
    Kernel(5x5, sum=1)
    """
    root, problems = compose(text, name)
    root, refused = apply_overrides(root, overrides)
    problems += refused
    root = _expanded(root, os.environ if environ is None else environ, problems)
    root, refused = redirect(root, Path(folder), input_path, output_path)
    return check(root, name, Path(folder), [*problems, *refused])


def spec_from_mapping(
    mapping: Mapping[str, Any],
    folder: str | Path = ".",
    *,
    input_path: Paths | None = None,
    output_path: str | Path | None = None,
) -> PipelineSpec:
    """Return the checked pipeline of a Python mapping; its values are taken literally, and problems have line 0.

    *input_path* and *output_path* replace ``input.path`` and ``output.path``, as in ``parse_spec``.

    Raises
    ------
    SpecError
        If anything is wrong, with every problem.
    """
    root, problems = redirect(tree_of(mapping), Path(folder), input_path, output_path)
    return check(root, NAME, Path(folder), problems)


def _expanded(root: MapNode, environ: Mapping[str, str], problems: list[Problem]) -> MapNode:
    """Return the tree with variables replaced, without the user's notes."""
    ours = {name: item for name, item in root.items.items() if not name.startswith("x-")}
    return replace(root, items={name: expand(item, environ, problems, name) for name, item in ours.items()})
