"""Every image of a file or store: series of TIFF and FITS, images of Zarr groups, fields of the wells of a plate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tileconv.errors import SourceError
from tileconv.quick import dataclass
from tileconv.sources.folders import attributes_of, below, is_store, shape_text
from tileconv.sources.open import FITS_MAGIC, TIFF_MAGIC
from tileconv.sources.patterns import natural
from tileconv.sources.source import reading
from tileconv.stores import anywhere
from tileconv.stores.anywhere import Place

LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Series:
    """One image of a file: the *path* to give, which *number* in what lies there, and words for its output.

    ``place`` counts over the whole file.
    """

    path: str
    number: int
    place: int
    row: str = ""
    column: str = ""
    field: str = ""

    @property
    def words(self) -> dict[str, str]:
        """What templates of outputs call it: of a plate its ``well``, by ``row`` and ``column``, and ``field``."""
        well = {"well": f"{self.row}{self.column}", "row": self.row, "column": self.column, "field": self.field}
        return {"series": str(self.place)} | (well if self.row else {})


def each_series(path: Place) -> list[Series]:
    """Return every image of the file or store at *path*, but for labels, in its own order.

    Raises
    ------
    SourceError
        If it cannot be opened, or holds no image.
    """
    with reading(str(path), "opening"):
        if anywhere.is_file(path):
            images = [Series(str(path), number, number) for number in range(_count(path))]
        else:
            images = [*_in_store(path)]
    if not images:
        raise SourceError("no image is in it", where=str(path), fix="Give the folder of the image itself.")
    return images


def _count(path: Place) -> int:
    """Return how many images a file has."""
    with anywhere.opened(path) as file:
        head = file.read(len(FITS_MAGIC))
    if head.startswith(TIFF_MAGIC):
        from tileconv.sources.tiff_choices import every
        from tileconv.sources.tiff_layout import open_tiff

        with open_tiff(path) as (tiff, _, _):
            return len(every(tiff))
    if head == FITS_MAGIC:
        from tileconv.sources.fits import images_of, opened

        with opened(path) as units:
            return len(images_of(units))
    return 1


def _in_store(path: Place) -> Iterator[Series]:
    told, where = attributes_of(path), str(path)
    if "plate" in told:
        wells = [str(well["path"]) for well in told["plate"]["wells"]]
        fields = ((well, field) for well in wells for field in _fields(below(path, well)))
        for place, (well, field) in enumerate(fields):
            row, _, column = well.partition("/")
            yield Series(f"{where}/{well}/{field}", 0, place, row, column, field)
    elif "well" in told:
        for place, field in enumerate(_fields(path)):
            yield Series(f"{where}/{field}", 0, place, path.parent.name, path.name, field)
    elif "multiscales" in told or "bioformats2raw.layout" in told:
        yield from (Series(where, number, number) for number in range(_images(path, told)))
    else:
        children = sorted(anywhere.names(path), key=natural)
        images = [name for name in children if name != LABELS and is_store(path / name) and _has_image(path, name)]
        several = len(images) > 1
        yield from (Series(f"{where}/{name}" if several else where, 0, at) for at, name in enumerate(images or [""]))


def _fields(well: Place) -> list[str]:
    told: Mapping[str, Any] = attributes_of(well)["well"]
    return [str(image["path"]) for image in told["images"] if below(well, str(image["path"]))]


def _images(path: Place, told: Mapping[str, Any]) -> int:
    from tileconv.sources.zarr_group import series_of

    return len(told["multiscales"] if "multiscales" in told else series_of(path))


def _has_image(path: Place, name: str) -> bool:
    return " x " in shape_text(path, name)


def plate_of(image: Place) -> Mapping[str, Any]:
    """Return what the plate says of itself of which *image* is a field; nothing where there is none."""
    return _told(image.parent.parent.parent, "plate")


def well_of(well: Place) -> list[Mapping[str, Any]]:
    """Return what the folder of a *well* says of its fields."""
    return [one for one in _told(well, "well").get("images", ()) if isinstance(one, Mapping)]


def _told(group: Place, kind: str) -> Mapping[str, Any]:
    found = attributes_of(group).get(kind)
    return found if isinstance(found, Mapping) else {}
