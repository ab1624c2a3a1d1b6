"""Who hears of a run on the command line: a bar, lines, events as JSON (docs/operating.md), and a log beside these."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from tileconv.errors import TileconvError
from tileconv.progress import Counting, Progress
from tileconv.report.terminal import TerminalProgress
from tileconv.sinks.files import sink_errors
from tileconv.stores import steady

KINDS = ("auto", "plain", "json", "none")


@contextmanager
def watch(kind: str, log: Path | None) -> Iterator[Progress]:
    """Yield who hears of a run on stderr, one of ``KINDS``, and writes to *log*, if there is one.

    Raises
    ------
    SinkError
        If *log* cannot be opened.
    """
    with ExitStack() as stack:
        progress: Progress = Progress()
        if kind == "json":
            progress = Events(sys.stderr)
        elif kind != "none":
            progress = stack.enter_context(TerminalProgress(sys.stderr, bar=kind == "auto"))
        if log:
            progress = stack.enter_context(_logged(log, progress))
        try:
            yield progress
        except TileconvError as error:
            text = "\n".join([str(error), *getattr(error, "__notes__", ())])
            progress.finished(error.exit_code, {"error": text})
            raise


class Events(Counting):
    """Writes an object of JSON to *stream* for each event, a line each; of tiles at most one every ``EVERY_S``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def _say(self, event: str, **facts: Any) -> None:
        said = {"event": event, "time": round(time.time(), 3), **facts}
        self._stream.write(json.dumps(said, default=str) + "\n")

    def begin(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Tell of all tiles, and of those that are made already."""
        super().begin(tiles, pixels, kept)
        self._say("begun", tiles=self.tiles, kept=kept, pixels=pixels)

    def resumed(self, text: str) -> None:
        """Tell what is kept."""
        self._say("resumed", text=text)

    def note(self, text: str) -> None:
        """Tell what a reader should know."""
        self._say("note", text=text)

    def stopping(self, text: str) -> None:
        """Tell, in the handler of a signal, that no further tile begins: the stream may be at another line."""
        said = json.dumps({"event": "stopping", "time": round(time.time(), 3), "text": text})
        with suppress(OSError):
            os.write(2, f"{said}\n".encode())

    def show(self) -> None:
        """Tell how far the run is, or what it waits for."""
        if self.waits:
            self._say("waiting", text=self.waits)
            return
        left = round(self.seconds_left, 1) if self.done_pixels else None
        rate = round(self.rate, 3)
        self._say("tile", done=self.done, tiles=self.tiles, megapixels_per_second=rate, seconds_left=left)

    def failed(self, text: str) -> None:
        """Tell of a tile that could not be made."""
        self._say("failed", text=text)

    def lost(self, text: str) -> None:
        """Tell of a worker that was lost."""
        self._say("worker_lost", text=text)

    def begin_batch(self, images: int) -> None:
        """Tell of all images."""
        super().begin(0, 0)
        self.images = images
        self._say("batch", images=images)

    def image(self, output: str, state: str, text: str = "") -> None:
        """Tell of an image of several."""
        self._say("image", output=output, state=state, text=text)

    def finished(self, code: int, facts: Mapping[str, Any]) -> None:
        """Tell how it ended."""
        self._say("finished", exit_code=code, **facts)


class Log(Counting):
    """Appends what happens to the file at *descriptor*, each line with its time, and tells *other* of it as well."""

    EVERY_S = 10.0

    def __init__(self, descriptor: int, other: Progress) -> None:
        self._descriptor, self._other = descriptor, other

    def say(self, text: str) -> None:
        """Append *text*; what cannot be written is dropped, for a run does not end for want of a log."""
        now = time.time()
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        with suppress(OSError):
            os.write(self._descriptor, "".join(f"{when} {line}\n" for line in text.splitlines()).encode())

    def begin(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Write how many tiles there are."""
        super().begin(tiles, pixels, kept)
        self.say(f"begun: {self.tiles:,} tiles, {kept:,} of them kept")
        self._other.begin(tiles, pixels, kept)

    def resumed(self, text: str) -> None:
        """Write what is kept."""
        self.say(f"resuming: {text}")
        self._other.resumed(text)

    def note(self, text: str) -> None:
        """Write what a reader should know."""
        self.say(f"note: {text}")
        self._other.note(text)

    def waiting(self, text: str) -> None:
        """Write what the next tile waits for."""
        self.say(f"waiting: {text}")
        self._other.waiting(text)

    def stopping(self, text: str) -> None:
        """Write that no further tile begins."""
        self.say(text)
        self._other.stopping(text)

    def tile(self, pixels: int) -> None:
        """Count one finished tile."""
        super().tile(pixels)
        self._other.tile(pixels)

    def show(self) -> None:
        """Write how far the run is."""
        self.say(self.line())

    def failed(self, text: str) -> None:
        """Write why a tile could not be made."""
        self.say(f"failed: {text}")
        self._other.failed(text)

    def lost(self, text: str) -> None:
        """Write which worker was lost."""
        self.say(f"worker lost: {text}")
        self._other.lost(text)

    def begin_batch(self, images: int) -> None:
        """Write how many images there are."""
        super().begin(0, 0)
        self.images = images
        self.say(f"begun: {images:,} images")
        self._other.begin_batch(images)

    def join(self, tiles: int, pixels: int, kept: int = 0) -> None:
        """Count the tiles of another image."""
        super().join(tiles, pixels, kept)
        self._other.join(tiles, pixels, kept)

    def image(self, output: str, state: str, text: str = "") -> None:
        """Write what became of an image of several."""
        self.images_done += 1
        self.say(f"image {output}: {state}{f': {text}' * bool(text)}")
        self._other.image(output, state, text)

    def finished(self, code: int, facts: Mapping[str, Any]) -> None:
        """Write how it ended."""
        self.say(f"finished, exit code {code}: {facts.get('error') or json.dumps(facts, default=str)}")
        self._other.finished(code, facts)


@contextmanager
def _logged(path: Path, other: Progress) -> Iterator[Log]:
    with sink_errors(path):
        descriptor = steady.open_descriptor(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log, show = Log(descriptor, other), warnings.showwarning

    def showwarning(message: Any, category: type[Warning], *where: Any, **words: Any) -> None:
        log.say(f"warning: {category.__name__}: {message}")
        show(message, category, *where, **words)

    warnings.showwarning = showwarning
    try:
        yield log
    finally:
        warnings.showwarning = show
        os.close(descriptor)
