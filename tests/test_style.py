"""House rules that no linter checks."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = sorted(path for folder in ("tileconv", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
PACKAGE = [path for path in OURS if path.is_relative_to(ROOT / "tileconv")]
LONGEST = 400
LONGEST_MODULE, LONGEST_FUNCTION = 300, 45
"""Lines of a module of the package, and of a function without its docstring."""
LONGER = {}
"""What is longer, and why."""
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill"}
BETWEEN_OUR_PROCESSES = {f"tileconv/execute/{name}.py" for name in ("look", "processes", "trust")}
"""Where pickles go from a process to one that it started, or to a Dask worker: the sender may run code there."""
COMPILES_NAMES = {"tileconv/quick.py"}
"""Where names of fields, of classes of ours, become the text of a function, as in the standard library."""
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
    allowed |= {"exec"} if name(path) in COMPILES_NAMES else set()
    assert set(dangers(ast.parse(path.read_text("utf-8")))) == allowed


def test_dangers_would_be_seen():
    text = "import pickle\nfrom marshal import loads\neval('1')\nyaml.load(f)\nnp.load(f, allow_pickle=True)"
    assert list(dangers(ast.parse(text))) == ["pickle", "marshal", "eval", "yaml.load", "allow_pickle"]
    assert not list(dangers(ast.parse("np.load(f, allow_pickle=False)\nyaml.compose(t)\nre.compile('a')")))


def longer(path, text):
    """Yield what of the module *text* is longer than the limits, by its name."""
    if len(text.splitlines()) > LONGEST_MODULE:
        yield name(path)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None
            first = node.body[0]
            docstring = (first.end_lineno - first.lineno + 1) * documented
            if node.end_lineno - node.lineno + 1 - docstring > LONGEST_FUNCTION:
                yield f"{name(path)}:{node.name}"


def test_modules_and_functions_are_short():
    found = {one for path in PACKAGE for one in longer(path, path.read_text("utf-8"))}
    assert found == set(LONGER)


def test_what_is_too_long_would_be_seen():
    path = ROOT / "tileconv" / "a.py"
    body = "    x = 1\n" * LONGEST_FUNCTION
    text = f"def short():\n    '''Say\n\n    so.'''\n{body[10:]}def long():\n{body}"
    assert list(longer(path, text)) == ["tileconv/a.py:long"]
    assert list(longer(path, "x = 1\n" * (LONGEST_MODULE + 1))) == ["tileconv/a.py"]


@pytest.mark.parametrize("path", OURS, ids=name)
def test_files_are_short_and_say_what_they_are(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(text)), "the module has no docstring"


def asks(text):
    """Return whether *text* looks at which engine or operation it has, instead of asking its record."""
    names = "Linear|Magnitude|Unsharp|Rescale|Absolute|Clip|Several"
    return bool(re.search(rf'engine [!=]= "|isinstance\([^\n]*\b({names})\b', text))


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_nobody_asks_which_engine_or_operation_it_is(path):
    assert not asks(path.read_text("utf-8"))


def test_who_asks_would_be_seen():
    assert asks('if choice.engine == "fft":')
    assert asks("if isinstance(stage.operation, Linear | Rescale):")
    assert not asks("isinstance(made, Operation)")
