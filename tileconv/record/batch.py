"""The list of a batch: which inputs it has, and in which state each is; written whole, and not with every tile.

It lies where the paths of all outputs begin alike. What is true of an output its own run folder says: the list tells
which those are, and lets a finished one be known again without a plan.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError
from itertools import takewhile
from typing import Any

from tileconv.errors import TileconvError
from tileconv.planning.encoding import encoded
from tileconv.quick import dataclass
from tileconv.record.done import METADATA, facts_read, known_by, recorded_store
from tileconv.record.folder import RunFolder
from tileconv.record.provenance import version_of
from tileconv.sinks.files import sink_errors
from tileconv.spec import PipelineSpec
from tileconv.spec.model import MaskSpec, RunSpec
from tileconv.spec.templates import ABSOLUTE, folder_of
from tileconv.stores.location import Location
from tileconv.stores.store import content

SUFFIX = ".tileconv-batch"
WAITING, BEGUN, DONE, FAILED = "waiting", "begun", "done", "failed"
"""States of an image: no run of it was begun, one was, its outputs are whole, its run failed."""
EVERY_S = 10.0
"""How often the list is written at most, but for its first and its last time."""


@dataclass(frozen=True)
class Entry:
    """An image in the list: its outputs, its state, why it failed, and what ``seen_of`` says of what it was made of."""

    outputs: tuple[str, ...]
    state: str = WAITING
    error: str = ""
    seen: str = ""


class BatchList:
    """The entries of the images of a batch by their names, those in the file included that are no inputs any more."""

    def __init__(self, place: Location) -> None:
        self.place, self.entries = place, dict[str, Entry]()
        self._written = 0.0
        with sink_errors(place, "read"):
            stored = content(place.parent.store(), place.name)
        try:
            for name, told in json.loads(stored or b"{}").get("images", {}).items():
                self.entries[str(name)] = Entry(**{**told, "outputs": tuple(told["outputs"])})
        except (AttributeError, KeyError, TypeError, ValueError):
            self.entries.clear()  # of no tool of ours; every image is looked at anew

    def set(self, name: str, entry: Entry) -> None:
        """Put *entry* in the place of that of the image *name*, and write the list if that was long ago."""
        self.entries[name] = entry
        if time.monotonic() - self._written > EVERY_S:
            self.write()

    def renew(self, images: Iterable[tuple[str, PipelineSpec | TileconvError]]) -> dict[str, Entry]:
        """Let new ones of *images* join, with their names, and return the entries of all of them, and of no others."""
        now = {name: outputs_of(image) for name, image in images}
        for name, outputs in now.items():
            known = self.entries.get(name)
            self.entries[name] = known if known and known.outputs == outputs else Entry(outputs)
        return {name: self.entries[name] for name in now}

    def write(self) -> None:
        """Write the list in one step; SinkError if the file system refuses."""
        images = {name: {k: v for k, v in asdict(entry).items() if v} for name, entry in self.entries.items()}
        with sink_errors(self.place):
            text = json.dumps({"format": 1, "images": images}, indent=1)
            self.place.parent.store().write(self.place.name, [[text.encode()]])
        self._written = time.monotonic()


def place_of(spec: PipelineSpec) -> Location:
    """Return where the list of a batch lies: in the folder in which the paths of its first outputs begin alike.

    Where these begin with ``{parent}`` it is the folder in which the paths of the inputs do.
    """
    place = spec.output.path
    folder = place.text.partition("{")[0].rpartition("/")[0]
    name = place.text[len(folder) + 1 :]
    if place.text.startswith(ABSOLUTE):
        folders = [folder_of([path, path]) for path in spec.input.paths or (spec.input.path.text,)]
        each = zip(*(path.split("/") for path in folders), strict=False)
        folder = "/".join(parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, each))
        folder = folders[0] if folder in {"", "s3:/", "gs:/", "az:/"} else folder
    name = re.sub(r"[{}]", "", name).replace("/", "-")
    return replace(place, text=folder or "/").below(f"{name}{SUFFIX}")


def outputs_of(image: PipelineSpec | TileconvError) -> tuple[str, ...]:
    """Return where the outputs of an image lie; nowhere where there is no pipeline of it."""
    return tuple(str(output.path) for output in image.outputs) if isinstance(image, PipelineSpec) else ()


def digest_of(spec: PipelineSpec) -> str:
    """Return a digest of what a batch makes of every image: all of its pipeline but paths, and how it goes."""
    nowhere = Location("")
    outputs = tuple(replace(output, path=nowhere) for output in spec.outputs)
    one = replace(spec.input, path=nowhere, paths=(), series=0)
    same = replace(spec, input=one, outputs=outputs, run=RunSpec(), clusters=None, cluster=None)
    return hashlib.sha256(json.dumps(encoded(same)).encode()).hexdigest()


def seen_of(image: PipelineSpec, pipeline: str) -> str:
    """Return what an image and its mask look like from outside, under a *pipeline*; empty where nothing is to see.

    A folder, as a Zarr store is one, looks as all files in it do.
    """
    mask = image.input.mask
    places = [image.input.path, *([mask.path] if isinstance(mask, MaskSpec) and mask.path else [])]
    told: list[Any] = [pipeline, image.input.series]
    for place in places:
        with sink_errors(place, "read"):
            facts = place.parent.store().stat(place.name)
            looks = [*facts] if facts else _folder_looks(place)
        if not looks:
            return ""
        told.append([str(place), *looks])
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _folder_looks(folder: Location) -> list[int]:
    """Return a digest of what is known of every file in *folder*, in whatever order they come; empty without any."""
    digest = 0
    for key, facts in folder.store().facts():
        text = json.dumps([key, *facts]).encode()
        digest ^= int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())
    return [digest] if digest else []


def is_whole(output: Location) -> bool:
    """Return whether an output is done, by libraries of the versions that are here, and nothing of it is missing.

    No pixel is read: its metadata are compared with what was written, and its chunks counted.
    """
    folder = RunFolder(output)
    plan, facts = folder.plan(), facts_read(folder)
    if plan is None or facts is None or not folder.done():
        return False
    versions = plan.get("identity", {}).get("versions", {})
    try:
        if not versions or any(version != version_of(name) for name, version in versions.items()):
            return False
    except PackageNotFoundError:
        return False
    sink, _ = recorded_store(folder, plan)
    return known_by(folder, sink) == facts[METADATA] and (bool(folder.kind) or sink.custody.whole())
