"""Fuzz the reader of pipeline files: ``python -m tests.fuzz.spec --inputs 100000 [--seed N] [--atheris]``."""

import sys

from tests.fuzz.loop import main

if __name__ == "__main__":
    sys.exit(main("tests.fuzz.spec_target", ".yaml"))
