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

from tileconv.allocator import give_back
from tileconv.boxes import Box
from tileconv.engines.loops import tell, telling
from tileconv.errors import ClusterError, TileconvError
from tileconv.execute.executor import Heard, Pair
from tileconv.execute.local import make_tiles
from tileconv.execute.outcome import Failure, Outcome, attempts
from tileconv.execute.rows import compute_row, make_rows
from tileconv.tiles.windows import Job

SERVE = "import sys; sys.path[:] = sys.argv[2:]; from tileconv.execute.processes import serve; serve(int(sys.argv[1]))"
"""What a process begins with: it finds modules where this one does, and never runs the caller's script again."""
PATIENCE = 8
"""Of tiles in one task, which are tiny, so many may take as long as a run allows, until each is tried alone."""


def processes(
    workers: int, pairs: Iterable[Pair | None], stop: Event, heard: Heard, *, timeout_s: float | None = None
) -> None:
    """Make tiles on processes: see ``Executor``.

    A tile whose process ended is tried once more when no other is in flight, and is a failure if that one ends too:
    which of several takes the memory that others then lack, none of them can tell. A process ends as well if a tile
    takes longer than *timeout_s*; what is compiled for a first run does not count.

    Raises
    ------
    ClusterError
        If a process ends before it takes work.
    """
    suspects: list[Pair] = []
    waiting = iter(pairs)

    def until_suspected() -> Iterator[Pair | None]:
        for pair in waiting:
            yield pair
            if suspects:
                return

    def first(job: Job, tiles: Iterable[Box]) -> list[Outcome]:
        some = [*tiles]
        try:
            return children.attempt(job, some) if some else []
        except DiedError:
            suspects.extend((job, tile) for tile in some)
            return []

    with _children(timeout_s) as children:
        while not stop.is_set():
            make_tiles(first, workers, until_suspected(), stop, heard)
            if not suspects:
                return
            make_tiles(children.alone, 1, suspects, stop, heard)
            suspects.clear()


def process_rows(workers: int, pairs: Iterable[Pair | None], stop: Event, heard: Heard) -> None:
    """Make tiles by rows on processes: see ``Executor``. ClusterError if a process ends."""
    from dask.multiprocessing import get

    with _children() as children, _Remote(children, workers) as pool:
        make_rows(partial(compute_row, scheduler=get, pool=pool), pairs, stop, heard)


class DiedError(ClusterError):
    """A process ended while it was at work."""


class _Child:
    """A Python process that does what it is asked, one call after another; it holds the job of its last tile."""

    def __init__(self) -> None:
        self.job: Job | None = None
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

    def call(self, function: Callable[..., Any], *args: Any, within_s: float | None = None) -> Any:
        """Return what ``function(*args)`` returns there, or raise what it raises; DiedError if the process ends.

        It is ended if it takes longer than *within_s*.
        """
        try:
            self.pipe.send_bytes(dumps((function, args)))
            while self.pipe.poll(within_s):
                if (answer := loads(self.pipe.recv_bytes())) is not None:  # noqa: S301  of a process started here
                    break
                tell()  # it compiles
            else:
                self.process.kill()
                raise self._died(late=True)
        except (EOFError, OSError) as error:
            raise self._died() from error
        done, made = answer
        if not done:
            raise made
        return made

    def _died(self, *, late: bool = False) -> DiedError:
        self.pipe.close()
        status = self.process.wait()
        if late:
            fix = "Raise run.timeout_per_tile, or see what makes the tile slow."
            return DiedError("a process of the run was ended", why="it took longer than run.timeout_per_tile", fix=fix)
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
    """As many processes as are at work at once, each started when it is first needed."""

    def __init__(self, timeout_s: float | None = None) -> None:
        self.idle, self.timeout_s = SimpleQueue[_Child](), timeout_s

    def attempt(self, job: Job, tiles: list[Box]) -> list[Outcome]:
        """Make *tiles* in an idle process, to which *job* crosses if it does not hold it; DiedError if it ends."""
        with self._one() as child:
            if child.job is not job:
                child.call(_hold, job)
                child.job = job
            within_s = self.timeout_s and self.timeout_s * min(len(tiles), PATIENCE)
            outcomes: list[Outcome] = child.call(_attempt, tiles, within_s=within_s)
            return outcomes

    def alone(self, job: Job, tiles: Iterable[Box]) -> Iterator[Outcome]:
        """Make one of *tiles* after another; one whose process ends, as another's did before, is a failure."""
        for tile in tiles:
            try:
                yield from self.attempt(job, [tile])
            except DiedError as error:
                error.problem, error.where = "ended 2 processes", f"{job.where}, tile {tile}"
                yield Failure(tile, error)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return what ``function(*args)`` returns in an idle process; DiedError if it ends."""
        with self._one() as child:
            return child.call(function, *args)

    @contextmanager
    def _one(self) -> Iterator[_Child]:
        try:
            child = self.idle.get_nowait()
        except Empty:
            child = self._started()
        try:
            yield child
        finally:
            if not child.pipe.closed:
                self.idle.put(child)

    def _started(self) -> _Child:
        child = _Child()
        try:
            child.call(os.getpid)
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
def _children(timeout_s: float | None = None) -> Iterator[_Children]:
    made = _Children(timeout_s)
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
"""In a process of ``serve``: the job of the tiles that it makes."""


def _hold(job: Job) -> None:
    _held[:] = [job]
    give_back()


def _attempt(tiles: list[Box]) -> list[Outcome]:
    return [*attempts(_held[0], tiles)]


def serve(descriptor: int) -> None:
    """Do what comes through the pipe at *descriptor*, call after call, until the other end closes: then end at once."""
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
