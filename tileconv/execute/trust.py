"""Which workers of a cluster may have tiles: those that make the same pixels, and write them to the same place.

Each is looked at before its first tile, those that come late too (decision 015).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from pickle import dumps
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tileconv.engines.loops import homeless, note
from tileconv.errors import ClusterError, TileconvError
from tileconv.execute import look as looking
from tileconv.execute.connect import WORKERS_WITHIN_S, result_of
from tileconv.planning.machine import Allowance, ended_for_memory, memory_limits, processors, text_of
from tileconv.quick import dataclass
from tileconv.shown import size_text
from tileconv.sinks.files import sink_errors
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores.local import LocalStore
from tileconv.stores.steady import is_folder
from tileconv.tiles.windows import Job

if TYPE_CHECKING:
    from distributed import Client

NAMED = 5
"""How many refused workers an error names."""
CROWDED = 2
"""Threads per processor that a worker may have at most."""
CALL = "(exec(text, globals()), accept(expected, call))[1]"
"""What a worker evaluates: it defines what ``look.py`` does and calls that, whatever else it has or lacks."""


class Trust:
    """Workers by address: ``trusted`` ones may have tiles of all jobs; of the ``refused`` it is known why they may not.

    *libraries* are the distributions that take part in making pixels; *note* is told of everyone who is refused.
    Those that were ``asked`` did not answer yet. ``known`` is what all that are trusted were asked about. ``starving``
    are hosts of which a worker says that the system ended a process since another worker there said that it had not.
    """

    def __init__(self, client: Client, libraries: Iterable[str], note: Callable[[str], None]) -> None:
        self.client, self.note = client, note
        text = Path(looking.__file__).read_text("utf-8")
        self._words: dict[str, Any] = {"text": text, "expected": looking.look(libraries)}
        self._jobs: dict[int, tuple[Job, str]] = {}
        self.known: list[Needs] = []
        self.starving: set[str] = set()
        self._ended: dict[str, int] = {}
        self.trusted: set[str] = set()
        self.refused: dict[str, str] = {}
        self.asked: dict[str, Any] = {}
        self._had_any = False

    def knows(self, job: Job) -> bool:
        """Return whether workers are asked about *job*."""
        return id(job) in self._jobs

    def take(self, job: Job, at_work: Collection[Job]) -> None:
        """Ask workers about *job* and about those *at_work*, and about no others from now on.

        A worker knows an output by an object in it, which is there for so long. Those that may have tiles of another
        image of a batch are not asked again: what lies beside it they see as well.
        """
        self.forget(at_work)
        key = f".worker.{uuid4().hex}.partial"
        self._jobs[id(job)] = job, key
        for store in (sink.store for sink in job.sinks):
            with sink_errors(store.where(key)):
                store.write(key, [[key.encode()]])
        self._words = {**self._words, "call": dumps((_admit_all, ([*self._jobs.values()],)))}
        self.refused.clear()
        self.asked.clear()
        if not any(Needs.of(job).within(known) for known in self.known):
            self.trusted.clear()

    def forget(self, but: Collection[Job] = ()) -> None:
        """Forget all jobs, *but* these."""
        for number in self._jobs.keys() - set(map(id, but)):
            job, key = self._jobs.pop(number)
            for store in (sink.store for sink in job.sinks):
                with sink_errors(store.where(key)):
                    store.delete(key)

    def look(self, there: Set[str]) -> None:
        """Ask those of the workers *there* that are new, hear those that were asked, and forget those that went."""
        self.trusted &= there
        for known in (self.refused, self.asked):
            for address in known.keys() - there:
                del known[address]
        if new := there - self.trusted - self.refused.keys() - self.asked.keys():
            self.known = [Needs.of(job) for job, _ in self._jobs.values()]
            self.asked |= {address: self._ask(address) for address in new}
        for address in [address for address, future in self.asked.items() if future.done()]:
            self._hear(address, self.asked.pop(address))

    def answered(self) -> bool:
        """Return whether a worker that was asked has answered since."""
        return any(future.done() for future in self.asked.values())

    def hopeless(self) -> bool:
        """Return whether there are workers and all are refused."""
        return bool(self.refused) and not (self.trusted or self.asked)

    def none(self) -> ClusterError:
        """Return the error of a run without workers: why those that are there may have no tiles, if any are."""
        if self.refused:
            more = f"; and {len(self.refused) - NAMED:,} more" * (len(self.refused) > NAMED)
            fix = "Start workers where input and output are at the same paths, with the versions that are here."
            named = "; ".join([*self.refused.values()][:NAMED])
            return ClusterError(f"no worker may have tiles: {named}{more}", fix=fix)
        again = "start others and give the same command."
        if self.asked:
            return ClusterError("no worker answers", fix=f"See what they do, or {again}")
        if self._had_any:
            return ClusterError("all workers were lost", fix=f"See why they ended, {again}")
        return ClusterError("the scheduler has no workers", fix="Start one with dask worker.")

    def wait(self) -> str:
        """Return what a run without workers waits for."""
        wait = f"waiting for one, {WORKERS_WITHIN_S} s at most"
        return f"all workers were lost; {wait}" if self._had_any else f"the scheduler has no worker yet; {wait}"

    def _ask(self, address: str) -> Any:
        options = {"key": f"look-{uuid4().hex}", "workers": [address], "pure": False, "priority": 1}
        return self.client.submit(eval, CALL, self._words, **options)

    def _hear(self, address: str, future: Any) -> None:
        try:
            host, answer = result_of(future)
        except TimeoutError:  # lost with its worker
            return
        except Exception:
            host, answer = "", "it does not say what it has, see its log"
        why, ended = (answer, 0) if isinstance(answer, str) else answer
        where = host_of(address)
        self.starving |= {where} if ended > self._ended.get(where, ended) else set()
        self._ended[where] = ended
        if not why:
            self.trusted.add(address)
            self._had_any = True
            return
        self.refused[address] = f"worker {address}{f' on {host}' * bool(host)}: {why}"
        self.note(f"no tiles go to {self.refused[address]}")


@dataclass(frozen=True)
class Needs:
    """What a worker must have for the tiles of a job: the folders of its files, by their kind, and memory."""

    reads: Set[tuple[str, str]]
    writes: Set[tuple[str, str]]
    one_thread: int
    many: int

    @classmethod
    def of(cls, job: Job) -> Needs:
        """Return those of *job*."""
        reads = frozenset(map(_beside, (source.where for source in job.sources)))
        writes = frozenset(map(_beside, (sink.store.where() for sink in job.sinks)))
        return cls(reads, writes, job.needs(1), job.needs(1000))

    def within(self, other: Needs) -> bool:
        """Return whether whoever has what *other* says has this as well."""
        places = self.reads <= other.reads and self.writes <= other.writes
        return places and self.one_thread <= other.one_thread and self.many <= other.many


def _beside(place: str) -> tuple[str, str]:
    above, _, name = place.rpartition("/")
    return above, name.rpartition(".")[2]


@contextmanager
def trusting(client: Client, libraries: Iterable[str], note: Callable[[str], None]) -> Iterator[Trust]:
    """Yield who is trusted; no file of it stays behind."""
    trust = Trust(client, libraries, note)
    try:
        yield trust
    finally:
        trust.forget()


def host_of(address: str) -> str:
    """Return the host of a worker's *address*."""
    return address.rpartition(":")[0]


