"""Files of an output deleted, cut short or with one bit flipped: each is found, named and mended, and nothing else."""

import pytest
from execute.resume_help import TWO, attempts, digest
from faults.faults_help import LONG, check_whole, seeded, small

import tileconv
from tileconv.record.journal import DAMAGED, DONE, Event

DAMAGES = 1000 if LONG else 40
ROUNDS = ("delete", "truncate", "flip")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of two passes: its folder, its spec and its digest."""
    folder = tmp_path_factory.mktemp("whole")
    spec = small(folder, TWO)
    tileconv.run(spec)
    return folder, spec, digest(folder / "o.zarr")


def files(folder):
    return sorted(p for p in (folder / "o.zarr").rglob("*") if p.is_file())


def damage(file, kind, pick):
    """Damage *file*, a few bytes of it at most."""
    data = bytearray(file.read_bytes())
    match kind:
        case "delete":
            file.unlink()
            return
        case "truncate":
            data = data[: pick.randrange(len(data))]
        case "flip":
            data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
    file.write_bytes(data)


def made_again(folder, lines):
    """Return the tiles of the last pass that the journal has as made after its first *lines* lines."""
    events = [Event.of_line(line) for line in (folder / "o.zarr.tileconv" / "journal").read_bytes().splitlines()]
    return sorted(e.key.tile for e in events[lines:] if e.kind == DONE and e.key.array == 1)


def tile_of(folder, file):
    """Return the number of the tile whose only chunk *file* is; None for metadata."""
    if file.name == "zarr.json":
        return None
    y, x = file.relative_to(folder / "o.zarr" / "0" / "c").parts
    return 4 * int(y) + int(x)


def test_one_by_one(whole):
    folder, spec, expected = whole
    pick = seeded(5)
    kinds = {}
    for number in range(DAMAGES):
        if number % 25 == 0:  # every repair reads the whole journal
            tileconv.run(spec, overwrite=True)
        file, kind = pick.choice(files(folder)), ROUNDS[number % 3]
        kinds[kind, file.name == "zarr.json"] = True
        name, tile = file.relative_to(folder / "o.zarr").as_posix(), tile_of(folder, file)
        damage(file, kind, pick)
        lines = len((folder / "o.zarr.tileconv" / "journal").read_bytes().splitlines())
        (found,) = tileconv.verify(folder / "o.zarr").damages
        assert (found.files, found.tile) == ((name,), tile), (kind, found)
        assert name in str(found)
        report = tileconv.run(spec, repair=True)
        assert report.damages == (str(found),)
        assert made_again(folder, lines) == ([] if tile is None else [tile])
        assert attempts(folder).get((1, tile), 1) >= 1 + (tile is not None)
        check_whole(folder, expected)
    assert len(kinds) >= 4


@pytest.mark.parametrize("share", [0.3, 0.8, 1.0])
def test_many_at_once(whole, share):
    folder, spec, expected = whole
    pick = seeded(share)
    chosen = pick.sample(files(folder), int(share * 18))
    for number, file in enumerate(chosen):
        # a bit of zarr.json that happens to name tileconv, with no tile left, makes the store one of another
        damage(file, "delete" if file.name == "zarr.json" else ROUNDS[number % 3], pick)
    before = {p: p.stat().st_ino for p in files(folder) if p not in chosen and p.name != "zarr.json"}
    lines = len((folder / "o.zarr.tileconv" / "journal").read_bytes().splitlines())
    found = tileconv.verify(folder / "o.zarr")
    names = sorted(name for one in found.damages for name in one.files)
    assert names == sorted(p.relative_to(folder / "o.zarr").as_posix() for p in chosen)
    tileconv.run(spec, repair=True)
    tiles = sorted(tile for p in chosen if (tile := tile_of(folder, p)) is not None)
    assert made_again(folder, lines) == tiles
    events = [Event.of_line(line) for line in (folder / "o.zarr.tileconv" / "journal").read_bytes().splitlines()]
    assert sorted(e.key.tile for e in events[lines:] if e.kind == DAMAGED) == tiles
    assert {p: p.stat().st_ino for p in before} == before  # no other file was touched
    check_whole(folder, expected)


def test_a_store_that_is_gone(whole):
    folder, spec, expected = whole
    (folder / "o.zarr").rename(folder / "gone")
    try:
        assert len(tileconv.verify(folder / "o.zarr").damages) == 18
        tileconv.run(spec, repair=True)
        check_whole(folder, expected)
    finally:
        for file in [*(folder / "gone").rglob("*")][::-1]:
            file.rmdir() if file.is_dir() else file.unlink()
        (folder / "gone").rmdir()


@pytest.mark.parametrize("name", ["plan.json", "done", "journal"])
def test_the_run_folder_itself(tmp_path, name):
    """A damaged record makes work, or is refused; it never makes a damaged output pass, or a whole one change."""
    spec = small(tmp_path, TWO)
    tileconv.run(spec)
    expected = digest(tmp_path / "o.zarr")
    file = tmp_path / "o.zarr.tileconv" / name
    pick = seeded(name)
    for _ in range(300 if LONG else 12):
        kept = {p: p.read_bytes() for p in file.parent.iterdir()}
        damage(file, "flip", pick)
        (tmp_path / "o.zarr" / "0" / "c" / "1" / "1").write_bytes(b"lost")
        problem = refused(tmp_path, spec)
        if problem:
            assert "plan.json" in problem or "this output was begun" in problem
            for path, data in kept.items():
                path.write_bytes(data)
            tileconv.run(spec, repair=True)
        check_whole(tmp_path, expected)


def refused(folder, spec):
    """Verify and repair; return why that was refused, or nothing."""
    try:
        found = tileconv.verify(folder / "o.zarr").damages
        assert 5 in {one.tile for one in found}
        tileconv.run(spec, repair=True)
    except tileconv.errors.TileconvError as error:
        return str(error)
    return ""
