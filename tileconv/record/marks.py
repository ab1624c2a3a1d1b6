"""The small files of a run folder: JSON objects with the checksum of what they say."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from tileconv.sinks.files import sink_errors
from tileconv.stores.store import Store, content

CHECKSUM = "crc32"
"""Key under which they hold the CRC-32 of all their other keys."""
GONE = b'{"gone": '
"""What an object begins with that takes the place of one that was deleted, where a late writer must meet a version."""


def write_mark(store: Store, key: str, said: Mapping[str, Any]) -> None:
    """Put *said* under *key* in one step; SinkError if the store refuses."""
    with sink_errors(store.where(key)):
        store.write(key, [[signed(said)]])


def mark_of(store: Store, key: str) -> dict[str, Any] | None:
    """Return what ``write_mark`` put under *key*; None if it is absent or damaged."""
    mark = json_of(store, key)
    return mark if mark is not None and mark.pop(CHECKSUM, "") == _checksum(mark) else None


def json_of(store: Store, key: str) -> dict[str, Any] | None:
    """Return the JSON object under *key*, with whatever checksum; None if there is none."""
    with sink_errors(store.where(key), "read"):
        stored = content(store, key) or b""
    try:
        mark = json.loads(stored)
    except ValueError:
        return None
    return mark if isinstance(mark, dict) else None


def delete_mark(store: Store, key: str) -> None:
    """Delete what lies under *key*, or put ``gone`` there in a bucket; SinkError if the store refuses."""
    with sink_errors(store.where(key)):
        if "://" not in store.where():
            store.delete(key)
        elif store.stat(key) is not None:
            store.write(key, [[gone()]])


def gone() -> bytes:
    """Return what stands for nothing, and is like nothing that stood there before."""
    return GONE + b'"%s"}' % uuid4().hex.encode()


def signed(said: Mapping[str, Any]) -> bytes:
    """Return *said* as JSON with its checksum."""
    return json.dumps({**said, CHECKSUM: _checksum(said)}, indent=1).encode()


def _checksum(said: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(said, sort_keys=True).encode()):08x}"
