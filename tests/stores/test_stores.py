"""What every store must do. Whoever adds one adds a line to ``STORES``, and it is held to all of this."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores.objects_help import servers_in_memory

from tileconv.stores.local import LocalStore
from tileconv.stores.memory import MemoryStore
from tileconv.stores.objects import ObjectStore
from tileconv.stores.store import ChangedError, content

STORES = {
    "local": lambda folder: LocalStore(folder / "store"),
    "memory": lambda _: MemoryStore(),
    "bucket": lambda folder: ObjectStore(f"s3://{folder.name}"),
    "prefix": lambda folder: ObjectStore(f"s3://{folder.name}/a/b"),
}
KEYS = ("zarr.json", "0/zarr.json", "0/c/0/0", "0/c/0/1", "0/c/10/1", "1/c/0/0")


@pytest.fixture(autouse=True)
def _servers():
    with servers_in_memory():
        yield


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    return STORES[request.param](tmp_path)


def put(store, key, data):
    store.write(key, [[data]])


def test_an_empty_store(store):
    assert (list(store.list()), list(store.list("0/")), list(store.names())) == ([], [], [])
    assert store.stat("0/c") is None
    assert content(store, "0/c") is None
    for ask in (lambda: store.read("0/c", 0, 1), lambda: store.read_all("0/c")):
        with pytest.raises(FileNotFoundError):
            ask()
    store.delete("0/c")
    store.delete("0/")
    store.delete("")
    assert store.where("0/c") == f"{store.where()}{'' if store.where().endswith(':') else '/'}0/c"


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_written_is_read(store, kept):
    """In parts of pieces of every kind, some empty; another writing replaces all of it."""
    given_ = [[b"a chunk", bytearray(b" of "), memoryview(b"pixels")], [b""], [], [b"and more"]]
    whole = b"a chunk of pixelsand more"
    for part in (given_, [[b"longer than before" * 9]], [[b"short"]], [], given_):
        store.write("0/c/1", iter(part), kept=kept)
        written = b"".join(bytes(piece) for pieces in part for piece in pieces)
        assert store.read_all("0/c/1") == content(store, "0/c/1") == written
        assert store.stat("0/c/1").size == len(written)
    assert store.read("0/c/1", 2, 7) == whole[2:7]
    assert store.read("0/c/1", 20, 2**20) == whole[20:]
    assert store.read("0/c/1", len(whole), 2**20) == b""
    assert list(store.list()) == ["0/c/1"]


def test_a_writing_that_fails_changes_nothing(store):
    def parts():
        yield [b"new"]
        raise EOFError

    put(store, "0/a", b"old")
    for key in ("0/a", "0/b"):
        with pytest.raises(EOFError):
            store.write(key, parts())
    assert {key: store.read_all(key) for key in store.list()} == {"0/a": b"old"}


def test_other_bytes_are_another_version(store):
    put(store, "a", b"1")
    first = store.stat("a")
    assert store.stat("a") == first
    put(store, "a", b"2")
    assert store.stat("a").size == first.size
    assert store.stat("a").version != first.version
    assert store.read("a", 0, 1, store.stat("a").version) == b"2"
    with pytest.raises(ChangedError):
        store.read("a", 0, 1, first.version)


def test_lists(store):
    for key in KEYS:
        put(store, key, b"x")
    assert sorted(store.list()) == sorted(KEYS)
    assert dict(store.facts("0/c/")) == {key: store.stat(key) for key in store.list("0/c/")}
    assert sorted(store.list("0/c/")) == ["0/c/0/0", "0/c/0/1", "0/c/10/1"]
    assert list(store.list("2/")) == []
    assert sorted(store.names()) == ["0/", "1/", "zarr.json"]
    assert sorted(store.names("0/")) == ["c/", "zarr.json"]
    assert list(store.names("2/")) == []
    assert store.stat("0/c") is None  # what lies below is no object


def test_deleting(store):
    for key in KEYS:
        put(store, key, b"x")
    with pytest.raises(OSError, match="not empty"):
        store.delete("")
    store.delete("0/c/0/0")
    store.delete("0/c/0/0")
    assert sorted(store.list("0/")) == ["0/c/0/1", "0/c/10/1", "0/zarr.json"]
    store.delete("0/")
    assert sorted(store.list()) == ["1/c/0/0", "zarr.json"]
    for name in store.names():
        store.delete(name)
    store.delete("")
    assert list(store.names()) == []


def test_an_object_is_created_once(store):
    assert store.create("leases/lock", b"mine")
    assert not store.create("leases/lock", b"theirs")
    assert store.read_all("leases/lock") == b"mine"
    store.delete("leases/lock")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: store.create("leases/lock", b"%d" % n * 1000), range(40)))
    assert sum(made) == 1
    assert store.read_all("leases/lock") == b"%d" % made.index(True) * 1000
    assert list(store.list()) == ["leases/lock"]


def test_threads_write_and_read_whole_objects(store):
    def one(number):
        data = bytes([number]) * 9999
        store.write("c/0", [[data], [data]])
        return set(store.read_all("c/0")), store.stat("c/0").size

    with ThreadPoolExecutor(8) as pool:
        assert all(len(values) == 1 and size == 19998 for values, size in pool.map(one, range(64)))


@given(st.data())
def test_any_sequence_is_that_of_a_dictionary(tmp_path_factory, data):
    stores, known = [STORES[name](tmp_path_factory.mktemp("any")) for name in ("local", "memory", "prefix")], {}
    keys = st.sampled_from(KEYS)
    for _ in range(data.draw(st.integers(1, 12))):
        key, value = data.draw(keys), data.draw(st.binary(max_size=4))
        act = data.draw(st.sampled_from(["write", "create", "delete", "clear"]))
        for store in stores:
            if act == "write":
                put(store, key, value)
            elif act == "create":
                assert store.create(key, value) == (key not in known)
            else:
                store.delete(key if act == "delete" else "0/")
        if act == "write" or (act == "create" and key not in known):
            known[key] = value
        elif act == "delete":
            known.pop(key, None)
        elif act == "clear":
            known = {k: v for k, v in known.items() if not k.startswith("0/")}
        for store in stores:
            assert {k: store.read_all(k) for k in store.list()} == known


def test_a_store_that_crosses_to_another_process(tmp_path):
    store = LocalStore(tmp_path / "store", tmp_path)
    assert pickle.loads(pickle.dumps(store)) == store  # noqa: S301 our own bytes
    with pytest.raises(TypeError, match="use threads"):
        pickle.dumps(MemoryStore())


def test_a_file_in_the_place_of_a_local_store_or_of_a_folder(tmp_path):
    store = LocalStore(tmp_path / "store")
    store.root.touch()
    with pytest.raises(NotADirectoryError):
        store.names()
    with pytest.raises(NotADirectoryError):
        put(store, "a", b"x")
    assert list(LocalStore(store.root / "below").names()) == []
    store = LocalStore(tmp_path)
    (tmp_path / "folder").mkdir()
    assert store.stat("folder") is None
    assert list(store.list()) == ["store"]
    assert sorted(store.names()) == ["folder/", "store"]
    os.symlink("folder", tmp_path / "link")  # noqa: PTH211
    store.delete("link")
    assert (tmp_path / "folder").is_dir()
