"""The run folder beside an output: what is made (``plan.json``), the journal, who runs (``lock``), ``done``.

While a repair is not done, ``repair`` lies there too.
It lies beside the output and not inside it, so that a copied store does not claim progress.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tileconv.errors import SinkError, SourceError
from tileconv.quick import dataclass
from tileconv.record.lock import acquire, taken
from tileconv.record.marks import GONE, delete_mark, json_of, mark_of, signed, write_mark
from tileconv.retry import retrying
from tileconv.sinks.files import sink_errors
from tileconv.storage import file_kind
from tileconv.stores import steady
from tileconv.stores.location import Location
from tileconv.stores.store import Store, content

if TYPE_CHECKING:
    from tileconv.record.lease import Lease

_OURS = ("plan.json", "journal", "done", "repair")
JOURNAL, _SEGMENT = "journal", re.compile(r"journal(?:\.(\d+))?")
"""The key of the first segment of the journal, and of any."""
_PASSING = re.compile(r".*\.partial|(writing|revoked)-[0-9a-f]{32}")
"""Names of what a killed process was writing, and of ``execute.staging``."""
ANNOUNCED = {"announced": True}
"""What ``repair`` says of a repair that has not begun yet, and may still be refused."""


@dataclass(frozen=True)
class RunFolder:
    """The run folder of *output*, ``edges.ome.zarr.tileconv`` beside ``edges.ome.zarr``; links are followed first.

    Raises
    ------
    SourceError
        If *output* has no name, as ``/`` has none.
    SinkError
        If it cannot be looked up: links in a circle.
    """

    output: Location

    def __post_init__(self) -> None:
        with sink_errors(self.output):
            output = self.output.resolved()
        if not output.name:
            raise SourceError("has no name", where=str(self.output), fix="Give the path of an output.")
        object.__setattr__(self, "output", output)

    @property
    def place(self) -> Location:
        """Where the folder lies."""
        return self.output.beside(f"{self.output.name}.tileconv")

    @property
    def kind(self) -> str:
        """What kind of file the output is; empty for a store."""
        return file_kind(self.output.name)

    @property
    def stored(self) -> Location:
        """Where the store lies that tiles are written to: the output, or beside one that is a file made of it."""
        return self.output.beside(f".{self.output.name}.zarr") if self.kind else self.output

    @property
    def path(self) -> Path:
        """The folder itself, for what is locked or renamed in it."""
        return self.place.local

    @property
    def store(self) -> Store:
        """What lies in the folder."""
        return self.place.store()

    @property
    def lock(self) -> Path:
        """The file that a run holds locked while it lives; names its process and host."""
        return self.path / "lock"

    def plan(self) -> dict[str, Any] | None:
        """Return what ``plan.json`` says, or None when it is absent or damaged."""
        return mark_of(self.store, "plan.json")

    def done(self) -> bool:
        """Return whether the marker is there that is written last, and no repair was begun since."""
        return self.holds("done") and not self.repairing()

    def facts(self) -> dict[str, Any] | None:
        """Return what ``done`` says, or None when it is absent or damaged."""
        return mark_of(self.store, "done")

    def repairing(self) -> bool:
        """Return whether a repair was begun and is not done: what the journal holds as done may be damaged."""
        return self.holds("repair")

    def there(self) -> bool:
        """Return whether anything lies in it; SinkError if the file system refuses to tell."""
        with sink_errors(self.place, "read"):
            return bool(self.store.names())

    def holds(self, name: str) -> bool:
        """Return whether a file of that name lies in the folder; SinkError if the file system refuses to tell."""
        with sink_errors(self.place, "read"):
            if not self.place.scheme:
                return self.store.stat(name) is not None
            there = content(self.store, name)
            return there is not None and not there.startswith(GONE)

    def announced(self) -> bool:
        """Return whether a repair was announced, and did not get as far as to begin."""
        return mark_of(self.store, "repair") == ANNOUNCED

    def set_repairing(self) -> None:
        """Say that a repair begins; SinkError if the file system refuses."""
        write_mark(self.store, "repair", {})

    def unset_repairing(self) -> None:
        """Say that nothing damaged is left that the journal holds as done; SinkError if the file system refuses."""
        delete_mark(self.store, "repair")

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Put *plan* in its place in one step; SinkError if the file system refuses."""
        write_mark(self.store, "plan.json", plan)

    def set_done(self, facts: Mapping[str, Any]) -> None:
        """Write the marker that says that the output is whole; SinkError if the file system refuses."""
        if lease := self._lease():
            with sink_errors(self.store.where("done")):
                lease.mark_done(signed(facts))
        else:
            write_mark(self.store, "done", facts)

    def unset_done(self) -> None:
        """Take the marker back before anything of the output changes; SinkError if the file system refuses."""
        if lease := self._lease():
            with sink_errors(self.store.where("done")):
                lease.mark_done(b"")
        else:
            delete_mark(self.store, "done")

    def _lease(self) -> Lease | None:
        """Return the lease that this process holds on the output; None on a disk, and where there is none."""
        if not self.place.scheme:
            return None
        from tileconv.record.lease import holding

        return holding.get(self.output.text)

    def check(self) -> None:
        """Refuse a folder that holds what tileconv did not write, or that is a link or holds one; SinkError."""
        with sink_errors(self.place):
            self.store.check("plan.json")
            names = [name.removesuffix("/") for name in self.store.names()]
            for name in names:
                self.store.check(f"{name}/")
        ours = {*_OURS, *segments(self.store), "lock"}
        foreign = [name for name in names if name not in ours and not _PASSING.fullmatch(name)]
        if foreign:
            fix = "Choose another output path."
            raise SinkError(f"holds {foreign[0]!r}, which tileconv did not write", where=str(self.place), fix=fix)

    def clear(self) -> None:
        """Forget the run, but for the lock: first that it was done, then what it was."""
        self.unset_done()
        delete_mark(self.store, "plan.json")
        if self.place.scheme:
            from tileconv.record.segments import anew

            with sink_errors(self.place):
                anew(self.store)
        else:
            for key in segments(self.store):
                delete_mark(self.store, key)
        delete_mark(self.store, "repair")
        self.tidy()

    def tidy(self) -> None:
        """Remove files that a killed process was writing; SinkError if the file system refuses."""
        with sink_errors(self.place):
            for name in self.store.names():
                if name.startswith(".") and name.endswith(".partial"):
                    self.store.delete(name)

    @contextmanager
    def locked(self, *, hold: bool = True, heard: Callable[[str], object] = lambda _: None) -> Iterator[None]:
        """Hold the lock inside the block; a folder in which no run was begun goes again.

        Where nothing may be written and the output is complete, the block begins all the same: it has nothing to write.

        Parameters
        ----------
        hold
            Whether to hold it, or only to write down process and host, where the file system has no locks.
        heard
            Is told if another run is waited for that may have ended.

        Raises
        ------
        SinkError
            If another run holds it: its process and host are named. If the file system has no locks.
        """
        self.check()
        if self.place.scheme:
            from tileconv.record.lease import leased

            with leased(self, heard) if hold else nullcontext():
                yield
            return
        with sink_errors(self.place):
            descriptor = acquire(self.lock, hold=hold, idle=self.done)
        if descriptor is None:
            raise self.taken()
        try:
            with sink_errors(self.place):
                if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_RDWR:
                    holder = json.dumps({"pid": os.getpid(), "host": os.uname().nodename})
                    retrying(partial(os.ftruncate, descriptor, 0))
                    steady.write_at(descriptor, holder.encode(), 0)
            yield
        finally:
            if self.nothing_begun():
                delete_mark(self.store, "lock")
                with suppress(OSError):
                    self.store.delete("")
            os.close(descriptor)

    def nothing_begun(self) -> bool:
        """Return whether no run was begun, so that the folder goes again."""
        return not any(self.holds(name) for name in _OURS)

    def taken(self) -> SinkError:
        """Return the error of a lock that another run holds."""
        fix = f"Wait for it; tileconv status {self.output} tells how far it is."
        problem = f"is being written by another run, {who(self.holder() or {})}"
        return SinkError(problem, where=str(self.output), fix=fix)

    def live(self) -> bool:
        """Return whether a run holds the lock now."""
        with sink_errors(self.place, "read"):
            if not self.place.scheme:
                return taken(self.lock)
            from tileconv.record.lease import live

            return live(self.place)

    def holder(self) -> dict[str, Any] | None:
        """Return process and host of the run that holds the lock, or held it last."""
        return json_of(self.store, "lock")


