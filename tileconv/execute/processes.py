"""Tiles in processes of this machine, each at the other end of a pipe without a name.

Nothing listens and no file is made, so that no other user of the machine can reach them (decision 015).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, Pipe
from pickle import dumps, loads
from queue import Empty, SimpleQueue
from threading import Event, Thread
from traceback import format_exc
from typing import Any

from tileconv.boxes import Box
from tileconv.engines.loops import tell, telling
from tileconv.engines.start import read_compiler_late
from tileconv.errors import ClusterError, TileconvError
from tileconv.execute.local import compute_rows, run_tiles
from tileconv.execute.outcome import Failure, Heard, Outcome, attempt
from tileconv.tiles.windows import Job

SERVE = "import sys; sys.path[:] = sys.argv[2:]; from tileconv.execute.processes import serve; serve(int(sys.argv[1]))"
"""What a process begins with: it finds modules where this one does, and never runs the caller's script again."""


def run_processes(
    job: Job, tiles: Iterable[Box], workers: int, stop: Event, heard: Heard, *, rows: bool = False
) -> None:
    """Make *tiles* on processes and tell *heard* of each, in this thread, as soon as it is done.

    Once *stop* is set no new tile begins; those in flight are finished and heard of. A tile whose process ended is
    tried once more when no other is in flight, and is a failure if that one ends too: which of several takes the
    memory that others then lack, none of them can tell.

    Parameters
    ----------
    rows
        Make all tiles of *job* with halos exchanged, row by row; *stop* is looked at between rows.

    Raises
    ------
    ClusterError
        If a process ends before it takes work; by rows, if one ends at all.
    """
    with _children(job) as children:
        if rows:
            from dask.multiprocessing import get

            with _Remote(children, workers) as pool:
                compute_rows(job, stop, heard, scheduler=get, pool=pool)
        else:
            _windows(children, iter(tiles), workers, stop, heard)


def _windows(children: _Children, tiles: Iterator[Box], workers: int, stop: Event, heard: Heard) -> None:
    suspects: list[Box] = []

    def until_suspected() -> Iterator[Box]:
        for tile in tiles:
            yield tile
            if suspects:
                return

    def first(tile: Box) -> Outcome | None:
        try:
            return children.attempt(tile)
        except DiedError:
            suspects.append(tile)
            return None

    def alone(tile: Box) -> Outcome:
        try:
            return children.attempt(tile)
        except DiedError as error:
            error.problem, error.where = "ended 2 processes", f"{children.job.source.where}, tile {tile}"
            return Failure(tile, error)

    while not stop.is_set():
        run_tiles(first, until_suspected(), workers, stop, heard)
        if not suspects:
            return
        run_tiles(alone, suspects, 1, stop, heard)
        suspects.clear()


class DiedError(ClusterError):
    """A process ended while it was at work."""


class _Child:
    """A Python process that does what it is asked, one call after another."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        with theirs:
            end = theirs.fileno()
            self.process = subprocess.Popen(  # noqa: S603  the words are ours
                [sys.executable, "-P", "-c", SERVE, str(end), *sys.path],
                pass_fds=[end],
                stdin=subprocess.DEVNULL,
                process_group=0,  # the terminal sends Ctrl-C to this process alone
                env={"OPENBLAS_NUM_THREADS": "1", **os.environ},
            )

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return what ``function(*args)`` returns there, or raise what it raises; DiedError if the process ends."""
        try:
            self.pipe.send_bytes(dumps((function, args)))
            while (answer := loads(self.pipe.recv_bytes())) is None:  # noqa: S301  of a process that this one started
                tell()  # it compiles
        except (EOFError, OSError) as error:
            raise self._died() from error
        done, made = answer
        if not done:
            raise made
        return made

    def _died(self) -> DiedError:
        self.pipe.close()
        status = self.process.wait()
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        memory = ", most often for want of memory" * (status == -signal.SIGKILL)
        fix = "Use fewer workers (run.workers), or begin anew with a smaller run.tile."
        return DiedError("a process of the run ended", why=f"it {how} while it was at work{memory}", fix=fix)

    def end(self) -> None:
        """End the process, which is at no work."""
        self.pipe.close()
        self.process.kill()
        self.process.wait()


class _Children:
    """Processes that hold *job*: as many as are at work at once, each started when it is first needed."""

    def __init__(self, job: Job) -> None:
        self.job, self.idle = job, SimpleQueue[_Child]()

    def attempt(self, tile: Box) -> Outcome:
        """Make *tile* in an idle process; DiedError if it ends."""
        outcome: Outcome = self.call(_attempt, tile)
        return outcome

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return what ``function(*args)`` returns in an idle process; DiedError if it ends."""
        try:
            child = self.idle.get_nowait()
        except Empty:
            child = self._started()
        try:
            return child.call(function, *args)
        finally:
            if not child.pipe.closed:
                self.idle.put(child)

    def _started(self) -> _Child:
        child = _Child()
        try:
            child.call(_hold, self.job)
        except DiedError as error:
            fix = "See what it said, or use run.executor: threads."
            raise ClusterError("a process of the run ended before it did any work", why=error.why, fix=fix) from error
        except BaseException:
            child.end()
            raise
        return child

    def end(self) -> None:
        """End all processes."""
        with suppress(Empty):
            while True:
                self.idle.get_nowait().end()


@contextmanager
def _children(job: Job) -> Iterator[_Children]:
    made = _Children(job)
    try:
        yield made
    finally:
        made.end()


class _Remote(ThreadPoolExecutor):
    """Threads that have done in *children* what they are given."""

    def __init__(self, children: _Children, workers: int) -> None:
        super().__init__(workers)
        self.children = children

    def submit(self, function: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        """Call *function* in a process."""
        return super().submit(self.children.call, function, *args)


_held: list[Job] = []
"""In a process of ``serve``: the job that it was started for."""


def _hold(job: Job) -> None:
    _held.append(job)


def _attempt(tile: Box) -> Outcome:
    return attempt(_held[0], tile)


def serve(descriptor: int) -> None:
    """Do what comes through the pipe at *descriptor*, call after call, until the other end closes: then end at once."""
    read_compiler_late()
    pipe, calls = Connection(descriptor), SimpleQueue[bytes]()

    def receive() -> None:
        with suppress(EOFError, OSError):
            while True:
                calls.put(pipe.recv_bytes())
        os._exit(0)  # whoever would hear of what is at work is gone

    Thread(target=receive, daemon=True).start()
    with telling(partial(pipe.send_bytes, dumps(None))):
        while True:
            pipe.send_bytes(_answer(calls.get()))


def _answer(call: bytes) -> bytes:
    try:
        function, args = loads(call)  # noqa: S301  of the process that started this one
        return dumps((True, function(*args)))
    except TileconvError as error:
        return dumps((False, error))
    except Exception as error:
        error.add_note(format_exc())
        try:
            return dumps((False, loads(dumps(error))))  # noqa: S301  made here
        except Exception:
            return dumps((False, RuntimeError(format_exc())))
