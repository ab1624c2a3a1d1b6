"""How a run tells how far it is: a protocol, so that the layers below know nothing of terminals."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears of a run's beginning and of every tile."""

    def begin(self, tiles: int, pixels: int) -> None:
        """Take the number of tiles and output pixels of all passes together."""

    def tile(self, pixels: int) -> None:
        """Count one finished tile."""


class Silent:
    """Says nothing."""

    def begin(self, tiles: int, pixels: int) -> None:
        """Ignore it."""

    def tile(self, pixels: int) -> None:
        """Ignore it."""
