"""What editors and type checkers see: a stub made from the signatures. ``tests/typed_calls.py`` uses it under mypy.

``TILECONV_WRITE_STUB=1 python -m pytest tests/test_stub.py`` makes it anew.
"""

import ast
import builtins
import collections.abc
import inspect
import os
import subprocess
import sys
import typing
from pathlib import Path

import numpy.typing

import tileconv
from tileconv import api, arrays, kernels
from tileconv.engines import borders, values
from tileconv.operations import activation, operation, parameters, steps
from tileconv.spec import model

STUB = Path(tileconv.__file__).with_suffix(".pyi")
HOMES = [
    *(collections.abc, typing, numpy.typing, parameters, kernels, values, operation, steps, activation, borders, model)
]
"""Where a name in an annotation comes from: the first that has it."""
HEAD = '''\
class _Lazy(Protocol):
    """An array of Dask or xarray, of which one of the same kind is made."""

    def compute(self, **kwargs: Any) -> Any: ...

_L = TypeVar("_L", bound=_Lazy)
__version__: str

class _Options(TypedDict, total=False):
    """The keywords of every function of an image."""
'''


def written(parameter):
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


def overloads(function, options):
    _, *own = inspect.signature(function).parameters.values()
    own = [p for p in own if p.name not in options and p.kind is not p.VAR_KEYWORD]
    words = [written(p) for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    named = [written(p) for p in own if p.kind is p.KEYWORD_ONLY]
    words = [*words, *["*"] * bool(named), *named, "**options: Unpack[_Options]"]
    summary = function.__doc__.partition("\n")[0]
    for kind, result in (("_L", "_L"), ("ArrayLike", "NDArray[Any]")):
        listed = ", ".join([f"image: {kind}", *words])
        if kind == "_L":  # an xarray has names of its own
            listed = listed.replace(": Component", ": str")
        yield f'@overload\ndef {function.__name__}({listed}) -> {result}:\n    """{summary}"""\n'


def imports(text):
    """Return the imports of all names that *text* uses and does not make."""
    tree = ast.parse(text)
    made = {node.name for node in tree.body if hasattr(node, "name")} | {"_L"} | set(vars(builtins))
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for name in sorted(read - made):
        home = next(module for module in HOMES if hasattr(module, name))
        yield f"from {home.__name__} import {name}"
    yield from (f"from tileconv.api import {name} as {name}" for name in api.__all__)
    yield "from tileconv import errors as errors, kernels as kernels"


def stub():
    """Return what the stub must be, in any layout."""
    _, _, *options = inspect.signature(tileconv.apply).parameters.values()
    keys = "".join(f"    {option.name}: {option.annotation}\n" for option in options)
    names = {option.name for option in options}
    body = HEAD + keys + "".join(line for f in arrays.FUNCTIONS.values() for line in overloads(f, names))
    title = '"""What editors and type checkers see of tileconv; tests/test_stub.py makes it from the signatures."""\n'
    return title + "\n".join(imports(body)) + "\n" + body


def test_the_stub_is_that_of_the_signatures():
    made = stub()
    if os.environ.get("TILECONV_WRITE_STUB"):
        STUB.write_text(made, encoding="utf-8")
        ruff = Path(sys.executable).with_name("ruff")
        subprocess.run([ruff, "check", "--fix", "--select", "I", STUB], check=True)
        subprocess.run([ruff, "format", STUB], check=True)
    found = ast.parse(STUB.read_text("utf-8"))
    assert sorted(map(ast.dump, lines(found))) == sorted(map(ast.dump, lines(ast.parse(made))))


def lines(tree):
    """Yield the statements of *tree*, every imported name as one of its own."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            yield from (ast.ImportFrom(node.module, [alias], 0) for alias in node.names)
        else:
            yield node


def test_all_public_names_are_in_the_stub():
    names = {node.name for node in ast.parse(STUB.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}
    assert {*names, *api.__all__, "errors", "kernels"} == set(tileconv.__all__)
    assert {*tileconv.__all__, "__version__"} == set(dir(tileconv))
