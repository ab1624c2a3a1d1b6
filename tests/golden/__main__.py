"""Compare what the golden pipelines make with what was recorded, or record it anew: ``--check`` or ``--renew``.

To check another commit, which need not have this folder: ``PYTHONPATH=THIS python -m tests.golden --check`` in its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.golden.corpus import CORPUS
from tests.golden.digests import RECORDED, differences, digests, environment, recorded


def main() -> int:
    """Do what is asked; return 1 where something differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--check", action="store_true", help="print which files differ from what was recorded")
    asked.add_argument("--renew", action="store_true", help="record what is made now")
    renew = parser.parse_args().renew
    now = {"environment": environment(), "digests": {}}
    before = now | {"digests": {name: {} for name in CORPUS}} if renew else recorded()
    differ = differences(before["environment"], now["environment"])
    sys.stdout.write("".join(f"environment: {line}\n" for line in differ))
    for name in CORPUS:
        with tempfile.TemporaryDirectory() as folder:
            now["digests"][name] = digests(name, Path(folder).resolve())
        if not renew:
            found = differences(before["digests"].get(name, {}), now["digests"][name])
            sys.stdout.write("".join(f"{name}: {line}\n" for line in found))
            differ += found
    files = sum(map(len, now["digests"].values()))
    if renew:
        RECORDED.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", "utf-8")
    sys.stdout.write(f"{len(CORPUS)} pipelines, {files} files: {'recorded' if renew else f'{len(differ)} differ'}\n")
    return int(not renew and bool(differ))


if __name__ == "__main__":
    sys.exit(main())
