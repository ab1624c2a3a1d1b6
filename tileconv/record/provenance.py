"""What an output says of how it was made, under its ``tileconv`` attribute: enough to make it again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from tileconv.engines.filters import BLAS
from tileconv.errors import SourceError
from tileconv.planning.identity import Identity
from tileconv.planning.lengths import meant
from tileconv.planning.model import Plan
from tileconv.planning.pyramid import words_of
from tileconv.sinks.custody import read_attributes
from tileconv.sinks.layout import MARKER
from tileconv.sources.source import Source
from tileconv.spec.model import StageSpec
from tileconv.spec.templates import folder_of
from tileconv.spec.written import as_mapping
from tileconv.storage import file_kind
from tileconv.stores import steady
from tileconv.stores.location import Location, stem
from tileconv.tiles.compute import Counts

MOST_WEIGHTS = 4096
"""The most weights of a kernel file that are written down; of a larger one only the digest is."""


@cache
def version(distribution: str) -> str:
    """Return the version of an installed *distribution*, as its notes say; Python's own reader is long to import."""
    if folder := _installed().get(distribution.replace("-", "_")):
        head = steady.read_bytes(f"{folder}/METADATA").partition(b"\n\n")[0].decode()
        if said := [line.partition(": ")[2].strip() for line in head.splitlines() if line.startswith("Version: ")]:
            return said[0]
    from importlib.metadata import version

    return version(distribution)


@cache
def _installed() -> dict[str, str]:
    """Return where the notes of distributions lie, by name: of several the first on Python's path."""
    found = dict[str, str]()
    for path in sys.path:
        if steady.is_folder(path or "."):
            for entry in steady.entries(path or "."):
                name, _, rest = entry.name.partition("-")
                if rest.endswith(".dist-info") and steady.is_file(f"{entry.path}/METADATA"):
                    found.setdefault(name.lower(), entry.path)
    return found


def identity_of(plan: Plan, source: Source, output: int = 0) -> Identity:
    """Return all that determines an output of *plan* on *source*."""
    versions = {"tileconv": version("tileconv"), **libraries(plan, source, output)}
    return replace(plan.identity_of(output), content={"path": source.where, **source.fingerprint}, versions=versions)


def provenance(plan: Plan, source: Source, counts: Counts, output: int = 0) -> dict[str, Any]:
    """Return what determines an output: the spec, digests, engines and versions; nothing that may differ beside.

    The spec is that of this output alone, without ``run`` and the output's path, and holds the weights of kernel files,
    if these are not many. The input's path is there because whoever makes the result again needs the input.
    """
    identity, asked = identity_of(plan, source, output), plan.spec.only(output)
    spec = as_mapping(asked)
    del spec["run"], spec["output"]["path"]
    spec["output"].pop("storage", None)
    spec["output"].pop("pyramid", None)
    if levels := plan.write_of(output).levels:
        spec["output"]["pyramid"] = words_of(levels)
    spec.pop("clusters", None)
    for words, stage in zip(spec["stages"], asked.stages, strict=True):
        words |= _weights(stage)
    return {
        "version": version("tileconv"),
        "fingerprint": identity.fingerprint,
        "spec": spec,
        "input": source.fingerprint,
        "kernels": identity.of_stages("kernels"),
        "engines": identity.of_stages("engine"),
        **({"lengths_px": lengths} if (lengths := meant(asked, plan.source)) else {}),
        "counts": replace(counts, idle=0).as_json(),  # which depends on the tiles
        "libraries": libraries(plan, source, output),
        "channels": plan.write_of(output).info.channels,
        "python": sys.version.split()[0],
    }


def libraries(plan: Plan, source: Source, *outputs: int) -> dict[str, str]:
    """Return the versions of the libraries that take part in decoding, making and storing *outputs*, or all of them."""
    outputs = outputs or tuple(range(len(plan.spec.outputs)))
    stages = [stage for output in outputs for stage in plan.stages_of(output)]
    names = {"imagecodecs", "numpy", *source.libraries}
    if stages or any(plan.source.dtype != plan.write_of(output).info.dtype for output in outputs):
        names.add("numba")
    names.update(library for stage in stages for choice in stage.choices for library in choice.by.libraries)
    names.update(library for stage in stages for library in stage.operation.libraries)
    if any(len(plan.leading_to(output)) > 1 for output in outputs):  # which read what those before them stored
        names |= {"numcodecs", "zarr"}
    return {name: version_of(name) for name in sorted(names)}


def version_of(name: str) -> str:
    """Return the version of what takes part in making pixels: a distribution, or the BLAS of this processor."""
    if name != BLAS:
        return version(name)
    from tileconv.engines.blas import kind

    return kind()


def image_name(plan: Plan, output: int) -> str:
    """Return a name for viewers that holds wherever the output lies: ``hubble gaussian sobel``, of input and stages."""
    spec = plan.spec.only(output)
    read = spec.input
    name = folder_of(read.paths or (str(read.path),)) if read.stack else str(read.path)
    return " ".join([stem(name), *(stage.id or stage.op for stage in spec.stages)])


def _weights(stage: StageSpec) -> dict[str, Any]:
    """Return the weights of a kernel file as they were written in it, by their key; nothing of a large one."""
    key = next((key for key in ("kernel", "psf") if isinstance(stage.parameters.get(key), str)), "")
    if not key:
        return {}
    kernel = stage.operation.kernels[0]
    weights = kernel.weights if stage.op == "correlate" else np.flip(kernel.weights)
    return {key: weights.tolist()} if weights.size <= MOST_WEIGHTS else {}


def read_provenance(output: Location) -> Mapping[str, Any]:
    """Return the ``tileconv`` attribute of a finished output.

    Raises
    ------
    SourceError
        If *output* is no finished output of tileconv, or says nothing of how it was made.
    """
    where = str(output)
    told = _of_file(output) if file_kind(output.name) else read_attributes(output.store()).get(MARKER)
    if not isinstance(told, dict) or "complete" not in told:
        there, fix = "no mark of one" if output.exists() else "nothing", "Give the folder that a run wrote."
        raise SourceError(f"expected an output of tileconv, found {there}", where=where, fix=fix)
    if told["complete"] is not True:
        problem = "the run that makes it did not finish, and only a finished output says how it was made"
        raise SourceError(problem, where=where, fix="Give the command of the run again.")
    if not (isinstance(told.get("spec"), dict) and isinstance(told.get("input"), dict)):
        raise SourceError("does not say how it was made", where=where, fix="Run its pipeline file instead.")
    return told


def _of_file(output: Location) -> dict[str, Any] | None:
    from tileconv.sources.file_provenance import told_by  # with what reads XML

    return told_by(output.local)
