"""What is not to be written: through links into folders of others, and on disks that are read-only."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys

import pytest
from execute.resume_help import TWO, digest, write_spec

import tileconv
from tileconv.audit.status import status
from tileconv.errors import SinkError


@pytest.fixture
def made(finished):
    """A finished run of two passes, and a folder of another with a file in it."""
    folder = finished(TWO)
    (folder / "other").mkdir()
    (folder / "other" / "mine").write_text("mine")
    return folder


def moved_behind_a_link(place, other):
    """Move *place* into the folder *other* and leave a link to it."""
    place.rename(other / "moved")
    place.symlink_to(other / "moved")


@pytest.mark.parametrize("name", ["o.zarr/0", "o.zarr/0/c", "o.zarr/0/c/3", "o.zarr.tileconv"])
def test_a_folder_that_is_a_link_is_not_written_through(made, name):
    lost = made / "o.zarr" / "0" / "c" / "3" / "3"
    lost.unlink()
    moved_behind_a_link(made / name, made / "other")
    before = digest(made / "other")
    with pytest.raises(SinkError, match=rf"{name}: is a link to .*other/moved; nothing is written through it"):
        tileconv.run(made / "p.yaml")
    assert digest(made / "other") == before
    assert status(made / "o.zarr").done >= 0  # reading goes through links


@pytest.mark.parametrize("name", ["lock", "journal", "plan.json", "done", "repair"])
def test_a_file_of_the_record_that_is_a_link_is_not_written_through(made, name):
    file = made / "o.zarr.tileconv" / name
    file.unlink(missing_ok=True)
    file.symlink_to(made / "other" / "mine")
    with pytest.raises(SinkError, match=rf"{name}: is a link to .*other/mine; nothing is written through it"):
        tileconv.run(made / "p.yaml", overwrite=True)
    assert (made / "other" / "mine").read_text() == "mine"


@pytest.mark.parametrize("to", ["other", "nowhere"])
def test_an_intermediate_store_that_is_a_link(made, to):
    (made / "o.zarr.pass0").symlink_to(made / to)
    with pytest.raises(SinkError, match=r"o\.zarr\.pass0: is a link to"):
        tileconv.run(made / "p.yaml", overwrite=True)
    assert [p.name for p in (made / "other").iterdir()] == ["mine"]
    assert not (made / "nowhere").exists()


@pytest.mark.parametrize("to", ["mine", "nothing"])
@pytest.mark.parametrize("name", ["0/c/3/3", "zarr.json", "0/zarr.json"])
def test_a_file_that_is_a_link_is_replaced_and_not_what_it_leads_to(made, name, to):
    expected = digest(made / "o.zarr")
    file = made / "o.zarr" / name
    file.unlink()
    file.symlink_to(made / "other" / to)
    tileconv.run(made / "p.yaml", repair=True)
    assert digest(made / "o.zarr") == expected
    assert not file.is_symlink()
    assert {p.name: p.read_text() for p in (made / "other").iterdir()} == {"mine": "mine"}


def test_a_link_made_while_the_run_writes(made, monkeypatch):
    from tileconv.sinks.writer import Writer

    write = Writer.write_each

    def linked(sink, tiles):
        folder = sink.store.root / "0" / "c" / "5"
        if not sink.layout.plain and folder.is_dir() and not folder.is_symlink():
            moved_behind_a_link(folder, made / "other")
        return write(sink, tiles)

    monkeypatch.setattr(Writer, "write_each", linked)
    with pytest.raises(SinkError, match=r"c/5: is a link to"):
        tileconv.run(made / "p.yaml", overwrite=True)


def test_an_output_that_is_a_link_is_where_it_leads(tmp_path):
    write_spec(tmp_path, TWO)
    (tmp_path / "o.zarr").symlink_to(tmp_path / "disk" / "real.zarr")
    assert tileconv.run(tmp_path / "p.yaml").tiles == 220
    assert (tmp_path / "o.zarr").is_symlink()
    assert (tmp_path / "disk" / "real.zarr.tileconv" / "done").exists()
    assert tileconv.run(tmp_path / "p.yaml").tiles == 0


def may_mount():
    """Return whether a folder can be mounted read-only here."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode == 0


EACH = """
import contextlib, io, json, sys
from tileconv import cli
said, told = sys.stdout, {}
for name, words in json.loads(sys.argv[1]).items():
    sys.argv[1:] = words.split()
    text = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            cli.main()
        except SystemExit as ended:
            told[name] = ended.code or 0, text.buffer.getvalue().decode()
print(json.dumps(told), file=said)
"""
"""Commands one after another in one process: the exit code of each, and what it said."""


@pytest.mark.skipif(not may_mount(), reason="needs a kernel that lets users mount a file system of their own")
def test_a_complete_run_on_a_read_only_disk(made):
    before = digest(made)
    commands = {
        "run": "run p.yaml",
        "json": "run p.yaml --json",
        "status": "status o.zarr",
        "verify": "verify o.zarr",
        "repair": "run p.yaml --repair",
        "again": "run p.yaml --overwrite",
        "rerun": "rerun o.zarr",
    }
    script = f'mount --bind {made} {made} && mount -o remount,bind,ro {made} && cd {made} && exec "$@"'
    words = ["unshare", "-Urm", "sh", "-c", script, "sh", sys.executable, "-c", EACH, json.dumps(commands)]
    told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert [told[name][0] for name in ("run", "json", "status", "verify")] == [0, 0, 0, 0], told
    assert "already complete: 0 of 220 tiles to make" in told["run"][1]
    for name in ("repair", "again", "rerun"):
        assert told[name][0] == 1, told
        assert "Read-only file system" in told[name][1]
        assert "Traceback" not in told[name][1]
    assert digest(made) == before


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(made, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(SinkError, match=r"its file system has no locks \(flock: .*state run\.lock: none") as refused:
        tileconv.run(made / "p.yaml")
    assert refused.value.where == str(made / "o.zarr.tileconv" / "lock")
    text = (made / "p.yaml").read_text()
    (made / "p.yaml").write_text(text.replace("run:\n", "run:\n  lock: none\n"))
    assert tileconv.run(made / "p.yaml").tiles == 0
    expected = digest(made / "o.zarr")
    assert tileconv.run(made / "p.yaml", overwrite=True).tiles == 220
    assert digest(made / "o.zarr") == expected
    assert status(made / "o.zarr").state == "complete"
    assert tileconv.verify(made / "o.zarr").damages == ()


def test_who_holds_the_lock_is_of_no_matter_without_it(made, call):
    with (made / "o.zarr.tileconv" / "lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, _, err = call("run", "p.yaml", folder=made)
        assert code == 1
        assert "is being written by another run" in err
        assert call("run", "p.yaml", "--set", "run.lock=none", folder=made)[0] == 0
