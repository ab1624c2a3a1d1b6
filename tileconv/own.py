"""Files that are this user's own: constants of this machine, clusters, and what is kept for later."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path


def own_file(name: str, *, variable: str = "XDG_CONFIG_HOME", usual: str = "~/.config") -> Path | None:
    """Return where the user's file *name* lies, if there is one; None for a user without a home."""
    return _below(os.environ.get(variable) or usual, name, os.environ.get("HOME"))


@lru_cache(maxsize=8)
def _below(folder: str, name: str, _home: str | None) -> Path | None:
    with suppress(RuntimeError):  # there is no home
        return Path(folder).expanduser() / "tileconv" / name
    return None
