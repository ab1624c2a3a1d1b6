"""Who may write where nothing can be locked: a run that holds a lease, told by a token in it (decision 032).

``held`` are the leases of this process. A store below one of them writes only as its holder, wherever it crosses to:
what it puts in the place of something else, it puts there by the version that it saw while the lease was its own.
"""

from __future__ import annotations

from tileconv.quick import dataclass
from tileconv.stores.location import Access


@dataclass(frozen=True)
class Fence:
    """The lease that lies at *key* below *url*, and the *token* that it holds while it is ours."""

    url: str
    access: Access
    key: str
    token: str


held: dict[str, Fence] = {}
"""By the URL of an output: the lease of the run that writes it."""


def fence_of(url: str) -> Fence | None:
    """Return the lease under which this process writes at *url*: an output, its run folder, or what lies beside it."""
    for output, fence in held.items():
        if url == output or url.startswith((f"{output}/", f"{output}.tileconv", f"{output}.pass")):
            return fence
    return None
