"""Object stores of tests: obstore's in memory, in the place of a server."""

from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

from obstore.store import MemoryStore

from tileconv.stores import objects


@contextmanager
def servers_in_memory():
    """Let every URL lead into memory inside the block, at each endpoint into its own."""

    @cache
    def bucket(root, endpoint):
        return MemoryStore()

    def client(root, access, *, patient):
        return bucket(root, access.endpoint)

    client.cache_clear = lambda: None
    with patch.object(objects, "_client", client):
        yield
