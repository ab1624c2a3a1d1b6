"""How a run tells how far it is: to nobody, to a notebook, or to whoever takes the place of these."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from tileconv import signals
from tileconv.shown import rate_text, tiles_text


class Progress:
    """Hears of a run's beginning, of every tile and of what tiles wait for; this one keeps it to itself."""

    def begin(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Take the number of tiles to make, and of their pixels, in all passes together; *kept* are made already."""

    def resumed(self, text: str) -> None:
        """Take how many tiles are kept and made, and why; only a run that is resumed says so."""

    def note(self, text: str) -> None:
        """Take what a reader should know at once."""

    def waiting(self, text: str) -> None:
        """Take what the next tile waits for."""

    def stopping(self, text: str) -> None:
        """Take, in the handler of a signal, that no further tile begins; said where somebody sits at a terminal."""
        signals.say(text)

    def tile(self, pixels: int) -> None:
        """Count one finished tile."""

    def failed(self, text: str) -> None:
        """Take why a tile could not be made; the error that ends the run, or lists its failures, comes later."""

    def lost(self, text: str) -> None:
        """Take which worker was lost, and how."""
        self.note(text)

    def begin_batch(self, images: int) -> None:
        """Take the number of images of a batch, in which ``join`` stands for ``begin``."""

    def join(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Take that an image of a batch comes up, with what ``begin`` takes."""

    def image(self, output: str, state: str, text: str = "") -> None:
        """Take that an image of several is ``done`` or has ``failed``, its *output*, and why."""

    def finished(self, code: int, facts: Mapping[str, Any]) -> None:
        """Take the exit code of the command, and its report, or its ``error``."""


class Counting(Progress):
    """Counts tiles and pixels; ``show`` is called when there is something new to see, at most every ``EVERY_S``."""

    EVERY_S = 0.2
    tiles = pixels = done = done_pixels = images = images_done = 0
    began, shown, waits = 0.0, 0.0, ""

    def begin(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Begin to count."""
        self.tiles, self.pixels, self.done, self.done_pixels = kept + tiles, pixels, kept, 0
        self.began, self.waits = time.monotonic(), ""
        self.shown = 0.0

    def waiting(self, text: str) -> None:
        """Show *text* until the next tile is done."""
        self.waits = text
        self.show()

    def tile(self, pixels: int) -> None:
        """Count one finished tile."""
        self.done, self.done_pixels, self.waits = self.done + 1, self.done_pixels + pixels, ""
        now = time.monotonic()
        if self.done == self.tiles or now - self.shown >= self.EVERY_S:
            self.shown = now
            self.show()

    def begin_batch(self, images: int) -> None:
        """Begin to count images as well."""
        self.images, self.images_done = images, 0
        self.begin(0, 0)

    def join(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Count the tiles of another image."""
        self.tiles, self.pixels, self.done = self.tiles + kept + tiles, self.pixels + pixels, self.done + kept

    def image(self, output: str, state: str, text: str = "") -> None:  # noqa: ARG002 as others want them
        """Count one image that came to its end."""
        self.images_done += 1
        self.show()

    def show(self) -> None:
        """Show how far the run is."""

    @property
    def rate(self) -> float:
        """Megapixels per second since the beginning."""
        return self.done_pixels / 1e6 / max(1e-9, time.monotonic() - self.began)

    @property
    def seconds_left(self) -> float:
        """How long the tiles that are left take at this rate."""
        return (self.pixels - self.done_pixels) / 1e6 / max(1e-9, self.rate)

    def line(self) -> str:
        """Return how far the run is, or what it waits for."""
        if self.images:
            said = f"{self.images_done:,} of {self.images:,} images, {tiles_text(self.done)}"
            return f"{said}, {self.waits or rate_text(self.rate)}"
        done = f"{self.done:,} of {tiles_text(self.tiles)}"
        if self.waits or not self.done_pixels:
            return f"{done}, {self.waits or 'the first is being made'}"
        return f"{done}, {rate_text(self.rate)}, {self.seconds_left:,.0f} s left"


class Notebook(Counting):
    """A line below the cell that runs."""

    def __init__(self) -> None:
        from IPython.display import display

        self.handle = display({"text/plain": ""}, raw=True, display_id=True)

    def note(self, text: str) -> None:
        """Print it below the cell."""
        sys.stderr.write(f"note: {text}\n")

    resumed = stopping = note

    def show(self) -> None:
        """Renew the line."""
        self.handle.update({"text/plain": self.line()}, raw=True)


def watching(progress: Progress | None) -> Progress:
    """Return *progress*; where there is none, a line in a notebook, and nothing elsewhere."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython and not progress else None
    return progress or (Notebook() if hasattr(shell, "kernel") else Progress())
