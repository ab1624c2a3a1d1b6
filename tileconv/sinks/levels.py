"""The levels of an image above its full size: how each lies in the store, and how it is made of the one below."""

from __future__ import annotations

from tileconv.images import ImageInfo
from tileconv.operations.shrink import Shrink
from tileconv.quick import dataclass
from tileconv.storage import Storage


@dataclass(frozen=True)
class Level:
    """A level that *shrink* makes of the one below: the array *info*, stored as *storage* says."""

    info: ImageInfo
    storage: Storage
    shrink: Shrink
