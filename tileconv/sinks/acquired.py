"""How the image was acquired, stored beside the levels of a result: a group that holds OME-XML."""

from __future__ import annotations

from typing import Any

from tileconv.sinks.custody import write_metadata
from tileconv.sinks.layout import Layout
from tileconv.stores.store import Store

GROUP = "OME"
"""Its name; programs that list what is in a result then find no folder that they do not know."""


def write_acquisition(store: Store, layout: Layout, acquired: str) -> None:
    """Write what *acquired*, OME-XML as ``Source.acquired`` returns it, says of a result of *layout*, if anything."""
    if not acquired:
        return
    from tileconv.acquisition import KEY, fitted  # an XML parser, for few

    if text := fitted(acquired, layout.info):
        group: dict[str, dict[str, Any]] = {
            "0.5": {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": {}}},
            "0.4": {".zgroup": {"zarr_format": 2}},
        }
        for name, said in group[layout.storage.format].items():
            write_metadata(store, f"{GROUP}/{name}", said)
        store.write(KEY, [[text]])
