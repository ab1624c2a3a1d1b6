"""What Zarr, OME-Zarr and xarray metadata say of an array: where it lies, its axes, pixel size and chunk names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from math import prod
from string import hexdigits
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tileconv.errors import SourceError
from tileconv.georeference import NOWHERE, Georeference
from tileconv.images import alpha_of
from tileconv.quick import dataclass
from tileconv.sources.axes import assumed_axes
from tileconv.sources.notes import ALPHA
from tileconv.sources.zarr_node import ArrayNode
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place
from tileconv.units import unit_of


@dataclass(frozen=True)
class Keys:
    """How the files of chunks are named: ``c/0/1`` of format 3, ``0.1`` or ``0/1`` of format 2.

    Examples
    --------
    >>> Keys("c", "/").key((0, 1)), Keys("", ".").index("3.1", (4, 2)), Keys("", ".").index("4.1", (4, 2))
    ('c/0/1', True, False)
    """

    prefix: str
    separator: str

    @classmethod
    def of(cls, metadata: Place) -> Keys:
        """Read the naming from ``zarr.json`` or ``.zarray``."""
        found = json.loads(anywhere.read_bytes(metadata))
        if metadata.name == ".zarray":
            return cls("", found.get("dimension_separator", "."))
        encoding = found["chunk_key_encoding"]
        default = encoding["name"] == "default"
        separator = encoding.get("configuration", {}).get("separator", "/" if default else ".")
        return cls("c" if default else "", separator)

    def key(self, index: Sequence[int]) -> str:
        """Return the name of the chunk at *index*, relative to the array's folder."""
        return self.separator.join([*([self.prefix] if self.prefix else []), *map(str, index)])

    def index(self, key: str, counts: Sequence[int]) -> bool:
        """Return whether *key* names a chunk of a grid of *counts*."""
        parts = key.split(self.separator)
        if self.prefix and parts.pop(0) != self.prefix:
            return False
        return (
            len(parts) == len(counts)
            and all(p.isdecimal() for p in parts)
            and all(str(int(p)) == p and int(p) < n for p, n in zip(parts, counts, strict=True))
        )


ABSENT = 2**64 - 1
"""What the table of a shard says of an inner chunk that is not stored."""


@dataclass(frozen=True)
class ShardIndex:
    """The table in every shard that says where its inner chunks lie (Zarr 3 codec ``sharding_indexed`` 1.0)."""

    counts: tuple[int, ...]
    at_end: bool
    checksum_bytes: int

    @classmethod
    def of(cls, metadata: Place, counts: tuple[int, ...]) -> ShardIndex:
        """Read from ``zarr.json`` how the table of *counts* inner chunks is stored; other codings raise SourceError."""
        codec = json.loads(anywhere.read_bytes(metadata))["codecs"][0]
        settings = codec["configuration"]
        first, *rest = settings["index_codecs"]
        if first["configuration"].get("endian") != "little" or [c["name"] for c in rest] not in ([], ["crc32c"]):
            raise SourceError("missing_chunks cannot be 'error': the index of its shards is coded in an unusual way")
        return cls(counts, settings.get("index_location", "end") == "end", 4 * len(rest))

    @property
    def nbytes(self) -> int:
        """Bytes of the table as it is stored, with its checksum."""
        return 16 * prod(self.counts) + self.checksum_bytes

    def table(self, shard: Place) -> NDArray[np.uint64]:
        """Return offset and bytes of every inner chunk of a shard, along the last axis; ``ABSENT`` if not stored."""
        with anywhere.opened(shard) as file:
            if self.at_end:
                file.seek(-self.nbytes, 2)
            return self.parsed(file.read(self.nbytes))

    def parsed(self, stored: bytes) -> NDArray[np.uint64]:
        """Return the table that is *stored*, as ``table`` does."""
        return np.frombuffer(stored[: 16 * prod(self.counts)], "<u8").reshape(*self.counts, 2)

    def stored(self, shard: Place) -> NDArray[np.bool_]:
        """Return, for every inner chunk of a shard, whether it is stored."""
        stored: NDArray[np.bool_] = (self.table(shard) != ABSENT).all(axis=-1)
        return stored


@dataclass
class Described:
    """What metadata says of an array, in the array's own order; empty where it says nothing."""

    axes: list[str]
    scale: list[float] = field(default_factory=list)
    origin: list[float] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    channels: tuple[str, ...] = ()
    nodata: float | None = None
    notes: list[str] = field(default_factory=list)
    colours: tuple[str, ...] = ()
    georeference: Georeference = NOWHERE
    masks: list[str] = field(default_factory=list)
    alpha: str = ""
    labels: bool = False


