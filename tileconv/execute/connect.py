"""A Dask scheduler is found, and what it answers: results, and its errors in our words."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tileconv.errors import ClusterError, TileconvError
from tileconv.planning.machine import Workers

if TYPE_CHECKING:
    from distributed import Client

CONNECT_WITHIN_S, WORKERS_WITHIN_S = 5, 60
ASKED_S = 2
"""How long a plan waits for a scheduler to say which workers it has."""
ANSWER_WITHIN_S = 5
"""How long a receipt is waited for before the run looks whether there are workers at all."""
LOGGERS, LOOP = {"distributed", "tornado", "asyncio"}, "IO loop"
"""Who speaks for Dask: its own loggers, and those of its libraries in the thread of its event loop."""


class PoisonError(ClusterError):
    """A tile ended every worker that tried it."""


def result_of(future: Any) -> Any:
    """Return the result of a task that is done, or raise what became of it; TimeoutError if none comes."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    try:
        return future.result(timeout=ANSWER_WITHIN_S)
    except TileconvError:
        raise
    except KilledWorker as error:
        raise PoisonError(
            f"ended {error.allowed_failures + 1} workers",
            where=str(error.task),
            why="they died while they ran it, most often for want of memory",
            fix="Give workers more memory or fewer threads, or begin anew with a smaller run.tile.",
        ) from error
    except (ModuleNotFoundError, RuntimeError) as error:
        lacking = error if isinstance(error, ModuleNotFoundError) else error.__cause__  # that of the scheduler
        if not isinstance(lacking, ModuleNotFoundError):
            raise
        fix = "Install the same tileconv there as here."
        raise ClusterError(f"the cluster lacks {lacking.name}", fix=fix) from error
    except CancelledError as error:
        if getattr(error, "reason", "") != "lost dependencies":
            raise lost() from error
        fix = "See why it ended."
        raise ClusterError("a worker was lost", fix=fix) from error


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Yield a client of the scheduler at *address*, which goes on afterwards; Dask itself says nothing meanwhile.

    Raises
    ------
    ClusterError
        If it cannot be reached, or is lost inside the block.
    """
    from distributed import Client
    from distributed.security import Security

    with quiet():
        security = _certified() if address.startswith("tls:") else Security()
        with ThreadPoolExecutor(1) as elsewhere:  # in a notebook this thread has an event loop
            elsewhere.submit(_reach, address, security.get_connection_args("client")).result()
        with (
            translated(),
            Client(address, timeout=CONNECT_WITHIN_S, security=security, set_as_default=False) as client,
        ):
            yield client


@contextmanager
def open_client() -> Iterator[Client]:
    """Yield the client that the caller has opened, which stays open; ClusterError if there is none, or it is lost."""
    from distributed import Client

    where = "run.executor: distributed"
    try:
        client = Client.current()
    except ValueError as error:
        fix = "Open one before the run, as client = distributed.Client(...), or state the scheduler's address."
        raise ClusterError("no Dask client is open in this process", where=where, fix=fix) from error
    if client.asynchronous:
        fix = "Open one without asynchronous=True, or state the scheduler's address."
        raise ClusterError("the Dask client that is open is asynchronous", where=where, fix=fix)
    with quiet(), translated():
        yield client


@contextmanager
def translated() -> Iterator[None]:
    """Raise ClusterError where the connection of a client is lost inside the block."""
    from distributed import CancelledError
    from distributed.client import ClosedClientError
    from distributed.comm.core import CommClosedError

    try:
        yield
    except (CommClosedError, ClosedClientError, CancelledError) as error:
        raise lost() from error


def _reach(address: str, options: dict[str, Any]) -> None:
    """Raise ClusterError unless a scheduler is at *address*; a client waits for ever for an answer of what is none."""
    from distributed.comm.core import connect

    async def shake_hands() -> None:
        (await asyncio.wait_for(connect(address, timeout=CONNECT_WITHIN_S, **options), 2 * CONNECT_WITHIN_S)).abort()

    try:
        asyncio.run(shake_hands())
    except Exception as error:
        silent = f"what listens there does not answer as one within {2 * CONNECT_WITHIN_S} s"
        why = silent if isinstance(error, TimeoutError) else one_line(error)
        fix = "Start it with dask scheduler, or use run.executor: processes."
        raise ClusterError("cannot reach the Dask scheduler", where=address, why=why, fix=fix) from error


def workers_at(address: str) -> Workers:
    """Return the workers of the scheduler at *address*, or why that cannot be said within ``ASKED_S``."""
    from distributed.core import rpc
    from distributed.security import Security

    async def ask(options: dict[str, Any]) -> Any:
        async with rpc(address, timeout=ASKED_S, connection_args=options) as scheduler:
            return await asyncio.wait_for(scheduler.identity(n_workers=0), ASKED_S)

    with quiet():
        try:
            security = _certified() if address.startswith("tls:") else Security()
            with ThreadPoolExecutor(1) as elsewhere:
                told = elsewhere.submit(lambda: asyncio.run(ask(security.get_connection_args("client")))).result()
        except Exception as error:
            return Workers(why=one_line(error))
    return Workers(told["n_workers"], told["total_threads"], told["total_memory"])


def _certified() -> Any:
    """Return what Dask's configuration says of certificates; ClusterError if that is too little, or cannot be used."""
    from distributed.security import Security

    names = ("ca-file", "client.cert", "client.key")
    where = "Dask's configuration"
    fix = (
        "State distributed.comm.tls." + ", ".join(names) + " there, or DASK_DISTRIBUTED__COMM__TLS__CA_FILE and so on."
    )
    try:
        security = Security(require_encryption=True)
        context = security.get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:
        raise ClusterError("the certificates cannot be used", where=where, why=one_line(error), fix=fix) from error
    if context is None:
        raise ClusterError("expected certificates for an address with tls://, found none", where=where, fix=fix)
    return security


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Dask logs and warns of from stderr inside the block: its errors are told in our words."""
    import distributed  # noqa: F401  makes its loggers

    loggers = [logging.getLogger(name) for name in [*logging.root.manager.loggerDict] if name.split(".")[0] in LOGGERS]

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return not (record.name.startswith("distributed") or record.threadName == LOOP)

    for logger in loggers:
        logger.addFilter(from_elsewhere)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(distributed|tornado|dask)\b")
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(from_elsewhere)


def one_line(error: BaseException) -> str:
    """Return the first line of what *error* says, or its kind if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def lost() -> ClusterError:
    """Return the error of a connection that was lost."""
    fix = "Start the scheduler and its workers again."
    return ClusterError("the connection to the scheduler was lost", fix=fix)
