"""What is told of a scheduler that is not there, is something else, or is lost: one sentence, and nothing of Dask's."""

import logging
import socket
import threading
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import dask
import pytest
from execute.cluster_help import running
from execute.resume_help import ONE, done, reached, start, write_spec

from tileconv.errors import ClusterError
from tileconv.execute import connect, crew


@contextmanager
def silent():
    """Yield the port of a server that accepts connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


class Page(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def web():
    """Yield the port of a web server."""
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def nobody():
    """Yield the port of no server."""
    yield 9


@pytest.mark.parametrize("server", [silent, web, nobody])
def test_what_is_no_scheduler_is_told_in_one_sentence(monkeypatch, caplog, server):
    monkeypatch.setattr(connect, "CONNECT_WITHIN_S", 1)
    with server() as port, pytest.raises(ClusterError) as caught, connect.connected(f"tcp://127.0.0.1:{port}"):
        pass
    text = str(caught.value)
    assert text.startswith(f"tcp://127.0.0.1:{port}: cannot reach the Dask scheduler, because ")
    assert text.endswith(". Start it with dask scheduler, or use run.executor: processes.")
    assert "\n" not in text


@pytest.mark.parametrize("server", [web, nobody])
def test_what_is_no_scheduler_has_no_workers(monkeypatch, server):
    monkeypatch.setattr(connect, "ASKED_S", 1)
    with server() as port:
        workers = connect.workers_at(f"tcp://127.0.0.1:{port}")
    assert workers.why
    assert "\n" not in workers.why


CERTIFICATES = {f"distributed.comm.tls.{name}": "/no/such/file" for name in ("ca-file", "client.cert", "client.key")}


@pytest.mark.parametrize("config", [{}, CERTIFICATES], ids=["none", "lost"])
def test_certificates_that_lack_are_told(config):
    problem = "cannot be used, because .*No such file" if config else "expected certificates .* found none"
    expected = rf"{problem}.*distributed\.comm\.tls"
    with (
        dask.config.set(config),
        pytest.raises(ClusterError, match=expected),
        connect.connected("tls://127.0.0.1:9"),
    ):
        pass


def test_dask_is_quiet_inside_the_block_and_as_before_after_it(caplog):
    with connect.quiet():
        logging.getLogger("distributed.client").error("inside")
        logging.getLogger("asyncio").error("of another library")
        warnings.warn_explicit("inside", UserWarning, "client.py", 1, module="distributed.client")
        with pytest.warns(UserWarning, match="ours"):
            warnings.warn("ours", stacklevel=1)
    handler = logging.getLogger("distributed")
    assert not any(logger.filters for logger in (handler, logging.getLogger("distributed.client")))
    assert "inside" not in caplog.text
    assert "of another library" in caplog.text


def test_a_scheduler_that_is_lost_is_one_sentence_and_the_run_goes_on_afterwards(tmp_path):
    with running(tmp_path, workers=1) as cluster:
        write_spec(tmp_path, ONE, run={"executor": cluster.address})
        with start(tmp_path) as process:
            reached(tmp_path, process, 5)
            cluster.scheduler.kill()
            out, err = process.communicate()
    lines = err.splitlines()
    assert (process.returncode, out) == (1, "")
    assert lines[-2] == "error: the connection to the scheduler was lost. Start the scheduler and its workers again."
    assert lines[-1] == f"{done(tmp_path)} of 110 tiles are done; the same command makes the others"
    assert not [line for line in lines[:-2] if " s left" not in line]  # progress, on a slow machine


@pytest.mark.parametrize("others", [0, 1])
def test_a_run_says_once_that_a_scheduler_has_no_worker(monkeypatch, others):
    """Not where there are workers, which are examined first."""
    monkeypatch.setattr(crew, "TOLD_AFTER_S", -1)
    seen, said = [], []

    def ask(self, keys):
        seen.append(keys)
        workers = {f"tcp://{n}": (1, 0.0, 0.0) for n in range(1 if len(seen) > 3 else others)}
        self.trust.trusted |= set(workers) if len(seen) > 3 else set()
        return workers, {}, set(), {}

    monkeypatch.setattr(crew.Crew, "_ask", ask)
    text = "the scheduler has no worker yet"
    words = {"look": lambda _: None, "hopeless": lambda: False, "take": lambda *_: None, "wait": lambda: text}
    trust = SimpleNamespace(trusted=set(), asked={}, starving=set(), **words)
    crew.Crew(None, trust, threading.Event(), lambda *words: said.append(words)).take(None, [])
    assert said == [(text, True)] * (not others)
