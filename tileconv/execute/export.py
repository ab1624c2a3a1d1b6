"""A store as one file, for whoever asks for it and at the end of a run: under a lock, until a signal stops it."""

from __future__ import annotations

from pathlib import Path

from tileconv.errors import PlanError, SinkError
from tileconv.execute.ledger import Ledger
from tileconv.execute.stop import on_signals
from tileconv.formats.export import Choices, Exported, export_store
from tileconv.planning.machine import Allowance, memory, usable_processors
from tileconv.planning.model import Plan
from tileconv.progress import Progress, watching
from tileconv.record.folder import RunFolder
from tileconv.sinks.files import refuse_existing, refuse_same
from tileconv.storage import FILES, file_kind
from tileconv.stores.location import here


def export(
    store: str | Path,
    output: str | Path,
    *,
    codec: str | None = None,
    level: int | None = None,
    series: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write a result, or any image that tileconv reads, as one file, and return what was written.

    Pixels pass through in tiles, whatever the size of the image. The levels of a pyramid are those of the store where
    it has them; lower ones are made.

    Parameters
    ----------
    store
        The image.
    output
        The file to write. Its suffix says what it is: ``.ome.tif`` is a pyramidal OME-TIFF, ``.tif`` a pyramidal TIFF
        of channels, which is a cloud optimized GeoTIFF where the image lies on the earth.
    codec, level
        How tiles are compressed: ``deflate`` (the usual one), ``zstd``, ``lzw``, ``jpeg`` or ``none``; and how hard
        that tries, of JPEG its quality.
    series
        Which image of a store that holds several.
    workers
        Threads; as many as there are processors by default.
    overwrite
        Whether a file that is there is replaced.
    progress
        Hears of every part that is written.

    Returns
    -------
    Exported
        The file, its levels and bytes, and notes on what such a file does not carry.

    Raises
    ------
    PlanError
        If that is no suffix of a file, or such a file does not hold such an image.
    SourceError
        If the image cannot be read.
    SinkError
        If the file is there and is not replaced, or the file system refuses.
    Interrupted
        If SIGINT or SIGTERM stopped it.

    Examples
    --------
    >>> import numpy as np
    >>> folder = getfixture("tmp_path")
    >>> np.save(folder / "a.npy", np.eye(600, dtype=np.uint8))
    >>> export(folder / "a.npy", folder / "a.ome.tif").levels
    2
    """
    source, place, progress = here(store), here(output), watching(progress)
    if not file_kind(place.name):
        suffixes = ", ".join(FILES)
        raise PlanError(f"expected a name that ends in one of {suffixes}", where=str(place), fix="Name the file so.")
    if place.scheme:
        fix = f"Write {place.name} here and copy it, or keep the OME-Zarr store."
        raise PlanError("a file is written to no object store", where=str(place), fix=fix)
    refuse_same(place, source)
    refuse_existing(place.local, overwrite=overwrite)
    folder = RunFolder(place)
    with folder.locked(), on_signals(progress.stopping) as stop:
        if not folder.nothing_begun():
            fix = "Choose another path, or remove the file and its folder first."
            raise SinkError("is the output of a run, whose record lies beside it", where=str(place), fix=fix)
        count = workers or usable_processors()
        choices, allowed = Choices(codec, level), memory().available(count)
        return export_store(source, place.local, choices, count, stop, progress, allowed=allowed, series=series)


def make_file(plan: Plan, output: int, folder: RunFolder, ledger: Ledger) -> None:
    """Write the file that output *output* of *plan* is, of its store, which is whole; errors as of ``export_store``."""
    codec, place = plan.spec.outputs[output].codec, folder.output
    ledger.progress.note(f"{place.name} is written, from {folder.stored.name} beside it")
    choices = Choices(codec.name, codec.level)
    allowed = Allowance(plan.memory_limit, plan.memory_why)
    words = (folder.stored, place.local, choices, plan.workers, ledger.stop, ledger.progress)
    made = export_store(*words, allowed=allowed)
    ledger.notes += made.notes
