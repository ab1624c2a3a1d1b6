"""One part of n of what the long profile runs: ``make test-long SHARD=3/8``."""

import re
from collections.abc import Sequence
from typing import TypeVar

Thing = TypeVar("Thing")
ALL = "1/1"


def shard(things: Sequence[Thing], text: str) -> Sequence[Thing]:
    """Return every n-th of *things* from the k-th on, for a *text* of ``k/n``.

    Neighbours, such as the cases of one costly test, go to different shards.

    Raises
    ------
    SystemExit
        If *text* is none.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    number, shards = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= shards:
        raise SystemExit(f"expected SHARD=k/n with k from 1 to n, as in SHARD=3/8, found {text!r}")
    return things[number - 1 :: shards]