def describe(array: ArrayNode, ome: Mapping[str, Any] | None, axes: str | None) -> Described:
    """Return axes, pixel size, units and channels of *array*, from OME-Zarr, Zarr 3 or xarray metadata.

    *axes* are the names that the user gave, without which an array that may hold colours must name its own.
    """
    if ome is not None:
        return _describe_ome(array, ome, axes)
    names = array.names or array.attributes.get("_ARRAY_DIMENSIONS")
    return Described([name or "" for name in names]) if names and any(names) else _assumed(array, axes)


def _assumed(array: ArrayNode, given: str | None) -> Described:
    """Return what is known of an array that names no axes."""
    names = assumed_axes(array.shape, given)
    told = len(array.shape) > 2 and given is None
    return Described(list(names), notes=[f"the array names no axes: {names} is assumed"] * told)


def _describe_ome(array: ArrayNode, ome: Mapping[str, Any], given: str | None) -> Described:
    image = ome["multiscales"][ome["series"]]
    axes = image.get("axes") or _assumed(array, given).axes
    named = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in axes]
    if len(named) != len(array.shape):
        raise SourceError(f"the OME metadata names {len(named)} axes, the array has {len(array.shape)}")
    described = Described([str(a["name"] or "") for a in named])
    steps = [*image["datasets"][ome["level"]].get("coordinateTransformations", ())]
    for step in (*steps, *image.get("coordinateTransformations", ())):
        _apply(step, described, len(array.shape))  # the first steps apply first
    if not all(0 < n < np.inf for n in described.scale) or not np.isfinite(described.origin).all():
        described.notes.append(f"pixel size {described.scale} at {described.origin} is no size and is ignored")
        described.scale, described.origin = [], []
    _name_units([str(a.get("unit") or "") for a in named], described)
    ours = ome["tileconv"] if isinstance(ome.get("tileconv"), Mapping) else {}
    described.labels = "image-label" in ome or ours.get("labels") is True
    if described.labels:
        described.notes.append("the pixels are labels, and are filtered as numbers")
    channels = ome.get("omero", {}).get("channels", ())
    count = prod(n for a, n in zip(described.axes, array.shape, strict=True) if a == "c")
    labels, colours = ([str(channel.get(key, "")) for channel in channels] for key in ("label", "color"))
    described.channels = tuple(labels) if any(labels) and len(labels) == count else ()
    described.colours = tuple(map(_colour, colours)) if any(colours) and len(colours) == count else ()
    own = count > 1 and ours.get("alpha") in ("", *ALPHA)
    described.alpha = ours["alpha"] if own else alpha_of(described.channels)
    described.notes += [ALPHA["associated"]] * (described.alpha == "associated")
    return described


def _apply(step: Mapping[str, Any], described: Described, count: int) -> None:
    """Apply a scale or a translation of *count* numbers to pixel size and origin; SourceError for other steps."""
    kind = step.get("type")
    numbers = step.get(kind, ()) if isinstance(kind, str) else ()
    if kind == "identity":
        return
    if kind not in ("scale", "translation") or "path" in step:
        problem = f"the OME metadata transforms coordinates by {kind!r}" + " of a file" * ("path" in step)
        why = "only scale and translation of numbers are kept in the output"
        raise SourceError(problem, why=why, fix="Give the folder of the array itself to take its pixels without it.")
    if len(numbers) != count:
        raise SourceError(f"expected a {kind} of {count} numbers in the OME metadata, found {numbers}")
    scale, origin = described.scale or [1.0] * count, described.origin or [0.0] * count
    if kind == "scale":
        described.scale = [float(s * n) for s, n in zip(scale, numbers, strict=True)]
        described.origin = [float(o * n) for o, n in zip(origin, numbers, strict=True)]
    else:
        described.origin = [float(o + n) for o, n in zip(origin, numbers, strict=True)]


def _name_units(stated: Sequence[str], described: Described) -> None:
    """Take the units by their names in OME-Zarr; those that it lacks are left out."""
    known = [unit_of(text) for text in stated]
    described.units = [unit[1] if unit else "" for unit in known]
    if lost := sorted({text for text, unit in zip(stated, known, strict=True) if text and not unit}):
        described.notes.append(f"units that OME-Zarr does not know are left out: {', '.join(lost)}")
    factors = [unit[0] if unit else 1.0 for unit in known]
    described.scale = [n * factor for n, factor in zip(described.scale, factors, strict=False)]
    described.origin = [n * factor for n, factor in zip(described.origin, factors, strict=False)]


def _colour(text: str) -> str:
    """Return *text* as ``RRGGBB``, or ``""`` where it is no colour."""
    found = text.removeprefix("#").upper()[:6]
    return found if len(found) == 6 and all(digit in hexdigits for digit in found) else ""
