"""Files of a run: every call of the system by itself, again after an error that may pass, and never twice in effect."""

import errno
import os
import stat
from pathlib import Path

import pytest

from tileconv import retry
from tileconv.stores import steady

PARTS = ((b"a chunk of pixels", b"", b"its checksum"), (b"another",))
ABSENT = "no such call, as on macOS 10"
BYTES = b"a chunk of pixelsits checksumanother"


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0)


def failing(monkeypatch, name, times, *, number=errno.EIO, act=lambda *_: None):
    """Let ``os.NAME`` fail *times* times, after doing *act*; return the list of its calls."""
    real, calls = getattr(os, name), []

    def call(*args, **words):
        calls.append(args)
        if len(calls) <= times:
            act(*args)
            raise OSError(number, os.strerror(number))
        return real(*args, **words)

    monkeypatch.setattr(os, name, call)
    return calls


def _refuse(number):
    def pwritev(*_):
        raise OSError(number, os.strerror(number))

    return pwritev


def _unknown(*_):
    raise NotImplementedError("flags")  # Python where the system has no pwritev2


def _short(descriptor, pieces, offset, _flags):
    return os.pwrite(descriptor, b"".join(pieces)[:5], offset)


def _wrong_and_short(descriptor, _pieces, offset, _flags):
    return os.pwrite(descriptor, b"wrong", offset)


@pytest.mark.parametrize("uncached", [True, False])
@pytest.mark.parametrize(
    "pwritev",
    [
        None,
        _refuse(errno.EOPNOTSUPP),
        _refuse(errno.EINVAL),
        _refuse(errno.EIO),
        _unknown,
        _short,
        _wrong_and_short,
        ABSENT,
    ],
)
def test_a_file_is_written_whole_by_whatever_call(tmp_path, monkeypatch, pwritev, uncached):
    if pwritev is ABSENT:
        monkeypatch.delattr(os, "pwritev")
    elif pwritev:
        monkeypatch.setattr(os, "pwritev", pwritev)
    steady.replace(tmp_path / "new" / "chunk", PARTS, uncached=uncached)
    assert (tmp_path / "new" / "chunk").read_bytes() == BYTES
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["chunk"]


def test_small_files_pass_through_the_cache_and_no_two_names_are_alike(tmp_path, monkeypatch):
    real, flags = os.pwritev, []
    monkeypatch.setattr(os, "pwritev", lambda *given: flags.append(given[3]) or real(*given[:3]))
    for size in (steady.SMALL - 1, steady.SMALL):
        steady.replace(tmp_path / "chunk", [[bytes(size)]], uncached=True)
    assert [bool(flag) for flag in flags] == [False, True]
    names = {steady.temporary_name(tmp_path / "chunk").name for _ in range(9)}
    assert len(names) == 9
    assert all(steady.TEMPORARY.fullmatch(name) for name in names)


def test_a_write_that_ended_in_its_middle_is_repeated_in_its_place(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwritev", _unknown)
    failing(monkeypatch, "pwrite", 3, act=lambda descriptor, data, at: real(descriptor, data[: len(data) // 2], at))
    steady.replace(tmp_path / "chunk", PARTS)
    assert (tmp_path / "chunk").read_bytes() == BYTES


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "chunk").write_bytes(b"old")
    for name in ("pwritev", "pwrite"):
        failing(monkeypatch, name, 1, number=errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        steady.replace(tmp_path / "chunk", PARTS)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"chunk": b"old"}


@pytest.mark.parametrize("done", [False, True])
def test_a_call_that_was_done_before_it_failed_is_done(tmp_path, monkeypatch, done):
    for name, real in [(name, getattr(os, name)) for name in ("mkdir", "open", "replace", "unlink", "rmdir")]:
        failing(monkeypatch, name, 1, act=real if done else lambda *_: None)
    steady.replace(tmp_path / "a" / "b" / "chunk", PARTS)
    assert steady.read_bytes(tmp_path / "a" / "b" / "chunk") == BYTES
    steady.remove(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_stays_ends_after_eight_tries_of_one_call(tmp_path, monkeypatch):
    """Not after eight times eight, where operations are tried around operations."""
    calls = failing(monkeypatch, "mkdir", 1000)
    with pytest.raises(OSError, match="Input/output error"):
        retry.retrying(lambda: steady.make_folder(tmp_path / "a"))
    assert len(calls) == retry.TRIES


@pytest.mark.parametrize("ask", [steady.exists, steady.is_file, steady.is_folder, steady.is_link, steady.content])
def test_what_the_system_cannot_tell_is_not_absent(tmp_path, monkeypatch, ask):
    assert not ask(tmp_path / "none")
    assert not ask(tmp_path / "none" / "below")
    (tmp_path / "file").touch()
    assert not ask(tmp_path / "file" / "below")
    failing(monkeypatch, "stat", 1000)
    with pytest.raises(OSError, match="Input/output error"):
        ask(tmp_path / "file")


def test_reading_goes_on_where_it_failed(tmp_path, monkeypatch):
    data = os.urandom(3 * steady.PIECE + 7)
    (tmp_path / "file").write_bytes(data)
    failed = []

    def once_failing(operation):
        failed.append(True)

        def attempt():
            if failed[-1]:
                failed[-1] = False
                raise OSError(errno.EIO, "Input/output error")
            return operation()

        return retry.retrying(attempt)

    monkeypatch.setattr(steady, "retrying", once_failing)
    assert steady.read_bytes(tmp_path / "file") == data
    with steady.opened(tmp_path / "file") as file:
        assert (file.read(5), file.seek(2**20), file.read(7)) == (data[:5], 2**20, data[2**20 :][:7])
        file.seek(-9, os.SEEK_END)
        assert file.read() == data[-9:]
        into = bytearray(2 * steady.PIECE)
        file.seek(3)
        assert file.readinto(into) == len(into)
        assert into == data[3 : 3 + len(into)]
    assert len(failed) >= 10
    assert not any(failed)


def test_paths_without_links(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("real/not/yet")
    (tmp_path / "round").symlink_to("round")
    paths = ["real", "link", "link/x/y", "dangling", "dangling/z", "link/../x", "real/../../", "none/../real", "."]
    for path in paths:
        assert steady.resolve(tmp_path / path) == (tmp_path / path).resolve(), path
    with pytest.raises(OSError, match="symbolic links") as caught:
        steady.resolve(tmp_path / "round")
    assert caught.value.errno == errno.ELOOP
    monkeypatch.chdir(tmp_path)
    assert steady.resolve(Path("link/x")) == tmp_path / "real" / "x"
    lstat, failed = os.lstat, []

    def once(path, **words):
        if not failed and Path(path).name == "link":
            failed.append(path)
            raise OSError(errno.EIO, "Input/output error")
        return lstat(path, **words)

    monkeypatch.setattr(os, "lstat", once)
    assert steady.resolve(tmp_path / "link") == tmp_path / "real"  # and not the link itself
    assert failed


def test_what_lies_below_a_folder(tmp_path):
    for name in ("a/b/c", "a/d", "e"):
        steady.replace(tmp_path / "x" / name, [[b"1"]])
    (tmp_path / "x" / "link").symlink_to(tmp_path)
    found = {path.relative_to(tmp_path / "x").as_posix() for path in steady.walk(tmp_path / "x")}
    assert found == {"a/b/c", "a/d", "e", "link"}
    assert list(steady.walk(tmp_path / "none")) == []
    assert stat.S_ISLNK(steady.stat_of(tmp_path / "x" / "link", follow=False).st_mode)
