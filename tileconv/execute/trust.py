"""Which workers of a cluster may have tiles: those that make the same pixels, and write them to the same place.

Each is looked at before its first tile, those that come late too (decision 015).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from pickle import dumps
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tileconv.errors import ClusterError, TileconvError
from tileconv.execute import look as looking
from tileconv.execute.connect import result_of
from tileconv.retry import retrying
from tileconv.sinks.files import sink_errors
from tileconv.sinks.zarr import ZarrSink
from tileconv.stores.local import LocalStore
from tileconv.stores.steady import is_folder, remove
from tileconv.tiles.windows import Job

if TYPE_CHECKING:
    from distributed import Client

NAMED = 5
"""How many refused workers an error names."""
CALL = "(exec(text, globals()), accept(expected, call))[1]"
"""What a worker evaluates: it defines what ``look.py`` does and calls that, whatever else it has or lacks."""


class Trust:
    """Workers by address: ``trusted`` ones may have tiles of all jobs; of the ``refused`` it is known why they may not.

    *libraries* are the distributions that take part in making pixels; *note* is told of everyone who is refused.
    Those that were ``asked`` did not answer yet.
    """

    def __init__(self, client: Client, libraries: Iterable[str], note: Callable[[str], None]) -> None:
        self.client, self.note = client, note
        text = Path(looking.__file__).read_text("utf-8")
        self._words: dict[str, Any] = {"text": text, "expected": looking.look(libraries)}
        self._jobs: dict[int, tuple[Job, list[Path]]] = {}
        self.trusted: set[str] = set()
        self.refused: dict[str, str] = {}
        self.asked: dict[str, Any] = {}
        self._had_any = False

    def knows(self, job: Job) -> bool:
        """Return whether workers are asked about *job*."""
        return id(job) in self._jobs

    def take(self, job: Job, at_work: Collection[Job]) -> None:
        """Ask all workers anew, about *job* and about those *at_work*, and about no others from now on.

        A worker knows an output by a file in it, which is there for so long.
        """
        self.forget(at_work)
        files = [Path(sink.store.where()) / f".worker.{uuid4().hex}.partial" for sink in job.sinks]
        self._jobs[id(job)] = job, files
        for file in files:
            with sink_errors(file):
                retrying(partial(file.write_text, file.name))
        self._words = {**self._words, "call": dumps((_admit_all, ([*self._jobs.values()],)))}
        for answers in (self.trusted, self.refused, self.asked):
            answers.clear()

    def forget(self, but: Collection[Job] = ()) -> None:
        """Forget all jobs, *but* these."""
        for number in self._jobs.keys() - set(map(id, but)):
            _, files = self._jobs.pop(number)
            for file in files:
                with sink_errors(file):
                    remove(file)

    def look(self, there: Set[str]) -> None:
        """Ask those of the workers *there* that are new, hear those that were asked, and forget those that went."""
        self.trusted &= there
        for known in (self.refused, self.asked):
            for address in known.keys() - there:
                del known[address]
        for address in there - self.trusted - self.refused.keys() - self.asked.keys():
            self.asked[address] = self._ask(address)
        for address in [address for address, future in self.asked.items() if future.done()]:
            self._hear(address, self.asked.pop(address))

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

    def _ask(self, address: str) -> Any:
        options = {"key": f"look-{uuid4().hex}", "workers": [address], "pure": False, "priority": 1}
        return self.client.submit(eval, CALL, self._words, **options)

    def _hear(self, address: str, future: Any) -> None:
        try:
            host, why = result_of(future)
        except TimeoutError:  # lost with its worker
            return
        except Exception:
            host, why = "", "it does not say what it has, see its log"
        if not why:
            self.trusted.add(address)
            self._had_any = True
            return
        self.refused[address] = f"worker {address}{f' on {host}' * bool(host)}: {why}"
        self.note(f"no tiles go to {self.refused[address]}")


@contextmanager
def trusting(client: Client, libraries: Iterable[str], note: Callable[[str], None]) -> Iterator[Trust]:
    """Yield who is trusted; no file of it stays behind."""
    trust = Trust(client, libraries, note)
    try:
        yield trust
    finally:
        trust.forget()


def _admit_all(jobs: Iterable[tuple[Job, list[Path]]]) -> str:
    return next((why for job, files in jobs if (why := admit(job, files))), "")


def admit(job: Job, files: Iterable[Path]) -> str:
    """On a worker, return why it must not make tiles of *job*, as a store lacks its one of *files*; or ``""``."""
    try:
        for source in job.sources:
            source.check_stored()
        reasons = [_strange(sink, file) for sink, file in zip(job.sinks, files, strict=True)]
    except TileconvError as error:
        return f"{error.where} {error.problem}"
    return next(filter(None, reasons), "")


def _strange(sink: ZarrSink, file: Path) -> str:
    """Return why this machine has another folder than the client where *sink* writes; ``""`` if it has the same."""
    try:
        found = retrying(file.read_text)
    except OSError as error:
        return f"{file.parent} is another folder there than here ({error.strerror})"
    store = sink.store
    staging = store.staging if isinstance(store, LocalStore) else None
    if found != file.name or (staging and not is_folder(staging)):
        return f"{file.parent if found != file.name else staging} is another folder there than here"
    return "" if os.access(sink.written, os.W_OK) else f"it must not write to {sink.written}"
