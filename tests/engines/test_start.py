"""Loops that were compiled before run from files, without Numba; where anything is another, they are compiled."""

import os
import shutil
import zlib

import numpy as np
import pytest

from tileconv.engines import loops, start
from tileconv.engines.loops import Loop, njit

SCALE = 3


@njit(cache=True, nogil=True)
def inner(row, by):  # pragma: no cover - compiled
    for x in range(row.shape[0]):
        row[x] *= by


def whole(parts, block, shift, on, out):  # pragma: no cover - compiled
    """Loops, tuples, memory of its own, another loop, a function of C, a division that may fail, two results."""
    own = np.zeros(block.shape[1], out.dtype)
    for part in parts:
        own += part
    inner(own, SCALE)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = block[y, x] + own[x] + np.exp(shift)
    return (out.size if on else 0) // block.shape[0], shift / 2


def arguments(dtype="uint16", **of):
    """Arguments of ``whole``."""
    block = np.arange(24, dtype=dtype).reshape(4, 6)
    parts = tuple(np.full(block.shape[1], n, np.float32) for n in range(3))
    return parts, block, of.get("shift", 0.5), of.get("on", True), np.empty(block.shape, np.float32)


def fresh():
    """The loop as a process has it that has called it never."""
    return njit(cache=True, nogil=True)(whole)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A folder with the loop as it was kept when it was compiled."""
    folder = tmp_path_factory.mktemp("loops")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loops, "place", lambda: folder)
        assert fresh()(*arguments()) == (6, 0.25)
    return folder


@pytest.fixture
def folder(compiled, tmp_path, monkeypatch):
    """Where loops are kept in this test alone; the first is there already."""
    monkeypatch.setattr(loops, "_folders", lambda: [tmp_path])
    monkeypatch.setattr(loops, "place", lambda: tmp_path)
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_what_is_kept_needs_no_compiler(folder):
    (kept,) = folder.iterdir()
    assert kept.name.startswith("whole-")
    again, given = fresh(), arguments(shift=1.5)
    assert again(*given) == (6, 0.75)
    assert "compiler" not in vars(again)
    np.testing.assert_array_equal(given[-1], np.float32(given[1] + 9 + np.exp(1.5)))  # 3 * (0 + 1 + 2)
    assert again(*arguments(on=False)) == (0, 0.25)
    assert "compiler" not in vars(again)


def test_errors_of_a_kept_loop_are_those_of_python(folder):
    again, (parts, block, *others) = fresh(), arguments()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            again(parts, block[:0], *others[:-1], others[-1][:0])
    assert "compiler" not in vars(again)


def test_other_arguments_are_compiled_for(folder):
    again = fresh()
    parts, block, *others = arguments()
    frozen = block.copy()
    frozen.flags.writeable = False
    for given in (frozen, np.asfortranarray(block), block.astype("int32")):
        assert again._read(tuple(map(loops._kind, (parts, given, *others)))) is None
    assert again._read(tuple(map(loops._kind, (parts[:2], block, *others)))) is None
    assert again._read(tuple(map(loops._kind, (parts, block, *others)))) is not None


def test_another_text_another_constant_another_processor(folder, monkeypatch):
    kinds = tuple(map(loops._kind, arguments()))
    assert fresh()._read(kinds) is not None
    with monkeypatch.context() as patched:
        patched.setitem(globals(), "SCALE", 4)
        assert fresh()._read(kinds) is None
    with monkeypatch.context() as patched:
        patched.setitem(globals(), "inner", Loop(fresh, {"cache": True}))
        assert fresh()._read(kinds) is None
    with monkeypatch.context() as patched:
        patched.setattr(start, "_machine", lambda: ("another",))
        assert fresh()._read(kinds) is None
    monkeypatch.setenv("NUMBA_OPT", "0")
    assert fresh()._read(kinds) is None


def test_a_folder_that_is_named_is_the_only_one(tmp_path, monkeypatch):
    assert len(loops._folders()) >= 1
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert loops._folders() == [tmp_path / "tileconv"]
    loops.place.cache_clear()
    assert loops.place() == tmp_path / "tileconv"
    loops.place.cache_clear()


@pytest.mark.parametrize("at", [0, 300, -1])
def test_a_file_that_is_damaged_is_not_used(folder, at):
    (kept,) = folder.iterdir()
    data = bytearray(kept.read_bytes())
    data[at] ^= 1
    kept.write_bytes(data)
    assert fresh()._read(tuple(map(loops._kind, arguments()))) is None
    kept.write_bytes(data[:-20])
    assert fresh()._read(tuple(map(loops._kind, arguments()))) is None


def test_files_of_older_code_go_once_nobody_reads_them(folder):
    (kept,) = folder.glob("*.loop")
    loop, tag, python, code, facts = kept.name.split("-")
    names = {
        "other code": f"{loop}-{tag}-{python}-{code[::-1]}-{facts}",
        "just read": f"{loop}-{tag}-{python}-00000000-{facts}",
        "other types": f"{loop}-{tag}-{python}-{code}-{facts[::-1]}",
        "other Python": f"{loop}-{tag}-399-{code[::-1]}-{facts}",
        "other loop": f"{loop}r-{tag}-{python}-{code[::-1]}-{facts}",
    }
    for what, name in names.items():
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (0, 0) if what != "just read" else None)
    start.remove_older(kept)
    assert {path.name for path in folder.iterdir()} == {kept.name, *names.values()} - {names["other code"]}


def test_what_is_not_there_is_not_called(folder):
    (kept,) = folder.iterdir()
    data = kept.read_bytes()[4:].replace(b'"NRT_MemInfo_call_dtor"', b'"NRT_no_such_thing"')
    assert start.read(zlib.crc32(data).to_bytes(4) + data) is None
