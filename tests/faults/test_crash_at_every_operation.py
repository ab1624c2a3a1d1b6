"""A run and a repair cut off after every single operation on files, the last write torn too; then the same command."""

import shutil

import pytest
from execute.resume_help import ONE, TWO, digest
from faults.faults_help import LONG, OUTPUTS, Operations, check_whole, claims, clear, replay, small

import tileconv

STRIDE = 1 if LONG else 12
"""The quick profile takes every twelfth state, others in every test; the long one all of them."""


def states(log, offset):
    """Yield how many operations were done, and whether the last was cut in half."""
    every = [(n, torn) for n in range(len(log) + 1) for torn in (False, True)]
    kept = [(n, torn) for n, torn in every if not torn or (n and log[n - 1][0] in {"file", "append"} and log[n - 1][2])]
    yield from kept[offset % STRIDE :: STRIDE]


def crash_everywhere(folder, spec, log, expected, offset, *, start):
    """Return how many states were tried; each must be recovered from, and none may pass for what it is not."""
    tried = 0
    for count, torn in states(log, offset):
        start()
        replay(log, count, torn=torn)
        said = claims(folder / "o.zarr")
        if said:
            assert digest(folder / "o.zarr") == expected, (count, torn, said, log[count - 1])
        assert ("status" in said) <= ("verify" in said) <= ("open" in said), (count, torn, said)
        tileconv.run(spec)
        check_whole(folder, expected)
        tried += 1
    return tried


@pytest.mark.parametrize(("stages", "workers", "offset"), [(ONE, 1, 0), (TWO, 1, 1), (TWO, 2, 2)])
def test_a_run(tmp_path, monkeypatch, stages, workers, offset):
    spec = small(tmp_path, stages, workers=workers)
    with monkeypatch.context() as patched:
        log = Operations(tmp_path).patch(patched).log
        tileconv.run(spec)
    expected = digest(tmp_path / "o.zarr")
    kinds = {kind for kind, *_ in log}
    assert kinds >= {"mkdir", "file", "append", "rename", *(["unlink", "rmdir"] if stages is TWO else [])}
    tiles = sum(name.startswith(("c/", "0/c/")) or "/c/" in name for kind, _, name in log if kind == "rename")
    assert tiles == 16 * (1 + (stages is TWO))
    clear(tmp_path)
    replay(log, len(log))
    check_whole(tmp_path, expected)  # all that a run does is in the log
    tried = crash_everywhere(tmp_path, spec, log, expected, offset, start=lambda: clear(tmp_path))
    assert tried * STRIDE >= len(log)


@pytest.mark.parametrize(("stages", "offset"), [(ONE, 3), (TWO, 0)])
def test_a_repair(tmp_path, monkeypatch, stages, offset):
    """After a crash the plain command goes on, and finds again what the repair had found."""
    spec = small(tmp_path, stages)
    tileconv.run(spec)
    expected = digest(tmp_path / "o.zarr")
    chunks = tmp_path / "o.zarr" / "0" / "c"
    flipped = bytearray((chunks / "2" / "1").read_bytes())
    flipped[9] ^= 4
    (chunks / "2" / "1").write_bytes(flipped)
    (chunks / "0" / "3").unlink()
    (tmp_path / "o.zarr" / "zarr.json").unlink()
    damaged = tmp_path / "damaged"
    for name in OUTPUTS[:2]:
        shutil.copytree(tmp_path / name, damaged / name)
    with monkeypatch.context() as patched:
        log = Operations(tmp_path).patch(patched).log
        assert len(tileconv.run(spec, repair=True).damages) == 3
    check_whole(tmp_path, expected)

    def start():
        clear(tmp_path)
        for name in OUTPUTS[:2]:
            shutil.copytree(damaged / name, tmp_path / name)

    begun = next(n for n, (kind, _, data) in enumerate(log) if kind == "rename" and data.endswith("/repair"))
    for count, torn in states(log, offset):
        start()
        replay(log, count, torn=torn)
        said = claims(tmp_path / "o.zarr")
        if "status" in said and count > begun:
            assert digest(tmp_path / "o.zarr") == expected, (count, torn)
        assert "verify" not in said or digest(tmp_path / "o.zarr") == expected
        tileconv.run(spec, repair=count <= begun)  # what was not begun is not gone on with
        check_whole(tmp_path, expected)
