"""A bucket, or what lies below a prefix of one, as a store: S3, Google Cloud Storage, Azure; the web, to read.

Imported only where a URL is used. Every object is put by one request, never in parts, so that nothing half uploaded
ever lies there. What a store holds, and what crosses to workers, says where it is and how it is reached; credentials
come from the environment or from the cloud's own chain, in each process anew, and are read again once they expire.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from hashlib import md5
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from tileconv.errors import PlanError, SinkError
from tileconv.quick import dataclass
from tileconv.retry import TRIES, retrying
from tileconv.stores import aws
from tileconv.stores.answers import of_expiry, system_error_of
from tileconv.stores.fences import Fence
from tileconv.stores.location import USUAL, Access
from tileconv.stores.steady import Pieces
from tileconv.stores.store import ChangedError, Facts

try:
    import obstore
    from obstore import exceptions
    from obstore import store as stores
except ImportError as error:
    raise PlanError("URLs need obstore, which is not installed", fix="pip install 'tileconv[cloud]'") from error

Answer = TypeVar("Answer")

_LISTED = 1000
"""Keys that are asked for, or deleted, by one request."""
_QUICK_S, _PATIENT_S = 10, 180
"""How long a server is waited for that has not answered this process yet, and one that has."""
_SWAPS = 20
"""Tries to replace an object while others replace it too."""
Version = dict[str, str]
"""By what an object is replaced only if it is still the same."""
_answered: set[tuple[str, Access]] = set()
_tagged_otherwise: set[tuple[str, Access]] = set()
"""Where the tag of an object is no MD5 of its bytes."""


class Seen(NamedTuple):
    """An object: its bytes, its version, and when it was put, in seconds by the server's clock."""

    data: bytes
    version: Version
    put: float


