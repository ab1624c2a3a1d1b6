"""Real servers of objects on loopback, each a process of its own, and a proxy of ours that spoils what passes.

``make test-stores`` installs them: moto, and s3rver, which knows no conditions.
"""

import base64
import contextlib
import hmac
import http.client
import os
import random
import socket
import subprocess
import threading
import time
import urllib.request
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
KEY, SECRET = "S3RVER", "S3RVER"
"""The only credentials that s3rver takes."""
ACCOUNT, ACCOUNT_KEY = "account1", base64.b64encode(b"a key of tests alone").decode()
"""Of Azurite."""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def _served(command, port, **words):
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **words) as process:
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@contextlib.contextmanager
def moto():
    """Yield the URL of a moto server."""
    port = free_port()
    with _served([ROOT / ".venv-moto" / "bin" / "moto_server", "-H", "127.0.0.1", "-p", str(port)], port) as url:
        yield url


@contextlib.contextmanager
def s3rver(folder, wait_ms=0):
    """Yield the URL of an s3rver that keeps its objects in *folder*, and waits before each answer."""
    port = free_port()
    modules = ROOT / ".venv-s3rver" / "node_modules"
    command = ["node", Path(__file__).with_name("s3rver.cjs"), modules, folder, str(port), str(wait_ms)]
    with _served(command, port) as url:
        yield url


@contextlib.contextmanager
def azurite(folder):
    """Yield the URL of the account ACCOUNT of an Azurite that keeps its objects in *folder*."""
    port, program = free_port(), ROOT / ".venv-azurite" / "node_modules" / ".bin" / "azurite-blob"
    command = [program, "--silent", "--location", folder, "--blobPort", str(port), "--skipApiVersionCheck"]
    told = os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"}
    with _served([*command, "--disableTelemetry"], port, env=told) as url:
        yield f"{url}/{ACCOUNT}"


def make_container(url, name):
    """Make a container of an Azurite."""
    date = formatdate(usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "Content-Length": "0"}
    said = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signed = hmac.digest(base64.b64decode(ACCOUNT_KEY), f"PUT{chr(10) * 12}{said}".encode(), "sha256")
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
    request = urllib.request.Request(f"{url}/{name}?restype=container", method="PUT", headers=headers)  # noqa: S310
    urllib.request.urlopen(request).read()  # noqa: S310


def make_bucket(url, name):
    """Make a bucket of a moto server."""
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20200101/us-east-1/s3/aws4_request"}
    urllib.request.urlopen(urllib.request.Request(f"{url}/{name}", method="PUT", headers=signed)).read()  # noqa: S310


class Proxy:
    """Passes requests to the server at *url*, and spoils them as its attributes say, by a seeded dice.

    With *serial* one request after the other: moto looks and puts in two steps, between which another may put.
    """

    def __init__(self, url, *, serial=False):
        self.turn = threading.Lock() if serial else contextlib.nullcontext()
        self.dice = random.Random(7)  # noqa: S311
        self.upstream, self.lock = urlsplit(url).netloc, threading.Lock()
        self.gone, self.busy, self.cut, self.flip_put, self.expired = False, 0.0, 0.0, 0.0, set()
        self.seen = {"requests": 0, "busy": 0, "cut": 0, "flipped": 0, "expired": 0, "gone": 0}
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                proxy.answer(self)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_one  # noqa: N815

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def happens(self, what, share):
        with self.lock:
            happened = self.dice.random() < share
            self.seen[what] += happened
        return happened

    def answer(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        with self.lock:
            self.seen["requests"] += 1
        if self.happens("gone", float(self.gone)):
            request.close_connection = True
            request.connection.close()
            return
        key = request.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        if self.happens("expired", float(key in self.expired)):
            _send(request, 400, b"<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>")
            return
        if self.happens("busy", self.busy):
            _send(request, 503, b"<Error><Code>SlowDown</Code><Message>slow down</Message></Error>")
            return
        if request.command == "PUT" and len(body) > 1000 and self.happens("flipped", self.flip_put):
            body = body[:500] + bytes([body[500] ^ 1]) + body[501:]
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        with self.turn, contextlib.closing(http.client.HTTPConnection(self.upstream, timeout=60)) as upstream:
            upstream.request(request.command, request.path, body, headers)
            answer = upstream.getresponse()
            data = answer.read()
        cut = request.command == "GET" and len(data) > 1 and self.happens("cut", self.cut)
        _send(request, answer.status, data, answer.getheaders(), cut=cut)


def _send(request, status, body, headers=(), *, cut=False):
    request.send_response_only(status)
    length = next((value for name, value in headers if name.lower() == "content-length"), str(len(body)))
    for name, value in headers:
        if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
            request.send_header(name, value)
    request.send_header("Content-Length", length)
    request.end_headers()
    with contextlib.suppress(OSError):  # a command that was killed hears nothing any more
        if request.command != "HEAD":
            request.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            request.close_connection = True
            request.wfile.flush()
            request.connection.shutdown(socket.SHUT_RDWR)


def environment(url, **words):
    """Return the environment of a command that finds its server and credentials there."""
    told = {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    return {**os.environ, **told, **words}
