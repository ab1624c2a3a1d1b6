"""Where compiled loops are kept: beside the source, at home, else among temporary files where nobody else can write."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from numba.core import caching

import tileconv
from tileconv.engines import loops, start

PACKAGE = Path(tileconv.__file__).parent


def child(folder, code, **environment):
    """Run *code* with a copy of the package that cannot be written, and without a home; return stdout and stderr."""
    site = folder / "site"
    if not site.exists():
        shutil.copytree(PACKAGE, site / "tileconv", ignore=shutil.ignore_patterns("__pycache__"))
        for part in (site / "tileconv").rglob("*.py"):
            (part.parent / "__pycache__").touch()  # a file where the folder would be: refused to root as well
    env = {k: v for k, v in os.environ.items() if k not in {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"}}
    env |= {"PYTHONPATH": str(site), "HOME": "/dev/null", "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env | environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return made.stdout, made.stderr


ASK = """
import os, numpy, tileconv
from numba.core import config
from tileconv.engines import direct, loops
assert tileconv.__file__.startswith(os.environ["PYTHONPATH"])
print(bool(config.CACHE_DIR), loops.note())
print(loops.place())
direct.add_one(numpy.ones(3, numpy.float32), numpy.ones(1, numpy.float32), numpy.zeros(3, numpy.float32))
print(sum(direct.add_one.stats.cache_misses.values()))
"""


def test_a_package_and_a_home_that_cannot_be_written(tmp_path):
    """The first process compiles, the second loads; the folder is this user's alone, and Numba's setting as it was."""
    own = tmp_path / f"tileconv-{os.getuid()}"
    for misses in (1, 0):
        out, err = child(tmp_path, ASK)
        set_, place, missed = out.splitlines()
        assert (set_[:5], err, missed) == ("False", "", str(misses))
        assert str(own) in set_
        assert "NUMBA_CACHE_DIR" in set_
        assert place == str(own)
    assert own.stat().st_mode & 0o777 == 0o700


def test_no_place_at_all(tmp_path):
    """The temporary folder of this user's name is a file: loops are compiled by every process, and that is told."""
    (tmp_path / f"tileconv-{os.getuid()}").touch()
    for _ in range(2):
        out, err = child(tmp_path, ASK)
        set_, place, missed = out.splitlines()
        assert (place, missed, err) == ("None", "1", "")
        assert "nowhere" in set_


def test_a_folder_that_others_could_write_to_is_not_taken(tmp_path):
    user, path = os.getuid(), tmp_path / f"tileconv-{os.getuid()}"
    tmp_path.chmod(0o1777)
    assert loops.own_folder(tmp_path, user) == str(path)
    assert loops.own_folder(tmp_path, user) == str(path)  # once more
    path.chmod(0o770)
    assert loops.own_folder(tmp_path, user) == ""
    path.rmdir()
    (tmp_path / "elsewhere").mkdir(0o700)
    path.symlink_to("elsewhere")
    assert loops.own_folder(tmp_path, user) == ""
    path.unlink()
    path.touch()
    assert loops.own_folder(tmp_path, user) == ""
    path.unlink()
    assert loops.own_folder(tmp_path, user + 1) == ""  # it would not be theirs
    tmp_path.chmod(0o777)
    assert loops.own_folder(tmp_path, user) == ""
    assert loops.own_folder(tmp_path / "absent", user) == ""


def test_a_cache_that_is_full_or_cannot_be_read_stops_nothing(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(caching.CompileResultCacheImpl, "check_cachable", lambda *_: True)
    monkeypatch.setattr(caching.Cache, "load_overload", refuse)
    monkeypatch.setattr(caching.Cache, "save_overload", refuse)
    monkeypatch.setattr(start, "possible", lambda: False)  # where Numba keeps them
    assert loops.njit(cache=True)(doubled)(21) == 42
    monkeypatch.undo()
    monkeypatch.setattr(loops, "place", lambda: Path("/proc/none"))
    assert loops.njit(cache=True)(doubled)(22) == 44


def test_who_listens_hears_that_a_loop_is_compiled():
    heard, found = [], iter([None, "code", None])
    cache = type("Cache", (), {"load_overload": lambda *_: next(found), "save_overload": lambda *_: None})()
    loops._forgiving(SimpleNamespace(_cache=cache))
    with loops.telling(lambda: heard.append("compiles")):
        assert [cache.load_overload("f4", None), cache.load_overload("f8", None)] == [None, "code"]
    cache.load_overload("i4", None)
    assert heard == ["compiles"]


def doubled(x):  # pragma: no cover - compiled
    return 2 * x


def test_calibrate_looks_before_it_measures(tmp_path):
    """A home that cannot be written, none at all, and a folder in the place of the file."""
    code = "import sys; sys.argv[1:] = {}; from tileconv.cli import main; main()"
    (tmp_path / "costs.json").mkdir()
    for words, environment, why in (
        ("['calibrate']", {"HOME": "/dev/null"}, "XDG_CONFIG_HOME"),
        ("['calibrate']", {"XDG_CONFIG_HOME": "/proc/none"}, "XDG_CONFIG_HOME"),
        ("['calibrate', '-o', 'costs.json']", {}, "directory"),
    ):
        made = subprocess.run(
            [sys.executable, "-c", code.format(words)],
            env={k: v for k, v in os.environ.items() if k != "XDG_CONFIG_HOME"} | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (made.returncode, made.stdout) == (2, "")
        assert why in made.stderr
        assert "direct, narrow" not in made.stderr  # what is said when measuring begins


def test_every_loop_is_declared_here():
    """One that asked Numba itself would keep the whole package from being imported where nothing can be written."""
    text = {path.name: path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.name != "loops.py"}
    assert [
        name for name, content in text.items() if "import njit" in content and "loops import njit" not in content
    ] == []
    assert [name for name, content in text.items() if "numba.njit" in content] == []
