"""What a mutation is: a text that stands once in a file, its replacement, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass

Edit = tuple[str, str, str]
"""File below ``tileconv/``, the text that stands there once, and its replacement."""


@dataclass(frozen=True)
class Mutation:
    """A promise broken on purpose."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def broken(name: str, file: str, text: str, replacement: str, *tests: str) -> Mutation:
    """Return the mutation of one place; tests are named below ``tests/``."""
    return Mutation(name, ((file, text, replacement),), tests)
