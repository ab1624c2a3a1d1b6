"""What a process is made of, told by the standard library alone: of this module the *text* runs on workers.

So it runs there whatever version of tileconv they have, or none (decision 015).
"""

import hashlib
import os
import pickle
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

CODE = "code of tileconv"


def look(libraries: Iterable[str]) -> dict[str, str]:
    """Return what decides the pixels that this process makes: versions of *libraries*, its code, Python and machine."""
    seen = {"Python": ".".join(map(str, sys.version_info[:2])), "processor": platform.machine()}
    for name in ("tileconv", *libraries):
        try:
            seen[name] = _blas() if name == "BLAS" else version(name)
        except (ImportError, PackageNotFoundError):
            seen[name] = "none"
    return {**seen, CODE: _code()}


def _blas() -> str:
    from tileconv.engines.blas import kind

    return kind()


def _code() -> str:
    """Return a digest of the modules of tileconv, which differ between two checkouts of one version."""
    spec, digest = find_spec("tileconv"), hashlib.sha256()
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"{file.relative_to(folder).as_posix()} {file.stat().st_size} ".encode() + file.read_bytes())
    return digest.hexdigest()[:12] if spec else "none"


def accept(expected: Mapping[str, str], call: bytes) -> tuple[str, str]:
    """Return the name of this host and why it must not make tiles; ``""`` once it has done what *call* pickles.

    What a process looked like first is what it has imported; what was installed since is there in part only.
    """
    found = look(name for name in expected if name not in {"Python", "processor", "tileconv", CODE})
    first = vars(sys).setdefault("_tileconv_first_look", {})
    differ = [f"{name} {found[name]}, here {value}" for name, value in expected.items() if found[name] != value]
    changed = [name for name, value in found.items() if first.setdefault(name, value) != value]
    if differ:
        return os.uname().nodename, f"it has {'; '.join(differ)}"
    if changed:
        return os.uname().nodename, f"{' and '.join(changed)} changed after it began; start it again"
    try:
        function, args = pickle.loads(call)  # noqa: S301  of the client, who may run anything here
    except (ImportError, AttributeError) as error:
        return os.uname().nodename, f"it lacks what the client has: {error.name or 'a part of tileconv'}"
    return os.uname().nodename, function(*args)
