"""What a sink may overwrite and remove, and that it does so wholly; a folder and memory alike."""

import json
from dataclasses import replace

import pytest
import zarr
from sinks.sink_help import KINDS, array_of, fill, image_of, sink_of

from tileconv.boxes import Box
from tileconv.errors import SinkError
from tileconv.stores.memory import MemoryStore


@pytest.mark.parametrize(("kind", "new"), [("array", "image"), ("image", "0.4"), ("shards", "array"), ("0.4", "image")])
@pytest.mark.parametrize("finished", [False, True])
def test_ours_is_replaced_only_with_overwrite_and_wholly(tmp_path, kind, new, finished):
    sink = sink_of(tmp_path / "out.zarr", **KINDS[kind])
    sink.create()
    fill(sink, image_of(sink), (16, 16))
    if finished:
        sink.finish({})
    assert (sink.custody.holds_array(), sink.custody.complete(), sink.custody.whole()) == (True, finished, True)
    other = sink_of(tmp_path / "out.zarr", (5, 5), "uint8", (5, 5), **KINDS[new])
    with pytest.raises(SinkError, match="already exists"):
        other.create()
    other.create(overwrite=True)
    fresh = sink_of(tmp_path / "fresh.zarr", (5, 5), "uint8", (5, 5), **KINDS[new])
    fresh.create()

    def files(root):
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    assert files(other.store.root) == files(fresh.store.root)


def snapshot(root):
    return sorted((str(p), p.read_bytes() if p.is_file() else b"") for p in [root, *root.rglob("*")])


def others(path, kind):
    match kind:
        case "file":
            path.write_bytes(b"a file")
        case "folder":
            path.mkdir()
            (path / "notes.txt").write_text("mine")
        case "array":
            zarr.create_array(path, shape=(3,), dtype="u1")[:] = 7
        case "group":
            zarr.create_group(path, attributes={"ome": {}})
        case "zarr 2":
            zarr.create_array(path, shape=(3,), dtype="u1", zarr_format=2)[:] = 7
        case "no JSON":
            path.mkdir()
            (path / "zarr.json").write_text("{")
        case "other JSON":
            path.mkdir()
            (path / "zarr.json").write_text(json.dumps([1]))
        case "notes in ours":
            sink_of(path).create()
            (path / "labels").mkdir()
        case "notes in 0.4 of ours":
            sink_of(path, **KINDS["0.4"]).create()
            (path / "zarr.json").write_text("{}")


@pytest.mark.parametrize(
    "kind",
    ["file", "folder", "array", "group", "zarr 2", "no JSON", "other JSON", "notes in ours", "notes in 0.4 of ours"],
)
def test_what_is_not_ours_is_never_touched(tmp_path, kind):
    sink = sink_of(tmp_path / "out.zarr")
    others(sink.store.root, kind)
    before = snapshot(sink.store.root)
    for act in (sink.create, lambda: sink.create(overwrite=True), sink.custody.remove):
        with pytest.raises(SinkError, match=r"exist|did not write"):
            act()
    assert snapshot(sink.store.root) == before


def test_an_empty_folder_is_free_and_a_link_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out.zarr").symlink_to(tmp_path / "disk")
    sink = sink_of(tmp_path / "out.zarr")
    sink.create()
    sink.create(overwrite=True)
    assert (tmp_path / "disk" / "zarr.json").is_file()


def test_overwriting_removes_links_but_not_what_they_point_to(tmp_path):
    sink = sink_of(tmp_path / "out.zarr")
    sink.create()
    array_of(sink).rename(tmp_path / "elsewhere")
    array_of(sink).symlink_to(tmp_path / "elsewhere")
    sink.create(overwrite=True)
    assert not array_of(sink).is_symlink()
    assert (tmp_path / "elsewhere" / "zarr.json").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_in_memory_holds_what_a_folder_holds(tmp_path, kind):
    local = sink_of(tmp_path / "out.zarr", **KINDS[kind])
    memory, said = replace(local, store=MemoryStore()), []
    for sink in (local, memory):
        sink.create()
        with pytest.raises(SinkError, match="chunks were never written"):
            sink.finish({})
        told = fill(sink, image_of(sink), (32, 32))
        last = sink.layout.info.box.intersect(Box((32, 32), (64, 64)))
        sink.finish({}, name="out")
        stored = {key: sink.store.read_all(key) for key in sink.store.list()}
        sink.store.delete(next(sink.layout.chunk_keys(last)))
        custody, writer = sink.custody, sink.writer
        facts = custody.complete(), custody.whole(), custody.lacks(last), custody.metadata_digests()
        said.append((told, stored, facts, list(custody.strays()), writer.damaged_chunks(last)))
        with pytest.raises(SinkError, match="already exists"):
            sink.create()
        custody.remove()
        assert custody.free()
    assert said[0] == said[1]


@pytest.mark.parametrize("kind", KINDS)
def test_remove_deletes_what_create_and_write_made(tmp_path, kind):
    sink = sink_of(tmp_path / "between.zarr", **KINDS[kind])
    sink.create()
    fill(sink, image_of(sink), (32, 32))
    sink.custody.remove()
    sink.custody.remove()
    assert list(tmp_path.iterdir()) == []
