"""The OME-XML that lies beside images of a Zarr store: of bioformats2raw, and of results of tileconv."""

from __future__ import annotations

from contextlib import suppress
from xml.etree import ElementTree

from tileconv.acquisition import KEY, acquisition
from tileconv.errors import SourceError
from tileconv.sources.tiff_metadata import XML_LIMIT_BYTES, parsed
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place


def acquired(image: Place, series: int) -> str:
    """Return what is told of *image*, the number *series* of what lies there: in it, or beside it by its number.

    What cannot be read, or is no OME-XML, tells nothing.
    """
    beside = [(image.parent, int(image.name))] if image.name.isascii() and image.name.isdecimal() else []
    for folder, index in ((image, series), *beside):
        with suppress(SourceError, OSError, ElementTree.ParseError):
            facts = anywhere.facts_of(folder / KEY)
            if facts and facts.size <= XML_LIMIT_BYTES and (stored := anywhere.content(folder / KEY)):
                return acquisition(parsed(stored.decode(errors="replace"), "OME-XML", str(folder / KEY)), index)
    return ""
