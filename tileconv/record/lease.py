"""The lease of a run where no file can be locked: an object with a token, renewed while the run lives.

It is put by conditional requests alone, so that of several clients one has it. No clock of a client is compared with
another: how old a lease is says the server's own time, and from then on a client watches whether it is renewed. Who
takes over one that ended seals the journal of the run before (decision 032).
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from tileconv.errors import SinkError
from tileconv.record.folder import RunFolder, who
from tileconv.record.marks import GONE, gone
from tileconv.record.segments import seal
from tileconv.sinks.files import sink_errors
from tileconv.stores import fences
from tileconv.stores.location import Location
from tileconv.stores.objects import ObjectStore, Seen, Version

KEY, DONE, SWAPS = "lock", "done", 20
BEAT_S, EXPIRES_S = 10.0, 60.0
"""How often a lease is renewed, and how long one counts that is not."""
LOOK_S = 0.5
"""How often a lease that may have ended is looked at."""
PROBE = ".probe.{}.partial"


holding: dict[str, Lease] = {}
"""The leases of this process, by the URL of the output."""


class TakenError(Exception):
    """Another run holds the lease."""


class Lease:
    """A lease that is held, and is renewed until it is freed.

    The object ``done`` is replaced only by the version that it had when the lease began, or that the holder gave it:
    one that was thought dead cannot write it.
    """

    def __init__(self, store: ObjectStore, version: Version, told: dict[str, Any]) -> None:
        self.store, self._version, self._told = store, version, told
        self._done, self._beat_s = self._guarded(), BEAT_S
        self._ended = Event()
        self._thread = Thread(target=self._renew, name="tileconv lease", daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._ended.wait(self._beat_s):
            self._told["beat"] += 1
            with suppress(OSError):  # the next beat may come through
                version = _swapped(self.store, self._told, self._version)
                if version is None:
                    return  # taken over: writing under its fence fails from now on
                self._version = version

    def _guarded(self) -> Version:
        """Return the version of ``done``, which is made if it is not there, or if an earlier holder may replace it."""
        for _ in range(SWAPS):
            seen = self.store.look(DONE)
            if seen is not None and not seen.data.startswith(GONE):
                return seen.version
            made = self.store.swap(DONE, gone(), seen and seen.version)
            if made is not None:
                return made
        raise OSError(errno.EBUSY, "others write there as well")

    def mark_done(self, data: bytes) -> None:
        """Put *data* in the place of ``done``, nothing for none; SinkError if another run has taken over."""
        data = data or gone()
        made = self.store.swap(DONE, data, self._done)
        if made is None:
            seen = self.store.look(DONE)
            if seen is None or seen.data != data:
                why = "another run has taken over its lease"
                raise SinkError("is not written by this run any more", where=self.store.where(DONE), why=why)
            made = seen.version
        self._done = made

    def free(self, *, forget: bool) -> None:
        """Give the lease back; with *forget* nothing of it stays."""
        self._ended.set()
        self._thread.join()
        with suppress(OSError, SinkError):  # it ends by itself
            version = _swapped(self.store, self._told | {"held": False}, self._version)
            if forget and version is not None:
                self.store.delete(DONE)
                self.store.delete(KEY)


@contextmanager
def leased(folder: RunFolder, heard: Callable[[str], object]) -> Iterator[None]:
    """Hold the lease of *folder* inside the block, in which this process may write its output.

    *heard* is told if the lease of another run is waited for, which ends unless it is renewed.

    Where nothing may be written and the output is complete, the block begins all the same: it has nothing to write.

    Raises
    ------
    SinkError
        If another run holds it, and renews it; or if the store does not honour conditional requests.
    """
    output = folder.output
    store = ObjectStore(folder.place.text, folder.place.access)
    told: dict[str, Any] = {"pid": os.getpid(), "host": os.uname().nodename, "process": _process(os.getpid())}
    told |= {"token": uuid4().hex, "held": True, "beat": 0, "expires": EXPIRES_S}
    with sink_errors(folder.place):
        try:
            lease = Lease(store, _acquired(store, told, heard), told)
        except TakenError:
            raise folder.taken() from None
        except OSError as error:
            if error.errno != errno.EACCES or not folder.done():
                raise
            lease = None
    if lease is None:
        yield
        return
    holding[output.text] = lease
    fences.held[output.text] = fences.Fence(store.url, store.access, KEY, str(told["token"]))
    try:
        yield
    finally:
        forget = False
        with suppress(SinkError):
            forget = folder.nothing_begun()
        del fences.held[output.text], holding[output.text]
        lease.free(forget=forget)


def _acquired(store: ObjectStore, told: dict[str, Any], heard: Callable[[str], object]) -> Version:
    now, watched, until = _probed(store), None, 0.0
    while True:
        seen = store.look(KEY)
        before = _read(seen)
        if seen is not None and before.get("held") and not _dead(before):
            if watched is None:
                left_s = before.get("expires", EXPIRES_S) - (now - seen.put)
                until = time.monotonic() + left_s
                if left_s > LOOK_S:
                    heard(f"waiting {left_s:.0f} s at most to see whether {who(before)} still writes the output")
            elif seen.version != watched:
                raise TakenError
            watched = seen.version
            if time.monotonic() < until:
                time.sleep(LOOK_S)
                continue
        version = _swapped(store, told, seen and seen.version)
        if version is not None:
            if before.get("held"):
                seal(store)
            return version
        watched = None


def _swapped(store: ObjectStore, told: dict[str, Any], version: Version | None) -> Version | None:
    """Say what is *told* in the place of *version*, and return the version of that; None if the lease is another's."""
    data = json.dumps(told).encode()
    made = store.swap(KEY, data, version)
    if made is None and (seen := store.look(KEY)) is not None and seen.data == data:
        return seen.version  # of a request whose answer was lost
    return made