def _admit_all(jobs: Iterable[tuple[Job, str]]) -> tuple[str, int]:
    return next((why for job, key in jobs if (why := admit(job, key))), ""), ended_for_memory(text_of)


def admit(job: Job, key: str) -> str:
    """On a worker, return why it must not make tiles of *job*, as a store lacks the object *key*; or ``""``."""
    try:
        for source in job.sources:
            source.check_stored()
        reasons = [_strange(sink, key) for sink in job.sinks]
    except TileconvError as error:
        return f"{error.where} {error.problem}"
    return next(filter(None, (*reasons, scarce(job))), "")


def scarce(job: Job) -> str:
    """On a worker, return what it has too little of for tiles of *job*; ``""`` if it has enough, or is no worker."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return ""
    threads, known = worker.state.nthreads, worker.memory_manager.memory_limit
    return lacking(threads, job.needs(threads), [*([known] if known else ()), *memory_limits(text_of)], processors())


def lacking(threads: int, needed: int, limits: Iterable[int], processors: Allowance) -> str:
    """Return what is too little for so many *threads*, whose tiles take the bytes *needed*; ``""`` if nothing is."""
    least = min(limits, default=needed)
    if needed > least:
        return f"it may take {size_text(least)}, and tiles on {threads} of its threads take {size_text(needed)}"
    if threads > CROWDED * processors.count:
        return f"it has {threads} threads for {processors.count} {processors.why}"
    return note() if homeless() else ""


def _strange(sink: ZarrSink, key: str) -> str:
    """Return why this machine has another folder than the client where *sink* writes; ``""`` if it has the same."""
    store = sink.store
    try:
        same = store.read_all(key) == key.encode()
    except OSError as error:
        return f"{store.where()} is another folder there than here ({error.strerror})"
    staging = store.staging if isinstance(store, LocalStore) else None
    if not same or (staging and not is_folder(staging)):
        return f"{staging if same else store.where()} is another folder there than here"
    if isinstance(store, LocalStore) and not os.access(sink.written, os.W_OK):
        return f"it must not write to {sink.written}"
    return ""
