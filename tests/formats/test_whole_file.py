"""A file that is exported is there whole or not at all, whatever ends the export."""

import errno
import os
import signal
import subprocess
import sys

import pytest
from formats.export_help import store_of

from tileconv.errors import Interrupted, SinkError
from tileconv.execute.export import export
from tileconv.progress import Progress
from tileconv.record.folder import RunFolder
from tileconv.stores import steady
from tileconv.stores.location import here


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_is_there_is_kept_unless_it_may_go(tmp_path):
    store_of(tmp_path / "a.zarr", (20, 30))
    (tmp_path / "a.tif").write_text("mine")
    with pytest.raises(SinkError, match="already exists"):
        export(tmp_path / "a.zarr", tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_text() == "mine"
    export(tmp_path / "a.zarr", tmp_path / "a.tif", overwrite=True)
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II*\0"
    assert names(tmp_path) == ["a.tif", "a.zarr"]


def test_the_image_itself_is_never_written_over(tmp_path):
    store_of(tmp_path / "a.zarr", (20, 30))
    with pytest.raises(SinkError, match="lies inside the input"):
        export(tmp_path / "a.zarr", tmp_path / "a.zarr" / "a.tif")


def test_the_output_of_a_run_is_left_to_it(tmp_path):
    store_of(tmp_path / "a.zarr", (20, 30))
    RunFolder(here(tmp_path / "a.tif")).write_plan({})
    with pytest.raises(SinkError, match="is the output of a run"):
        export(tmp_path / "a.zarr", tmp_path / "a.tif")


class Signalled(Progress):
    """Sends this process a signal when the first part is written."""

    def tile(self, pixels):
        os.kill(os.getpid(), signal.SIGINT)

    def stopping(self, text):
        """Nobody sits at a terminal."""


def test_a_signal_leaves_nothing(tmp_path):
    store_of(tmp_path / "a.zarr", (1100, 1100))
    with pytest.raises(Interrupted, match="nothing was left behind"):
        export(tmp_path / "a.zarr", tmp_path / "a.tif", progress=Signalled())
    assert names(tmp_path) == ["a.zarr"]


@pytest.mark.parametrize("call", [1, 2, 5])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, call):
    store_of(tmp_path / "a.zarr", (1100, 1100))
    write, calls = steady.write_at, []

    def full(*words):
        calls.append(words)
        if len(calls) >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*words)

    monkeypatch.setattr(steady, "write_at", full)
    with pytest.raises(SinkError, match="No space left on device"):
        export(tmp_path / "a.zarr", tmp_path / "a.tif")
    monkeypatch.undo()
    assert names(tmp_path) == ["a.zarr"]


def test_what_a_killed_export_left_goes_with_the_next(tmp_path):
    store_of(tmp_path / "a.zarr", (1100, 1100))
    text = "import os, signal\nfrom tileconv.execute.export import export\nfrom tileconv.progress import Progress\n"
    text += "class Kill(Progress):\n    def tile(self, pixels): os.kill(os.getpid(), signal.SIGKILL)\n"
    text += "export('a.zarr', 'a.tif', progress=Kill())\n"
    killed = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert any(name.endswith(".partial") for name in names(tmp_path))
    assert not (tmp_path / "a.tif").exists()
    export(tmp_path / "a.zarr", tmp_path / "a.tif")
    assert names(tmp_path) == ["a.tif", "a.zarr"]


def test_the_command(tmp_path, call, monkeypatch):
    store_of(tmp_path / "a.zarr", (20, 30))
    monkeypatch.chdir(tmp_path)
    code, out, err = call("export", "a.zarr", "a.ome.tif", "--codec", "zstd", "--codec-level", "1")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == str(tmp_path / "a.ome.tif")
    code, _, err = call("export", "a.zarr", "a.ome.tif")
    assert (code, err.count("already exists")) == (1, 1)
