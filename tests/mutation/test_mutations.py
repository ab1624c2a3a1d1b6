"""The table of mutations fits the code: every text stands once, every replacement compiles, every test exists."""

import re
from pathlib import Path

import pytest

from tests.mutation.__main__ import NO_CATCH, replaced
from tests.mutation.mutation import Mutation
from tests.mutation.mutations import MUTATIONS

ROOT = Path(__file__).parents[2]


def name_of(mutation: Mutation) -> str:
    return mutation.name.replace(" ", "-")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=name_of)
def test_every_text_stands_once_and_its_replacement_compiles(mutation):
    contents = {file: (ROOT / "tileconv" / file).read_text("utf-8") for file, *_ in mutation.edits}
    for file, text, replacement in mutation.edits:
        assert text != replacement
        contents[file] = replaced(contents[file], text, replacement)
    for file, content in contents.items():
        compile(content, file, "exec")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=name_of)
def test_its_tests_exist(mutation):
    assert mutation.tests
    for test in mutation.tests:
        file, _, name = test.partition("::")
        content = (ROOT / "tests" / file).read_text("utf-8")
        assert not name or re.search(rf"^def {name}\(", content, re.MULTILINE)


def test_there_are_enough_and_none_twice():
    assert len({m.name for m in MUTATIONS}) == len(MUTATIONS) >= 24
    assert len({m.edits for m in MUTATIONS}) == len(MUTATIONS)


def test_a_text_that_stands_twice_is_refused():
    assert replaced("a b", "a", "c") == "c b"
    for content in ("a a", "b"):
        with pytest.raises(SystemExit, match="not once"):
            replaced(content, "a", "c")


def test_an_error_of_import_is_no_catch():
    assert NO_CATCH.search("ERROR tests/a.py - ImportError: no name")
    assert not NO_CATCH.search("FAILED tests/a.py::test_b - assert 1 == 2")
