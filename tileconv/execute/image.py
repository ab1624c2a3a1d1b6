"""An image of a batch: planned, and then with its run open; and what the batch's progress hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import field

from tileconv.errors import TileconvError
from tileconv.execute.executor import Pair
from tileconv.execute.run import Run
from tileconv.planning.model import Plan
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.sources.source import Source


@dataclass
class Ready:
    """An image that is planned; ``seen`` is what it looked like before."""

    name: str
    plan: Plan
    source: Source
    seen: str


@dataclass(eq=False)
class Open:
    """An image whose run is open: its tiles to come, how many of them are in flight, and why it ends early."""

    name: str
    seen: str
    run: Run
    closing: ExitStack
    pairs: Iterator[Pair | None] = field(default_factory=lambda: iter(()))
    flying: int = 0
    error: TileconvError | None = None


class OfImage(Progress):
    """What *progress* of a batch hears of the image *name*."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.progress, self.name = progress, name

    def begin(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Let the tiles of the image join."""
        self.progress.join(tiles, pixels, kept)

    def note(self, text: str) -> None:
        """Say of which image it is."""
        self.progress.note(f"{self.name}: {text}")

    def failed(self, text: str) -> None:
        """Tell of a tile, which says of which image it is."""
        self.progress.failed(text)

    def tile(self, pixels: int) -> None:
        """Count one finished tile."""
        self.progress.tile(pixels)
