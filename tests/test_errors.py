"""Errors: their text from their parts, and the way through a pickle."""

import inspect
import pickle

import pytest

from tileconv import errors
from tileconv.errors import Problem, SpecError, TileconvError

CLASSES = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, TileconvError)]


def made(cls):
    if cls is SpecError:
        return SpecError("a.yaml", (Problem("version", "missing"), Problem("input", "missing", 3, 1, "input:", 5)))
    return cls("expected 1, found 2", where="big.tif", why="two is too many", fix="Remove one.")


def test_the_module_draws_every_error():
    drawn = [line.split()[1] for line in errors.__doc__.splitlines() if line.startswith(("├", "└"))]
    assert sorted(drawn) == sorted(c.__name__ for c in CLASSES if c is not TileconvError)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_changes_nothing(cls, protocol):
    error = made(cls)
    error.add_note("on worker 3")
    back = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 our own bytes
    assert type(back) is cls
    assert str(back) == str(error)
    assert back.args == error.args
    assert vars(back) == vars(error)
    assert back.__notes__ == ["on worker 3"]


@pytest.mark.parametrize("cls", CLASSES)
def test_exit_codes(cls):
    refused = dict.fromkeys(("SpecError", "KernelError", "PlanError", "ResumeError"), 2)
    assert cls.exit_code == (refused | {"UnfinishedError": 3}).get(cls.__name__, 1)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "found 2"),
        ({"where": "a.tif"}, "a.tif: found 2"),
        ({"why": "two is too many"}, "found 2, because two is too many"),
        ({"fix": "Remove one."}, "found 2. Remove one."),
        ({"where": "a.tif", "why": "that is too many", "fix": "Go."}, "a.tif: found 2, because that is too many. Go."),
    ],
)
def test_the_text_has_the_parts_that_are_given(parts, text):
    assert str(TileconvError("found 2", **parts)) == text


def test_a_problem_points_at_its_place():
    problem = Problem(
        "stages[1].component", "found 'q'", 6, 28, "  - {op: sobel, component: q}", 1, "did you mean 'x'?"
    )
    assert problem.render("a.yaml").splitlines() == [
        "a.yaml:6:28: stages[1].component: found 'q'",
        "    6 |   - {op: sobel, component: q}",
        "                                   ^ did you mean 'x'?",
    ]
    caret, source = problem.render("a.yaml").splitlines()[:0:-1]
    assert source[caret.index("^")] == "q"


def test_a_problem_without_a_place_or_key():
    assert Problem("run.tile", "bad", hint="try 64").render("a.yaml") == "a.yaml: run.tile: bad\n    try 64"
    assert Problem("", "bad", 1, 1).render("a.yaml") == "a.yaml:1:1: bad"
    assert Problem("", "bad", 1, 1, "x", width=0).render("a.yaml").endswith("\n    1 | x\n        ^")


def test_a_spec_error_lists_every_problem():
    error = made(SpecError)
    assert str(error).splitlines()[0] == "a.yaml: version: missing"
    assert str(error).splitlines()[1] == "a.yaml:3:1: input: missing"
    assert (error.problem, error.where, len(error.problems)) == ("2 problems", "a.yaml", 2)
    assert SpecError("a.yaml", (Problem("", ""),)).problem == "1 problem"
