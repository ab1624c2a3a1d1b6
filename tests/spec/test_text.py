"""Text to nodes: places, what stays text, and what is refused before it can cost anything."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tileconv.errors import SpecError
from tileconv.spec import parse_spec
from tileconv.spec.text import MAX_BYTES, MAX_NODES, MapNode, ScalarNode, compose

GOOD = "version: 1\ninput: {path: a.tif}\nstages:\n  - {op: gaussian, sigma: 2}\noutput: {path: b.zarr}\n"


def refused(text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "p.yaml", "/data", environ={})
    return caught.value


def test_places_are_those_of_the_text() -> None:
    root, problems = compose("# note\na:\n  bc: 'de'\n", "p.yaml")
    assert problems == []
    inner = root.items["a"]
    assert isinstance(inner, MapNode)
    value = inner.items["bc"]
    assert isinstance(value, ScalarNode)
    assert (value.text, value.plain) == ("de", False)
    assert (value.place.line, value.place.column, value.place.width, value.place.source) == (3, 7, 4, "  bc: 'de'")
    assert (inner.keys["bc"].line, inner.keys["bc"].column, inner.keys["bc"].width) == (3, 3, 2)


def test_scalars_stay_text() -> None:
    root, _ = compose("{a: no, b: 010, c: 1_0, d: 12:30:45, e: 1e3, f: ~, g: 2001-01-01}", "p.yaml")
    texts = [node.text for node in root.items.values() if isinstance(node, ScalarNode)]
    assert texts == ["no", "010", "1_0", "12:30:45", "1e3", "~", "2001-01-01"]


def test_caret_stands_below_the_word() -> None:
    head, source, caret = str(refused(GOOD.replace("sigma", "sgma"))).splitlines()[-3:]
    assert head.startswith("p.yaml:4:20: ")
    assert source[caret.index("^") : caret.rindex("^") + 1] == "sgma"


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x, x]\n" + "".join(f"k{i}: &k{i} [*a, *a]\n" for i in range(30)),
        "[" * 200_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "? " * 100_000,
        "!!python/object/apply:os.system ['true']",
        "a: " + "x" * MAX_BYTES,
    ],
    ids=["aliases", "lists", "mappings", "dashes", "keys", "tag", "long"],
)
def test_bombs_are_refused_at_once(bomb: str) -> None:
    tracemalloc.start()
    error = refused(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(error.problems) == 1
    assert len(str(error)) < 2000
    assert peak < 20 * 2**20


def test_too_many_values() -> None:
    assert f"more than {MAX_NODES:,} values" in str(refused("- 1\n" * (MAX_NODES + 1)))


def test_long_lines_are_not_repeated() -> None:
    assert len(str(refused(GOOD + "x: " + "y" * 100_000))) < 500


@pytest.mark.parametrize(
    "text", ['a: "\\U00110000"', "%YAML 1." + "9" * 5000 + "\n---\na: 1", 'a: "\\ud800"', "a: '", "a: |\n"]
)
def test_odd_yaml_is_a_spec_error(text: str) -> None:
    assert refused(text).problems


def test_half_a_surrogate_pair_is_refused() -> None:
    error = refused(GOOD.replace("a.tif", '"\\ud800.tif"'))
    assert [problem.message for problem in error.problems] == ["half a surrogate pair is not a character"]


def test_messages_escape_what_a_terminal_obeys() -> None:
    error = refused(GOOD.replace("sigma: 2", 'sigma: "\\e[31m", "\\a": 1'))
    assert str(error).isascii()
    assert "\\x1b[31m" in error.problems[0].message
    assert "\x1b" not in str(error)


def test_windows_lines() -> None:
    assert parse_spec(GOOD.replace("\n", "\r\n"), "p.yaml", "/data").stages[0].op == "gaussian"


WORDS = """version input path stages op gaussian box sigma size border rule run memory output x y
    ${A} ${ - : [ ] { } , 1 1e3 010 " ' & * ! | > # %"""


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from([*WORDS.split(), "\n", "  ", " ", ": ", "- "]), max_size=40).map("".join),
        st.tuples(st.integers(0, len(GOOD)), st.text(max_size=4)).map(lambda c: GOOD[: c[0]] + c[1] + GOOD[c[0] + 1 :]),
    )
)
def test_only_spec_errors_escape(text: str) -> None:
    try:
        parse_spec(text, "p.yaml", "/data", environ={"A": "3"})
    except SpecError as error:
        message = str(error)
    else:
        message = "no problem"
    assert message
