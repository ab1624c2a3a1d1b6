"""Fuzz the reader of TIFF files: ``python -m tests.fuzz.tiff --inputs 100000 [--seed N] [--atheris]``."""

import sys

from tests.fuzz.loop import main

if __name__ == "__main__":
    sys.exit(main("tests.fuzz.tiff_target", ".tif"))
