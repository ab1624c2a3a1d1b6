"""How a run tells how far it is: a protocol, so that the layers below know nothing of terminals."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears of a run's beginning and of every tile."""

    def begin(self, tiles: int, pixels: int) -> None:
        """Take the number of tiles to make, and of their pixels, in all passes together."""

    def resumed(self, text: str) -> None:
        """Take how many tiles are kept and made, and why; only a run that goes on says so."""

    def note(self, text: str) -> None:
        """Take what a reader should know at once."""

    def tile(self, pixels: int) -> None:
        """Count one finished tile."""


class Silent:
    """Says nothing."""

    def begin(self, tiles: int, pixels: int) -> None:
        """Ignore it."""

    def resumed(self, text: str) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def tile(self, pixels: int) -> None:
        """Ignore it."""
