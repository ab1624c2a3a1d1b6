"""What the fuzzer found (tests/fuzz): texts whose message a terminal would obey, or would point beside the place."""

import pytest

from tileconv.errors import SpecError
from tileconv.spec import as_mapping, parse_spec, spec_from_mapping

RIGHT = "version: 1\ninput: {path: a.tif}\nstages: []\noutput: {path: b.zarr}\n"


def refused(text, *overrides):
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "p.yaml", "/", overrides)
    assert str(caught.value).replace("\n", "").isprintable()
    return caught.value.problems


def test_the_line_shown_holds_nothing_that_a_terminal_obeys():
    (problem,) = refused(RIGHT + "x: \x1b[2J\n")
    assert (problem.line, problem.column, problem.source) == (5, 4, "x: \ufffd[2J")


def test_characters_that_only_python_takes_for_line_breaks():
    (problem,) = refused(RIGHT + "a\x0bb: 1\n")
    assert (problem.line, problem.column, problem.source) == (5, 2, "a\ufffdb: 1")


def test_ids_in_messages_about_overrides():
    problems = refused(RIGHT.replace("[]", '[{op: box, id: "\\x07"}]'), "stages.9.op=box", "a.\x1b=[")
    assert any("ids: \\x07" in problem.message for problem in problems)


@pytest.mark.parametrize(("memory", "right"), [("999TB", True), ("999999999999999", True), ("1000TB", False)])
def test_memory_that_can_be_read_again(memory, right):
    text = f"{RIGHT}run: {{memory: {memory}}}\n"
    if right:
        spec = parse_spec(text, "p.yaml", "/")
        assert spec_from_mapping(as_mapping(spec)) == spec
    else:
        (problem,) = refused(text)
        assert problem.key == "run.memory"