def _probed(store: ObjectStore) -> float:
    """Return the server's time; SinkError if it lets an object be created twice, or replaced by another version."""
    key, data = PROBE.format(uuid4().hex), uuid4().hex.encode()
    store.create(key, data)
    try:
        seen = store.look(key)
        if seen is None:
            raise OSError(errno.EIO, "what was just put there is not found")
        twice = store.create(key, b"twice")
        store.swap(key, b"another", seen.version)
        stale = store.swap(key, b"stale", seen.version) is not None
    finally:
        store.delete(key)
    if twice or stale:
        raise SinkError(
            "its object store does not honour conditional requests (If-None-Match, If-Match)",
            where=store.url,
            why="nothing would keep two runs from writing one output at once",
            fix="See to that yourself and state run.lock: none, or choose another output path.",
        )
    return seen.put


def live(place: Location) -> bool:
    """Return whether a run holds the lease in *place*, as far as the clock of this machine is that of the server."""
    seen = ObjectStore(place.text, place.access).look(KEY)
    told = _read(seen)
    held = seen is not None and bool(told.get("held")) and not _dead(told)
    return held and time.time() - seen.put < told.get("expires", EXPIRES_S)  # type: ignore[union-attr]


def _read(seen: Seen | None) -> dict[str, Any]:
    try:
        told = json.loads(seen.data if seen else b"{}")
    except ValueError:
        told = {}
    return told if isinstance(told, dict) else {}


def _process(pid: int) -> str:
    """Return what no other process of any machine is told by, and none after a restart; ``""`` if nothing tells it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        began = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
        return f"{boot} {os.readlink('/proc/self/ns/pid')} {pid} {began}"  # noqa: PTH115
    except (OSError, IndexError):
        return ""


def _dead(told: dict[str, Any]) -> bool:
    """Return whether the holder was a process of this machine that has ended."""
    ours, theirs = _process(os.getpid()), str(told.get("process", ""))
    same = bool(ours) and ours.split()[:2] == theirs.split()[:2]
    return same and _process(int(theirs.split()[2])) != theirs
