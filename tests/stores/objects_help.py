"""Object stores of tests: obstore's in memory, in the place of a server."""

from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

from obstore.store import MemoryStore

from tileconv.stores import objects


@contextmanager
def servers_in_memory():
    """Let every URL lead into memory inside the block; yield what holds a bucket's objects, by its URL."""

    @cache
    def bucket(root):
        return MemoryStore()

    def client(root, _, *, patient):
        return bucket(root)

    client.cache_clear = lambda: None
    with patch.object(objects, "_client", client):
        yield bucket
