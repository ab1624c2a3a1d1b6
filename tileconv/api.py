"""Whole pipelines, from Python: planned, run, verified and made again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tileconv.audit.rerun import rerun
from tileconv.audit.verify import verify
from tileconv.execute.prepare import planned
from tileconv.execute.report import Report
from tileconv.execute.run import run_plan
from tileconv.planning.model import Plan
from tileconv.progress import Progress
from tileconv.sources.source import Source
from tileconv.spec import PipelineSpec, load_spec, spec_from_mapping

__all__ = ["plan", "rerun", "run", "verify"]

Pipeline = str | Path | Mapping[str, Any] | PipelineSpec
"""The path of a pipeline file, or what it would hold as a mapping."""


def plan(pipeline: Pipeline) -> Plan:
    """Return what a run of *pipeline* would do, and need, and why; opens the input, reads no pixel.

    Parameters
    ----------
    pipeline
        The path of a pipeline file, or the same as a mapping, whose paths are relative to the current folder.

    Returns
    -------
    Plan
        Passes with their tiles, ``peak_bytes``, ``seconds`` (about), the image that is made (``info``); ``as_json()``
        has all of it. A notebook shows it as a table.

    Raises
    ------
    SpecError, SourceError, PlanError
        If the pipeline is wrong, the input cannot be opened, or what is asked for cannot be done.
    """
    return _planned(pipeline)[0]


def run(
    pipeline: Pipeline,
    *,
    overwrite: bool = False,
    keep_going: bool = False,
    repair: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Run *pipeline*, and return a report.

    An unfinished run of the same pipeline is resumed; a complete output is left as it is.

    Parameters
    ----------
    pipeline
        The path of a pipeline file, or the same as a mapping, whose paths are relative to the current folder.
    overwrite
        Whether an output that tileconv made before is replaced.
    keep_going
        Whether the other tiles are made when one fails.
    repair
        Whether the output is verified first, and what is damaged made again.
    progress
        Hears of every tile; by default a line in a notebook, and nothing elsewhere.

    Returns
    -------
    Report
        Where the result lies, tiles made and kept, seconds, pixels that were clipped or missing, memory, notes.

    Raises
    ------
    TileconvError
        What went wrong. An output that is not complete has no image metadata, so that no reader takes it for one.

    Examples
    --------
    >>> import numpy as np
    >>> folder = getfixture("tmp_path")
    >>> np.save(folder / "a.npy", np.eye(64, dtype=np.uint8))
    >>> report = run({
    ...     "version": 1,
    ...     "input": {"path": str(folder / "a.npy")},
    ...     "stages": [{"op": "gaussian", "sigma": 2}],
    ...     "output": {"path": str(folder / "blurred.ome.zarr")},
    ... })
    >>> report.output.name, report.shape, report.dtype
    ('blurred.ome.zarr', (64, 64), 'float32')
    """
    plan, source = _planned(pipeline)
    return run_plan(plan, source, overwrite=overwrite, keep_going=keep_going, repair=repair, progress=progress)


def _planned(pipeline: Pipeline) -> tuple[Plan, Source]:
    """Return the plan of a pipeline, and its source opened."""
    if isinstance(pipeline, PipelineSpec):
        return planned(pipeline)
    return planned(load_spec(pipeline) if isinstance(pipeline, str | Path) else spec_from_mapping(pipeline))
