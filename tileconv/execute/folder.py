"""The run folder beside an output: what is made (``plan.json``), the journal, who runs (``lock``), ``done``.

While a repair is not done, ``repair`` lies there too.
It lies beside the output and not inside it, so that a copied store does not claim progress.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tileconv.errors import SinkError, SourceError
from tileconv.retry import retrying
from tileconv.sinks.files import replacing, sink_errors

_OURS = ("plan.json", "journal", "done", "repair")
CHECKSUM = "crc32"
"""Key under which ``plan.json``, ``done`` and ``repair`` hold the CRC-32 of all their other keys."""
LOOKS, LOOK_S = 10, 0.01
"""How often a run looks for the lock before it refuses, and the wait between: ``live`` holds it for an instant."""


@dataclass(frozen=True)
class RunFolder:
    """The run folder of *output*: ``edges.ome.zarr.tileconv`` beside ``edges.ome.zarr``.

    Links are followed first, so that an output has one run folder by whatever name it is called.

    Raises
    ------
    SourceError
        If *output* has no name, as ``/`` has none.
    SinkError
        If it cannot be looked up: links in a circle.
    """

    output: Path

    def __post_init__(self) -> None:
        with sink_errors(self.output):
            try:
                output = self.output.resolve()
            except RuntimeError as error:  # what Python before 3.13 raises for links in a circle
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
        if not output.name:
            raise SourceError("expected the path of an output, found a folder without a name", where=str(self.output))
        object.__setattr__(self, "output", output)

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.output.with_name(f"{self.output.name}.tileconv")

    @property
    def journal(self) -> Path:
        """The file with a line per finished tile."""
        return self.path / "journal"

    @property
    def lock(self) -> Path:
        """The file that a run holds locked while it lives; names its process and host."""
        return self.path / "lock"

    def plan(self) -> dict[str, Any] | None:
        """Return what ``plan.json`` says, or None when it is absent or damaged."""
        return _checked(self.path / "plan.json")

    def done(self) -> bool:
        """Return whether the marker is there that is written last, and no repair was begun since."""
        return (self.path / "done").is_file() and not self.repairing()

    def facts(self) -> dict[str, Any] | None:
        """Return what ``done`` says, or None when it is absent or damaged."""
        return _checked(self.path / "done")

    def repairing(self) -> bool:
        """Return whether a repair was begun and is not done: what the journal holds as done may be damaged."""
        return (self.path / "repair").is_file()

    def set_repairing(self) -> None:
        """Say that a repair begins; SinkError if the file system refuses."""
        _write(self.path / "repair", {})

    def unset_repairing(self) -> None:
        """Say that nothing damaged is left that the journal holds as done; SinkError if the file system refuses."""
        _unlink(self.path / "repair")

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Put *plan* in its place in one step; SinkError if the file system refuses."""
        _write(self.path / "plan.json", plan)

    def set_done(self, facts: Mapping[str, Any]) -> None:
        """Write the marker that says that the output is whole; SinkError if the file system refuses."""
        _write(self.path / "done", facts)

    def unset_done(self) -> None:
        """Take the marker back before anything of the output changes; SinkError if the file system refuses."""
        _unlink(self.path / "done")

    def check(self) -> None:
        """Refuse a folder that holds what tileconv did not write; SinkError."""
        if not self.path.exists():
            return
        with sink_errors(self.path):
            names = [entry.name for entry in self.path.iterdir()]
        foreign = [name for name in names if name not in (*_OURS, "lock") and not name.endswith(".partial")]
        if foreign:
            fix = "Choose another output path."
            raise SinkError(f"holds {foreign[0]!r}, which tileconv did not write", where=str(self.path), fix=fix)

    def clear(self) -> None:
        """Forget the run, but for the lock: first that it was done, then what it was."""
        with sink_errors(self.path):
            for name in ("done", "plan.json", "journal", "repair"):
                _unlink(self.path / name)
        self.tidy()

    def tidy(self) -> None:
        """Remove files that a killed process was writing; SinkError if the file system refuses."""
        with sink_errors(self.path):
            for file in self.path.glob(".*.partial"):
                file.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock inside the block; a folder in which no run was begun goes again.

        Raises
        ------
        SinkError
            If another run holds it: its process and host are named.
        """
        self.check()
        with sink_errors(self.path):
            descriptor = self._acquire()
        try:
            with sink_errors(self.path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
            yield
        finally:
            if not any((self.path / name).exists() for name in _OURS):
                self.lock.unlink(missing_ok=True)
                _remove_if_empty(self.path)
            os.close(descriptor)

    def _acquire(self) -> int:
        looks = 0
        while True:
            retrying(lambda: self.path.mkdir(parents=True, exist_ok=True))
            try:
                descriptor = retrying(lambda: os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o666))
            except FileNotFoundError:  # the run that held it has just removed the folder
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), self.lock.stat()):
                    return descriptor
            except FileNotFoundError:
                pass
            except BlockingIOError:
                looks += 1
                if looks == LOOKS:
                    os.close(descriptor)
                    raise self._taken() from None
                time.sleep(LOOK_S)
            os.close(descriptor)

    def _taken(self) -> SinkError:
        holder = self.holder() or {}
        who = f"process {holder.get('pid', 'unknown')} on {holder.get('host', 'an unknown host')}"
        fix = f"Wait for it; tileconv status {self.output} tells how far it is."
        return SinkError(f"is being written by another run, {who}", where=str(self.output), fix=fix)

    def live(self) -> bool:
        """Return whether a run holds the lock now."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def holder(self) -> dict[str, Any] | None:
        """Return process and host of the run that holds the lock, or held it last."""
        return _json(self.lock)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    def put() -> None:
        with replacing(file) as temporary:
            temporary.write_text(json.dumps({**content, CHECKSUM: _checksum(content)}, indent=1))

    retrying(put)


def _unlink(file: Path) -> None:
    with sink_errors(file):
        retrying(lambda: file.unlink(missing_ok=True))


def _checksum(content: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(content, sort_keys=True).encode()):08x}"


def _checked(file: Path) -> dict[str, Any] | None:
    """Return what a file of ``_write`` says, without its checksum; None if it is absent or damaged."""
    found = _json(file)
    return found if found is not None and found.pop(CHECKSUM, "") == _checksum(found) else None


def _json(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