def who(holder: Mapping[str, Any]) -> str:
    """Return process and host of the *holder* of a lock in words."""
    return f"process {holder.get('pid', 'unknown')} on {holder.get('host', 'an unknown host')}"


@contextmanager
def announced(output: Location, *, hold: bool) -> Iterator[None]:
    """Say before the block that a repair of *output* begins in it, and afterwards that it did not, if it was refused.

    So that it is said at once, and not after a second in which libraries are imported: whoever kills the process
    meanwhile has an output that the plain command verifies. *hold* is as ``RunFolder.locked`` takes it.

    Raises
    ------
    SinkError
        If another run holds the lock, or the file system refuses.
    """
    folder = RunFolder(output)
    if folder.plan() is None or folder.repairing():  # nothing to repair, or said already
        yield
        return
    with folder.locked(hold=hold):
        write_mark(folder.store, "repair", ANNOUNCED)
    try:
        yield
    finally:
        if folder.announced():
            with folder.locked(hold=hold):
                folder.unset_repairing()


def segments(store: Store) -> list[str]:
    """Return the keys of the segments of the journal in *store*, in their order."""
    found = filter(None, map(_SEGMENT.fullmatch, store.names()))
    return [segment[0] for segment in sorted(found, key=lambda segment: int(segment[1] or 0))]