@dataclass(frozen=True)
class ObjectStore:
    """The objects below *url*, as in ``s3://bucket/prefix``; what a Store can do stands there.

    Attributes
    ----------
    access
        How the server is reached.
    fence
        The lease under which it is written to; None for none: what is put then simply replaces what was there.
    """

    url: str
    access: Access = USUAL
    fence: Fence | None = None

    def where(self, key: str = "") -> str:
        return f"{self.url}/{key}" if key else self.url

    def read(self, key: str, start: int, stop: int, version: str = "") -> bytes:
        def part(store: Any) -> tuple[bytes, Facts]:
            answer = obstore.get(store, self._path(key), options={"range": (start, stop)})
            return bytes(answer.bytes()), _facts(answer.meta)

        try:
            read, facts = self._ask(part)
        except OSError as error:
            there = None if isinstance(error, FileNotFoundError) else self.stat(key)
            if there is None or start < there.size:
                raise
            read, facts = b"", there
        if version not in ("", facts.version):
            raise ChangedError(self.where(key))
        return read

    def read_all(self, key: str) -> bytes:
        return bytes(self._ask(lambda store: obstore.get(store, self._path(key)).bytes()))

    def write(self, key: str, parts: Iterable[Pieces], *, kept: bool = True, checked: bool = False) -> None:
        data = b"".join(piece for pieces in parts for piece in pieces)
        if self.fence is None:
            self._put(key, data)
            return
        for _ in range(_SWAPS):
            if self.create(key, data):
                return
            there = self.look(key)
            if there is not None and there.data == data:
                return  # of a tile that is made twice, or a request that was done before its answer was lost
            self._check_fence(key)
            if there is not None and self.swap(key, data, there.version) is not None:
                return
        raise OSError(errno.EBUSY, "others write there as well")

    def create(self, key: str, data: bytes) -> bool:
        return self.swap(key, data, None) is not None

    def swap(self, key: str, data: bytes, version: Version | None) -> Version | None:
        """Put *data* where what lies there is of *version*, None for nothing; return its own, None if another is there.

        A request that was done before its answer was lost may count as one of another.
        """
        try:
            return self._put(key, data, mode="create" if version is None else version)
        except FileExistsError:
            return None

    def look(self, key: str) -> Seen | None:
        """Return an object with what it is replaced by, and the server's time of when it was put; None for none."""

        def seen(store: Any) -> Seen:
            answer = obstore.get(store, self._path(key))
            return Seen(bytes(answer.bytes()), _version(answer.meta), answer.meta["last_modified"].timestamp())

        try:
            return self._ask(seen)
        except FileNotFoundError:
            return None

    def _put(self, key: str, data: bytes, **words: Any) -> Version:
        for _ in range(TRIES):
            made = self._ask(obstore.put, self._path(key), data, use_multipart=False, **words)
            if not self._damaged(key, data, made["e_tag"]):
                return _version(made)
            words = {"mode": _version(made)}
        raise OSError(errno.EIO, "what was sent was damaged on the way")

    def _damaged(self, key: str, data: bytes, tag: str | None) -> bool:
        """Return whether other bytes than *data* have come, where the server's *tag* is their MD5, as most have it."""
        digest = md5(data, usedforsecurity=False).hexdigest()
        if self._root in _tagged_otherwise or not re.fullmatch('"?[0-9a-f]{32}"?', tag or "") or digest in str(tag):
            return False
        if self.read_all(key) != data:
            return True
        _tagged_otherwise.add(self._root)  # as of objects that it encrypts
        return False

    def _check_fence(self, key: str) -> None:
        """Refuse to go on where the lease is another's by now; SinkError."""
        fence = self.fence
        if fence is None:
            return
        lease = ObjectStore(fence.url, fence.access).look(fence.key)
        if lease is None or fence.token.encode() not in lease.data:
            why = "another run has taken over its lease"
            raise SinkError("is not written by this run any more", where=self.where(key), why=why)

    def list(self, prefix: str = "") -> Iterator[str]:
        return (key for key, _ in self.facts(prefix))

    def facts(self, prefix: str = "") -> Iterator[tuple[str, Facts]]:
        skipped = len(self._path("")) and len(self._path("")) + 1
        return ((meta["path"][skipped:], _facts(meta)) for batch in self._listed(prefix) for meta in batch)

    def _listed(self, prefix: str) -> Iterator[Sequence[Any]]:
        """Yield what the server knows of every object below *prefix*, batch by batch."""
        self._check_lists()
        below = self._path(prefix.rstrip("/")) or None
        batches = self._ask(lambda store: iter(obstore.list(store, below, chunk_size=_LISTED)))
        while batch := self._ask(lambda _: next(batches, ())):
            yield batch

    def names(self, prefix: str = "") -> Sequence[str]:
        self._check_lists()
        below = self._path(prefix.rstrip("/"))
        there = self._ask(obstore.list_with_delimiter, below or None)
        skipped = len(below) and len(below) + 1
        keys = [meta["path"][skipped:] for meta in there["objects"]]
        return [*keys, *(f"{folder.rstrip('/')[skipped:]}/" for folder in there["common_prefixes"])]

    def _check_lists(self) -> None:
        if self.url.startswith("http"):
            error = OSError(errno.ENOTSUP, "a web server does not list what it holds")
            vars(error)["fix"] = "Give the URL of the file or of the array itself, or consolidate the store's metadata."
            raise error

    def delete(self, key: str) -> None:
        self._check_fence(key)
        if key and not key.endswith("/"):
            self._delete(self._path(key))
            return
        for batch in self._listed(key):
            if not key:
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
            self._delete([meta["path"] for meta in batch])

    def _delete(self, paths: str | Sequence[str]) -> None:
        with suppress(FileNotFoundError):
            self._ask(obstore.delete, paths)

    def stat(self, key: str) -> Facts | None:
        try:
            return _facts(self._ask(obstore.head, self._path(key)))
        except FileNotFoundError:
            return None

    def check(self, key: str) -> None:
        pass

    def _path(self, key: str) -> str:
        """Return what the server calls *key*."""
        scheme, _, rest = self.url.partition("://")
        prefix = rest.partition("/")[2]
        whole = f"{prefix}/{key}" if prefix and key else prefix + key
        return unquote(whole) if scheme.startswith("http") else whole

    @property
    def _root(self) -> tuple[str, Access]:
        """The bucket or host, and how it is reached."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}", self.access

    def _ask(self, function: Callable[..., Answer], *args: Any, **words: Any) -> Answer:
        """Return what *function* returns for the server; OSError where it refuses, or does not answer."""
        place = self._root

        def once() -> Answer:
            try:
                answer = function(_client(*place, patient=place in _answered), *args, **words)
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            except FileNotFoundError as error:
                raise system_error_of(error) from None
            except exceptions.BaseError as error:
                if of_expiry(error):
                    _client.cache_clear()  # the next try reads credentials anew
                raise system_error_of(error) from None
            _answered.add(place)
            return answer

        return retrying(once)


def _version(meta: Any) -> Version:
    return {name: meta[name] for name in ("e_tag", "version") if meta[name]}


def _facts(meta: Any) -> Facts:
    changed, tag = meta["last_modified"].timestamp(), meta["e_tag"] or ""
    tag = f'"{tag}"' if tag and '"' not in tag else tag  # Azure lists it without
    return Facts(meta["size"], tag or str(changed or ""), int(changed) * 10**9)


@cache
def _client(root: str, access: Access, *, patient: bool) -> Any:
    """Return obstore's client of a bucket or host; a *patient* one outlives a server that is gone for a minute."""
    from datetime import timedelta

    scheme, _, name = root.partition("://")
    endpoint = access.endpoint or aws.endpoint() * (scheme == "s3")
    waits = {
        "max_retries": 100,
        "retry_timeout": timedelta(seconds=_PATIENT_S if patient else _QUICK_S),
        "backoff": {"max_backoff": timedelta(seconds=5)},
    }
    options = {"allow_http": f"{endpoint or root}".startswith("http://"), "timeout": "2m"}
    words: dict[str, Any] = {"retry_config": waits, "client_options": options}
    if scheme.startswith("http"):
        return stores.HTTPStore.from_url(root, **words)
    kind: Any = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}[scheme]
    config = {"skip_signature": True} if access.anonymous else {}
    if scheme == "s3":
        return kind(name, config=config | aws.config(name, access), **words, **aws.provider(access))
    at = {"base_url" if scheme == "gs" else "endpoint": endpoint} if endpoint else {}
    return kind(name, config=config | at, **words)
