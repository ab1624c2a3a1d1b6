"""A small server of files by ranges, which counts what it sends and fails as it is told."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Served:
    """Objects by their paths, what was asked of them, and how the server fails."""

    def __init__(self, objects, *, ranges=True, tags=True, wait_s=0.0):
        self.objects, self.ranges, self.tags, self.wait_s = dict(objects), ranges, tags, wait_s
        self.requests, self.sent = Counter(), 0
        self.fail = lambda _path, _number: 0
        """The status that an answer has instead, or -1 for one that is cut; *number* counts the requests of a path."""
        self.lock = threading.Lock()
        self.url = ""

    @property
    def count(self):
        return sum(self.requests.values())

    def forget(self):
        self.requests.clear()
        self.sent = 0

    def asked(self, path):
        with self.lock:
            self.requests[path] += 1
            return self.requests[path]

    def etag(self, data):
        return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        served = self.server.served
        path = unquote(self.path).lstrip("/")
        number = served.asked(path)
        time.sleep(served.wait_s)
        status, data = served.fail(path, number), served.objects.get(path)
        if status > 0 or data is None:
            self.end(status or 404, b"", {}, body=body)
            return
        headers = {"ETag": served.etag(data)} if served.tags else {}
        wanted = self.headers.get("Range")
        if wanted is None or not served.ranges or not body:
            self.end(200, data, headers, body=body, cut=status < 0)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1, len(data))
        if start >= len(data):
            self.end(416, b"", {"Content-Range": f"bytes */{len(data)}"}, body=body)
            return
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        self.end(206, data[start:stop], headers, body=body, cut=status < 0)

    def end(self, status, data, headers, *, body, cut=False):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(data), "Accept-Ranges": "bytes"}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if body:
            part = data[: len(data) // 2] if cut else data
            self.wfile.write(part)
            with self.server.served.lock:
                self.server.served.sent += len(part)
        if cut:
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # of a client that went away


@contextmanager
def serving(objects, **how):
    """Yield what is *served* at its ``url``."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.served = served = Served(objects, **how)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
