"""What a store lists, so that a client need not ask for each of a million objects."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import islice

import numpy as np

from tileconv.stores.store import Store

_AT_ONCE = 10_000
"""Keys that are taken as texts at one time."""


class Keys(Container[str]):
    """Some keys, sorted, each in the room that the longest takes: a million of 20 letters are 20 MB.

    Examples
    --------
    >>> keys = Keys(["0/c/10/1", "0/c/9/1"])
    >>> "0/c/9/1" in keys, "0/c/9/10" in keys
    (True, False)
    """

    def __init__(self, keys: Iterable[str]) -> None:
        coming, parts = iter(keys), [np.empty(0, "S1")]
        while some := [key.encode() for key in islice(coming, _AT_ONCE)]:
            parts.append(np.array(some))
        self._sorted = np.sort(np.concatenate(parts))

    def __contains__(self, key: object) -> bool:
        wanted = str(key).encode()
        if len(wanted) > self._sorted.itemsize:
            return False
        at = int(np.searchsorted(self._sorted, wanted))
        return at < self._sorted.size and bool(self._sorted[at] == wanted)


def listed_keys(store: Store) -> Keys | None:
    """Return the keys of *store* under which something is; None of a disk, which is quicker asked for each."""
    return Keys(key for key, facts in store.facts() if facts.size) if "://" in store.where() else None
