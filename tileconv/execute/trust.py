"""Which workers of a cluster may have tiles: those that make the same pixels, and write them to the same place.

Each is looked at before its first tile, those that come late too (decision 015).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import dumps
from threading import Event
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4
from weakref import WeakKeyDictionary

from tileconv.errors import ClusterError, TileconvError
from tileconv.execute import look as looking
from tileconv.execute.connect import WORKERS_WITHIN_S, lost, result_of
from tileconv.graph.windows import Job
from tileconv.retry import retrying
from tileconv.sinks.files import sink_errors
from tileconv.steady import remove

if TYPE_CHECKING:
    from distributed import Client

LOOK_S = 1.0
"""Between two questions to the scheduler of who is there."""
AMONG = 16
"""Workers of which the scheduler chooses one for a task: enough to keep all busy, few names for it to hold."""
NAMED = 5
"""How many refused workers an error names."""
CALL = "(exec(text, globals()), accept(expected, call))[1]"
"""What a worker evaluates: it defines what ``look.py`` does and calls that, whatever else it has or lacks."""


class Trust:
    """Workers by address: ``trusted`` ones may have tiles of *job*; of the ``refused`` it is known why they may not.

    *libraries* are the distributions that take part in making pixels; *note* is told of everyone who is refused.
    """

    def __init__(self, client: Client, job: Job, libraries: Iterable[str], note: Callable[[str], None]) -> None:
        self.client, self.job, self.libraries, self.note = client, job, libraries, note
        self.file = job.sink.path / f".worker.{uuid4().hex}.partial"
        self.trusted: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        self._asked: dict[str, Any] = {}
        self._sent: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()
        self._turn, self._looked, self._fine = 0, -LOOK_S, time.monotonic()

    def look(self) -> None:
        """Ask workers that are new, hear those that were asked, and forget those that went; once a second at most.

        Raises
        ------
        ClusterError
            If the scheduler is lost; if for ``WORKERS_WITHIN_S`` nobody is trusted, or a task waits for workers that
            are all gone.
        """
        if time.monotonic() < self._looked + LOOK_S:
            return
        self._looked = time.monotonic()
        try:
            there = dict(self.client.nthreads())
        except (OSError, TimeoutError) as error:
            raise lost(error) from error
        for known in (self.trusted, self.refused, self._asked):
            for address in known.keys() - there.keys():
                del known[address]
        for address in there.keys() - self.trusted.keys() - self.refused.keys() - self._asked.keys():
            self._asked[address] = self._ask(address)
        for address in [address for address, future in self._asked.items() if future.done()]:
            self._hear(address, there[address], self._asked.pop(address))
        if self.trusted and not any(map(self._stranded, [*self._sent.items()])):
            self._fine = self._looked
        elif self._looked - self._fine > WORKERS_WITHIN_S:
            raise self.none()

    def gather(self, stop: Event) -> None:
        """Return when a worker is trusted, or *stop* is set.

        Raises
        ------
        ClusterError
            If all are refused, or as ``look`` says.
        """
        while not stop.is_set():
            self._looked = -LOOK_S
            self.look()
            if self.trusted:
                return
            if self.refused and not self._asked:
                raise self.none()
            stop.wait(0.05)

    def none(self) -> ClusterError:
        """Return the error of a run without workers: why those that are there may have no tiles, if any are."""
        if self.refused:
            more = f"; and {len(self.refused) - NAMED:,} more" * (len(self.refused) > NAMED)
            fix = "Start workers where input and output are at the same paths, with the versions that are here."
            named = "; ".join([*self.refused.values()][:NAMED])
            return ClusterError(f"no worker may have tiles: {named}{more}", fix=fix)
        if self._asked:
            return ClusterError(
                "no worker answers", fix="See what they do, or start others, and give the same command."
            )
        if self._sent:
            return ClusterError("all workers were lost", fix="See why, start others and give the same command.")
        return ClusterError("the scheduler has no workers", fix="Start one with dask worker.")

    def among(self, wanted: Iterable[str] | None) -> list[str]:
        """Return the workers that the next task may go to: trusted ones, those of *wanted* if there are any."""
        every = [address for address in wanted or () if address in self.trusted] or [*self.trusted]
        if not every:
            raise self.none()
        self._turn += AMONG
        first = self._turn % len(every)
        return every if len(every) <= AMONG else [*every, *every][first : first + AMONG]

    def sent(self, future: Any, among: list[str]) -> Any:
        """Return *future*, and know that it waits for one of the workers *among*."""
        self._sent[future] = among
        return future

    def _stranded(self, sent: tuple[Any, list[str]]) -> bool:
        future, among = sent
        return future.status == "pending" and self.trusted.keys().isdisjoint(among)

    def _ask(self, address: str) -> Any:
        text = Path(looking.__file__).read_text("utf-8")
        call = dumps((admit, (self.job, self.file)))
        words = {"text": text, "expected": looking.look(self.libraries), "call": call}
        options = {"key": f"look-{uuid4().hex}", "workers": [address], "pure": False, "priority": 1}
        return self.client.submit(eval, CALL, words, **options)

    def _hear(self, address: str, threads: int, future: Any) -> None:
        try:
            host, why = result_of(future)
        except TimeoutError:  # lost with its worker
            return
        except Exception as error:
            host, why = "", f"it cannot be looked at: {error}"
        if not why:
            self.trusted[address] = threads
            return
        self.refused[address] = f"worker {address}{f' on {host}' * bool(host)}: {why}"
        self.note(f"no tiles go to {self.refused[address]}")


class Trusting:
    """A client of Dask whose tasks go to trusted workers alone."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trust.client, name)

    def nthreads(self) -> dict[str, int]:
        """Return the threads of every trusted worker."""
        self._trust.look()
        return dict(self._trust.trusted)

    def submit(self, *words: Any, workers: Iterable[str] | None = None, **options: Any) -> Any:
        """As the client's, to trusted ones of *workers*."""
        self._trust.look()
        among = self._trust.among(workers)
        return self._trust.sent(self._trust.client.submit(*words, workers=among, **options), among)

    def compute(self, collections: list[Any]) -> list[Any]:
        """As the client's."""
        self._trust.look()
        among = self._trust.among(None)
        return [self._trust.sent(future, among) for future in self._trust.client.compute(collections, workers=among)]


@contextmanager
def trusting(
    client: Client, job: Job, libraries: Iterable[str], stop: Event, note: Callable[[str], None]
) -> Iterator[Client]:
    """Yield *client* for trusted workers alone, who know the output by a file in it that is there inside the block.

    Raises
    ------
    ClusterError
        As ``Trust.gather`` says.
    """
    trust = Trust(client, job, libraries, note)
    with sink_errors(trust.file):
        retrying(lambda: trust.file.write_text(trust.file.name))
    try:
        trust.gather(stop)
        yield cast("Client", Trusting(trust))
    finally:
        with sink_errors(trust.file):
            remove(trust.file)


def admit(job: Job, file: Path) -> str:
    """On a worker, return why it must not make tiles of *job*, as that *file* is not there; ``""`` if it may."""
    try:
        job.source.check_stored()
        found = retrying(file.read_text)
    except TileconvError as error:
        return f"{error.where} {error.problem}"
    except OSError as error:
        return f"{file.parent} is another folder there than here ({error.strerror})"
    if found != file.name:
        return f"{file.parent} is another folder there than here"
    return "" if os.access(job.sink.array_path, os.W_OK) else f"it must not write to {job.sink.array_path}"
