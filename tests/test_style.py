"""House rules that no linter checks."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = sorted(path for folder in ("tileconv", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
PACKAGE = [path for path in OURS if path.is_relative_to(ROOT / "tileconv")]
LONGEST = 400
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill"}
BETWEEN_OUR_PROCESSES = {f"tileconv/execute/{name}.py" for name in ("look", "processes", "trust")}
"""Where pickles go from a process to one that it started, or to a Dask worker: the sender may run code there."""
FORBIDDEN_CALLS = {"eval", "exec", "compile", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system"}


def dangers(tree):
    """Yield what of *tree* would run a stranger's text or bytes as code."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from ({alias.name.split(".")[0] for alias in names} & FORBIDDEN_MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in FORBIDDEN_MODULES:
                yield module
            case ast.Call(function, _, keywords):
                yield from {ast.unparse(function)} & FORBIDDEN_CALLS
                if any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in keywords):
                    yield "allow_pickle"


def name(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_nothing_runs_strangers_text(path):
    allowed = {"pickle"} if name(path) in BETWEEN_OUR_PROCESSES else set()
    assert set(dangers(ast.parse(path.read_text("utf-8")))) == allowed


def test_dangers_would_be_seen():
    text = "import pickle\nfrom marshal import loads\neval('1')\nyaml.load(f)\nnp.load(f, allow_pickle=True)"
    assert list(dangers(ast.parse(text))) == ["pickle", "marshal", "eval", "yaml.load", "allow_pickle"]
    assert not list(dangers(ast.parse("np.load(f, allow_pickle=False)\nyaml.compose(t)\nre.compile('a')")))


@pytest.mark.parametrize("path", OURS, ids=name)
def test_files_are_short_and_say_what_they_are(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(text)), "the module has no docstring"
