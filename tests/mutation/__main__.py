"""Break a copy of tileconv in one place after another: ``python -m tests.mutation [--only NAME] [--shard K/N]``.

Nothing here is changed: ``tileconv/`` and ``tests/`` are copied, the copy is what the tests import, and each mutation
is taken back before the next. No mutation is in a loop that Numba compiles into the functions of other files, which
would not be compiled anew. A mutation is caught when pytest reports failed tests; an error of import is no catch.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.mutation import Mutation
from tests.mutation.mutations import MUTATIONS
from tests.shards import ALL, shard

ROOT = Path(__file__).parents[2]
COPIED = ("tileconv", "tests", "pipelines", "docs", "benchmarks", "pyproject.toml", "README.md")
NO_CATCH = re.compile("ImportError|ModuleNotFoundError|SyntaxError|IndentationError|NameError|no tests ran|not found")


class Copy:
    """A copy of the project below *folder*, whose tests run on its own tileconv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name)
            elif (ROOT / name).exists():
                shutil.copy2(ROOT / name, folder / name)
        self.environ = os.environ | {"PYTHONPATH": str(folder), "TILECONV_PROFILE": "quick"}
        found = self.python("-c", "import tileconv; print(tileconv.__file__)").stdout.strip()
        if not Path(found).resolve().is_relative_to(folder.resolve()):
            raise SystemExit(f"the copy is not what Python imports, but {found}")

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy."""
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=900)

    def tests(self, names: tuple[str, ...], *words: str) -> subprocess.CompletedProcess[str]:
        """Run the tests *names*, which stand below ``tests/``."""
        paths = [f"tests/{name}" for name in names]
        return self.python("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=line", *words, *paths)

    def apply(self, mutation: Mutation) -> None:
        """Put the replacements of *mutation* in place."""
        for file, text, replacement in mutation.edits:
            path = self.folder / "tileconv" / file
            path.write_text(replaced(path.read_text("utf-8"), text, replacement), "utf-8")

    def restore(self, mutation: Mutation) -> None:
        """Take *mutation* back."""
        for file, *_ in mutation.edits:
            path = self.folder / "tileconv" / file
            shutil.copy2(ROOT / "tileconv" / file, path)


def replaced(content: str, text: str, replacement: str) -> str:
    """Return *content* with *text*, which must stand there exactly once, replaced."""
    if content.count(text) != 1:
        raise SystemExit(f"stands {content.count(text)} times, not once: {text}")
    return content.replace(text, replacement)


def caught(copy: Copy, mutation: Mutation) -> tuple[bool, str]:
    """Return whether a test fails on *mutation*, and what pytest says last."""
    copy.apply(mutation)
    try:
        done = copy.tests(mutation.tests, "-x")
    finally:
        copy.restore(mutation)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("FAILED", "ERROR"))] or lines[-1:]
    failed = done.returncode == 1 and " failed" in lines[-1] and not NO_CATCH.search(said[0])
    return failed, said[0][:160]


def main() -> int:
    """Run the mutations asked for; return the exit status."""
    parser = argparse.ArgumentParser(description="Every mutation must make one of its tests fail.")
    parser.add_argument("--only", metavar="NAME", help="mutations whose name holds this")
    parser.add_argument("--shard", default=ALL, help="k/n: every n-th of these from the k-th on (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names")
    asked = parser.parse_args()
    chosen = shard([m for m in MUTATIONS if asked.only is None or asked.only in m.name], asked.shard)
    say = sys.stdout.write
    if asked.list or not chosen:
        say("".join(f"{m.name}\n" for m in chosen) or f"no mutation is named {asked.only}\n")
        return 0 if chosen else 2
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tileconv-mutation-") as folder:
        copy = Copy(Path(folder))
        whole = copy.tests(tuple(dict.fromkeys(name for m in chosen for name in m.tests)))
        if whole.returncode:
            say(f"the tests fail on tileconv as it is:\n{whole.stdout[-4000:]}{whole.stderr[-2000:]}")
            return 2
        escaped = 0
        for mutation in chosen:
            start = time.perf_counter()
            good, said = caught(copy, mutation)
            escaped += not good
            say(f"{'caught ' if good else 'ESCAPED'} {time.perf_counter() - start:5.1f} s  {mutation.name}\n")
            if not good:
                say(f"    {said}\n")
            sys.stdout.flush()
    say(f"{len(chosen) - escaped} of {len(chosen)} mutations are caught, {time.perf_counter() - began:.0f} s\n")
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
