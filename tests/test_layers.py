"""The layers of ARCHITECTURE.md, and which module may know which library."""

import ast
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tileconv"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAY_IMPORT = {
    "yaml": ("spec/*",),
    "dask": ("sources/*", "tiles/*", "execute/*", "arrays.py"),
    "zarr": ("sources/zarr*.py", "sinks/*"),
    "obstore": ("stores/objects.py",),
    "astropy": ("sources/fits.py",),
    "bioio": ("sources/microscope.py",),
    "tifffile": ("sources/tiff*.py",),
    "distributed": tuple(f"execute/{name}.py" for name in ("cluster", "connect", "crew", "jobs", "trust")),
}
"""Where a library may be imported. Others may not know that it exists."""


def imports(tree):
    """Yield the top name of every import of *tree*."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def at_import(tree):
    """Yield what of *tree* runs when it is imported: not the bodies of functions, nor what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not (typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            yield node
            yield from at_import(node)


def strangers(module, tree):
    """Return the libraries that *tree*, the text of *module*, imports and may not."""
    name = module.relative_to(PACKAGE).as_posix()
    return {
        library
        for library in set(imports(tree)) & set(MAY_IMPORT)
        if not any(fnmatchcase(name, place) for place in MAY_IMPORT[library])
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_libraries_stay_where_they_belong(module):
    tree = ast.parse(module.read_text("utf-8"))
    assert not strangers(module, tree)
    loaded = [n for n in at_import(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert "distributed" not in set(imports(ast.Module(loaded, [])))


def test_a_stranger_would_be_seen():
    tree = ast.parse("def f():\n    import yaml\nfrom dask.array import map_blocks\nimport zarr.core")
    assert strangers(PACKAGE / "kernels" / "blur.py", tree) == {"yaml", "dask", "zarr"}
    assert strangers(PACKAGE / "sinks" / "zarr.py", tree) == {"yaml", "dask"}
    assert strangers(PACKAGE / "sources" / "tiff.py", ast.parse("import tifffile, zarr")) == {"zarr"}


@pytest.mark.parametrize("place", ["", "if x:\n    ", "class A:\n    "])
def test_what_runs_at_import_would_be_seen(place):
    tree = ast.parse(f"{place}import distributed\nif TYPE_CHECKING:\n    import dask\ndef f():\n    import zarr")
    loaded = [n for n in at_import(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert set(imports(ast.Module(loaded, []))) == {"distributed"}


def test_the_layers_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


def test_help_is_quick_to_import():
    """``--help`` imports no library but the one that reads the command line, and few modules of ours."""
    text = """
import sys
from tileconv import cli
places = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
libraries = {name.partition(".")[0] for name, place in places.items() if "site-packages" in place}
print(sorted(name for name in libraries if name[0] != "_"), sum(name.startswith("tileconv") for name in places))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    libraries, ours = done.stdout.rsplit(maxsplit=1)
    assert libraries == "['click']"
    assert int(ours) <= 16
