"""How far a batch is, and whether its outputs are what was written: asked of its pipeline file, or of its list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import Any

from tileconv.audit.status import EXIT_UNFINISHED, Status
from tileconv.audit.status import status as status_of
from tileconv.audit.verify import verify as verify_one
from tileconv.errors import TileconvError
from tileconv.execute.images import each_image
from tileconv.progress import Progress
from tileconv.quick import dataclass
from tileconv.record.batch import SUFFIX, BatchList, Entry, place_of
from tileconv.record.compare import EXIT_DIFFERENT, Verification
from tileconv.record.folder import RunFolder
from tileconv.sinks.files import sink_errors
from tileconv.spec import PipelineSpec
from tileconv.stores.location import USUAL, Access, Location, here

COMPLETE, ABSENT, UNKNOWN = "complete", "not begun", "unknown"
WHOLE, DIFFERENT, UNCOMPARED = "whole", "different", "not compared"


@dataclass(frozen=True)
class Asked:
    """The images of a batch with what its list says of each, and the inputs that are none any more.

    ``written`` is how the stores of each of the outputs of an image are reached.
    """

    images: dict[str, Entry]
    vanished: tuple[str, ...] = ()
    written: tuple[Access, ...] = ()

    def outputs(self) -> Iterator[tuple[str, Entry, Location]]:
        """Yield each output with the name of its image, and what the list says of that."""
        for name, entry in self.images.items():
            for output, access in zip(entry.outputs, self.written or repeat(USUAL), strict=False):
                yield name, entry, Location(output, access)


def asked_of_spec(spec: PipelineSpec) -> Asked:
    """Return the images that a pipeline names now."""
    known = BatchList(place_of(spec))
    now = known.renew(each_image(spec).named())
    vanished = tuple(name for name in known.entries if spec.is_batch and name not in now)
    return Asked(now, vanished, tuple(output.path.access for output in spec.outputs))


def asked_of_folder(path: Path | str) -> Asked | None:
    """Return the images that the lists in a folder name; None where it has none, or is the output of a run itself."""
    place = here(path)
    with sink_errors(place, "read"):
        output = place.name and RunFolder(place).there()
        names = [] if output else sorted(n for n in _names(place) if n.endswith(SUFFIX))
    lists = [BatchList(place.below(name)) for name in names]
    return Asked({name: entry for one in lists for name, entry in one.entries.items()}) if lists else None


def _names(place: Location) -> Sequence[str]:
    try:
        return place.store().names()
    except NotADirectoryError:
        return []


@dataclass(frozen=True)
class ImageStatus:
    """How far an output of an image is; ``error`` says why its last run failed, or why its state is not known."""

    input: str
    output: str
    state: str
    error: str
    status: Status | None


@dataclass(frozen=True)
class BatchStatus:
    """How far the outputs of a batch are."""

    images: tuple[ImageStatus, ...]
    vanished: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 where all outputs are complete, else 3."""
        return 0 if all(one.state == COMPLETE for one in self.images) else EXIT_UNFINISHED

    @property
    def counted(self) -> str:
        """How many outputs are in each state."""
        return _counted(Counter(one.state for one in self.images))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self) | {"counts": dict(Counter(one.state for one in self.images))}


def batch_status(asked: Asked) -> BatchStatus:
    """Return how far each output of a batch is, read from its run folder."""
    return BatchStatus(tuple(_status(*one) for one in asked.outputs()), asked.vanished)


def _status(name: str, entry: Entry, output: Location) -> ImageStatus:
    where = str(output)
    try:
        if RunFolder(output).plan() is None and not entry.error:
            return ImageStatus(name, where, ABSENT, "", None)
        found = status_of(output)
    except TileconvError as error:
        return ImageStatus(name, where, UNKNOWN, entry.error or str(error), None)
    return ImageStatus(name, where, found.state, entry.error * (found.state != COMPLETE), found)


@dataclass(frozen=True)
class ImageVerification:
    """What was found of an output of an image; ``error`` says why it was not compared."""

    input: str
    output: str
    error: str
    verification: Verification | None

    @property
    def state(self) -> str:
        """``whole``, ``different`` or ``not compared``."""
        if self.verification is None:
            return UNCOMPARED
        return DIFFERENT if self.verification.damages else WHOLE


@dataclass(frozen=True)
class BatchVerification:
    """What was found of the outputs of a batch."""

    images: tuple[ImageVerification, ...]

    @property
    def exit_code(self) -> int:
        """4 where any output differs, else 1 where one could not be compared, and 0 where all are whole."""
        states = {one.state for one in self.images}
        return EXIT_DIFFERENT if DIFFERENT in states else int(UNCOMPARED in states)

    @property
    def counted(self) -> str:
        """How many outputs are in each state."""
        return _counted(Counter(one.state for one in self.images))

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        images = [asdict(one) | {"state": one.state} for one in self.images]
        return {"images": images, "counts": dict(Counter(one.state for one in self.images))}


def batch_verification(
    asked: Asked, *, recompute: str = "", seed: int = 0, progress: Progress | None = None
) -> BatchVerification:
    """Compare each output of a batch with what its run wrote, one after another; arguments as of ``verify``."""

    def verified(name: str, output: Location) -> ImageVerification:
        try:
            found = verify_one(output, recompute=recompute, seed=seed, progress=progress)
        except TileconvError as error:
            return ImageVerification(name, str(output), str(error), None)
        return ImageVerification(name, str(output), "", found)

    return BatchVerification(tuple(verified(name, output) for name, _, output in asked.outputs()))


def _counted(counts: Counter[str]) -> str:
    said = ", ".join(f"{count:,} {state}" for state, count in counts.items())
    return f"{counts.total():,} outputs: {said}"
