"""Fuzzers: mutated spec texts and TIFF files against what must hold of every input."""
