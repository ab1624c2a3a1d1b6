"""Which programs cannot read an output, because of how it is stored; `docs/open-the-result.md` says what they need."""

from __future__ import annotations

from tileconv.storage import Storage


def shut_out(storage: Storage) -> list[str]:
    """Return programs that cannot read what is stored so, each with the keys that would let them.

    Examples
    --------
    >>> shut_out(Storage(format="0.4", checksum="none"))
    []
    """
    reasons = []
    if storage.format == "0.5":
        reasons.append('programs that read Zarr v2 alone, such as rasterio 1.4: output.format: "0.4" is for them')
    gdal = {"crc32c": storage.checksum == "crc32c", "shards": bool(storage.shards)}
    if any(gdal.values()):
        keys = {"crc32c": "output.checksum: none", "shards": "output.shards: none"}
        needed = ", ".join(key for name, key in keys.items() if gdal[name])
        reasons.append(f"GDAL before 3.13, and rasterio with it: {needed}")
    return reasons
