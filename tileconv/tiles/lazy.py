"""What a pass makes as a source that stores nothing: its pixels are made whenever they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.boxes import Box, TileGrid
from tileconv.images import ImageInfo
from tileconv.planning.model import Pass
from tileconv.sources.source import Source
from tileconv.tiles.compute import compute_tile, needed
from tileconv.tiles.windows import read


@dataclass(frozen=True)
class Computed:
    """What *pass_* stores, made from *before* whenever it is read: in parts no larger than a tile."""

    pass_: Pass
    before: Source

    @property
    def info(self) -> ImageInfo:
        """The image that the pass makes."""
        return self.pass_.info

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of *box*, in the position of the store."""
        made = np.empty(box.shape, self.info.dtype)
        for part in TileGrid(box, self.pass_.grid.tile):
            made[part.within(box)] = pixels(self.pass_, self.before, part.shift(self.pass_.image.start))
        return made


def pixels(pass_: Pass, before: Source, box: Box) -> NDArray[Any]:
    """Return the pixels of *box*, in the run's position, made by *pass_* from *before*."""
    have = needed(pass_, box)
    return compute_tile(pass_, read(before, pass_, have), have, box)[0]
