"""What sources of one file have in common: how it is held, and known again."""

from __future__ import annotations

from tileconv.sources.source import check_same, check_unchanged, fingerprint_of, stamp_of
from tileconv.stores.anywhere import Place


class OneFile:
    """The file at *path*, which one run holds by its stamp, and a later one by its fingerprint."""

    def __init__(self, path: Place) -> None:
        self._path, self.where = path, str(path)
        self._stamp = stamp_of(path)
        self.changed = self._stamp[-1]
        self.fingerprint = fingerprint_of(path)

    def check_stored(self) -> None:
        """See ``Source.check_stored``."""
        check_unchanged(self._path, self._stamp)
        check_same(fingerprint_of(self._path), self.fingerprint, self.where)

    def missing_chunks_total(self) -> tuple[int, int]:
        """Nothing is missing: the file is there, or an error."""
        return 0, 1

    def acquired(self) -> str:
        """See ``Source.acquired``: such a file does not say it."""
        return ""
