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
    """What pass *job* stores, made from *before* whenever it is read: in parts no larger than a tile."""

    job: Pass
    before: Source

    @property
    def info(self) -> ImageInfo:
        """The image that the pass makes."""
        return self.job.info

    def read(self, box: Box) -> NDArray[Any]:
        """Return the pixels of *box*, in the position of the store."""
        made = np.empty(box.shape, self.info.dtype)
        for part in TileGrid(box, self.job.grid.tile):
            made[part.within(box)] = pixels(self.job, self.before, part.shift(self.job.image.start))
        return made


def pixels(job: Pass, before: Source, box: Box) -> NDArray[Any]:
    """Return the pixels of *box*, in the run's position, made by *job* from *before*."""
    have = needed(job, box)
    return compute_tile(job, read(before, job, have), have, box)[0]
