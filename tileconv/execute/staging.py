"""Where workers of other processes write chunks before these stand in their places: a folder of one run alone.

A worker may hang, outlive its run, and wake when another run has made the output anew. Its chunk then lies in a folder
that is gone, and the step that would put it into its place finds nothing to put there: checking whose chunk it is and
placing it are one step of the file system, with no moment between them.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from tileconv.errors import SinkError
from tileconv.record.folder import RunFolder
from tileconv.sinks.files import sink_errors
from tileconv.stores import steady


@contextmanager
def writing(folder: RunFolder) -> Iterator[Path]:
    """Yield a folder for the chunks of this run; after the block no worker writes any more, however late it is.

    Raises
    ------
    SinkError
        If the file system refuses.
    """
    place = folder.path / f"writing-{uuid4().hex}"
    with sink_errors(place):
        steady.make_folder(place)
    try:
        yield place
    except BaseException:
        with suppress(SinkError):  # the next run does it
            revoke(folder)
        raise
    revoke(folder)


def revoke(folder: RunFolder) -> None:
    """See to it that no worker of an earlier run puts a chunk into its place; SinkError if the file system refuses.

    The name goes first, so that nothing more is written there while files are removed one by one. In an object store
    the lease of the run sees to it.
    """
    if folder.place.scheme:
        return
    with sink_errors(folder.place):
        for entry in steady.entries(folder.path) if steady.is_folder(folder.path) else []:
            if found := re.fullmatch(r"(writing|revoked)-([0-9a-f]{32})", entry.name):
                gone = folder.path / f"revoked-{found[2]}"
                steady.rename(Path(entry.path), gone)
                try:
                    steady.remove(gone)
                except OSError as error:
                    if error.errno != errno.ENOTEMPTY:  # NFS keeps a file that a worker of this machine has open
                        raise
