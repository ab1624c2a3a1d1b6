"""What may be replaced, and errors of the file system."""

import errno
import os
import pickle
import shutil

import pytest

from tileconv.errors import SinkError
from tileconv.sinks.files import free_bytes, refuse_existing, refuse_same, replacing, sink_errors
from tileconv.stores.location import here


def test_an_output_that_is_the_input_is_refused_through_links(tmp_path):
    image = tmp_path / "image.tif"
    image.write_bytes(b"pixels")
    (tmp_path / "soft.tif").symlink_to(image)
    os.link(image, tmp_path / "hard.tif")
    for output in (image, tmp_path / "x" / ".." / "image.tif", tmp_path / "soft.tif", tmp_path / "hard.tif"):
        with pytest.raises(SinkError, match="the output is the input, because the input would be destroyed"):
            refuse_same(here(output), here(image))


def test_an_output_around_or_inside_the_input_is_refused(tmp_path):
    store = tmp_path / "data" / "in.zarr"
    (store / "0").mkdir(parents=True)
    (tmp_path / "alias").symlink_to(tmp_path / "data")
    with pytest.raises(SinkError, match="lies inside the input"):
        refuse_same(here(store / "0" / "out.zarr"), here(store))
    with pytest.raises(SinkError, match="lies inside the input"):
        refuse_same(here(tmp_path / "alias" / "in.zarr" / "new" / "out.zarr"), here(store))
    with pytest.raises(SinkError, match="holds the input"):
        refuse_same(here(tmp_path / "alias"), here(store))


def test_neighbours_are_allowed(tmp_path):
    image = tmp_path / "in.tif"
    image.write_bytes(b"pixels")
    shutil.copy(image, tmp_path / "copy.tif")
    refuse_same(here(tmp_path / "copy.tif"), here(image))
    refuse_same(here(tmp_path / "in.tif.zarr"), here(image))


def test_free_bytes_of_a_folder_that_does_not_exist_yet(tmp_path):
    (tmp_path / "here").mkdir()
    disk = os.statvfs(tmp_path)
    found = free_bytes(here(tmp_path / "not" / "yet" / "out.zarr"))
    assert found == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.05)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some disk space"),
        (errno.EACCES, "Change the permissions"),
        (errno.EROFS, "Mount the file system for writing"),
        (errno.EIO, "It may pass: give the same command again"),
    ],
)
def test_errors_of_the_file_system_name_the_path_and_what_to_do(tmp_path, number, advice):
    with pytest.raises(SinkError, match=advice) as caught, sink_errors(tmp_path / "out.zarr"):
        raise OSError(number, os.strerror(number))
    assert caught.value.where == str(tmp_path / "out.zarr")
    assert os.strerror(number) in caught.value.problem
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 our own bytes


def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "old.png"
    path.write_bytes(b"old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["old.png"]
    assert path.read_bytes() == b"old"


def test_existing_files_need_overwrite_and_folders_are_never_replaced(tmp_path):
    path = tmp_path / "out.tif"
    refuse_existing(path, overwrite=False)
    path.write_bytes(b"old")
    refuse_existing(path, overwrite=True)
    with pytest.raises(SinkError, match="already exists"):
        refuse_existing(path, overwrite=False)
    with pytest.raises(SinkError, match="not a plain file"):
        refuse_existing(tmp_path, overwrite=True)
