"""Disks that fail now and then, that are full, and a process that may open few files."""

import errno
import os
import shutil
import subprocess
import sys

import pytest
from execute.resume_help import TWO, digest, done, litter, write_spec
from faults.faults_help import LONG, Operations, check_whole, clear, seeded, small

import tileconv
from tileconv import retry
from tileconv.audit.status import status
from tileconv.errors import SinkError

TMPFS = ["unshare", "-Urm", "sh", "-c"]


def may_mount():
    """Return whether a file system in memory can be mounted here without being root."""
    if shutil.which("unshare") is None:
        return False
    command = [*TMPFS, "mount -t tmpfs -o size=64k none /mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def whole(request, tmp_path_factory):
    """A run on one worker, where the same operations come every time, or two: folder, spec, digest, bytes written."""
    folder = tmp_path_factory.mktemp("whole")
    spec = small(folder, TWO, workers=request.param)
    with pytest.MonkeyPatch.context() as patched:
        log = Operations(folder).patch(patched).log
        tileconv.run(spec)
    written = sum(len(data) for kind, _, data in log if kind in {"file", "append"})
    return folder, spec, digest(folder / "o.zarr"), written


@pytest.mark.parametrize("whole", [1], indirect=True)
@pytest.mark.parametrize("seed", range(100 if LONG else 6))
def test_one_operation_in_twenty_fails(whole, monkeypatch, seed):
    folder, spec, expected, _ = whole
    clear(folder)
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 1e-4)
    pick, failed = seeded(seed), []

    def before(kind, path, data):
        if pick.random() < 0.05:  # of one in ten, one chunk in 5,000 would fail eight times
            failed.append(kind)
            if kind == "append" and pick.random() < 0.5:
                return data[: pick.randrange(len(data) + 1)], errno.EIO
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return None

    with monkeypatch.context() as patched:
        log = Operations(folder, before=before).patch(patched).log
        tileconv.run(spec)
    assert len(failed) > 0.01 * len(log)
    assert len(set(failed)) > 1
    check_whole(folder, expected)


@pytest.mark.parametrize("whole", [2], indirect=True)
@pytest.mark.parametrize("seed", range(100 if LONG else 8))
def test_a_disk_that_is_full_at_a_random_byte(whole, monkeypatch, seed):
    folder, spec, expected, written = whole
    clear(folder)
    room = [seeded(seed).randrange(written)]

    def before(kind, path, data):
        room[0] -= len(data)
        if room[0] < 0 and data:
            return data[: max(0, len(data) + room[0])], errno.ENOSPC
        return None

    with monkeypatch.context() as patched:
        Operations(folder, before=before).patch(patched)
        with pytest.raises(SinkError, match="No space left on device") as caught:
            tileconv.run(spec)
    assert "Free some disk space" in str(caught.value)
    if (folder / "o.zarr.tileconv" / "plan.json").exists():
        assert status(folder / "o.zarr").state == "unfinished"
        assert tileconv.verify(folder / "o.zarr").damages
    kept = done(folder)
    assert tileconv.run(spec).kept == kept
    check_whole(folder, expected)


@pytest.mark.skipif(not may_mount(), reason="needs a kernel that lets users mount a file system of their own")
def test_a_small_disk_of_the_system(tmp_path):
    """A real file system of 1.5 MB: full, then what else fills it removed, then the same command."""
    write_spec(tmp_path, TWO, store="disk/o.zarr")
    run = f"{sys.executable} -m tileconv run p.yaml"
    script = f"""
        mkdir disk && mount -t tmpfs -o size=1500k none disk && head -c 1000000 /dev/zero > disk/filler
        {run} 2> full.txt; echo $? > full.code
        {sys.executable} -m tileconv status disk/o.zarr > status.txt; echo $? > status.code
        rm disk/filler; {run} > again.txt 2>&1; echo $? > again.code
        {sys.executable} -m tileconv verify disk/o.zarr > verify.txt 2>&1; echo $? > verify.code
        mkdir out && cp -r disk/o.zarr disk/o.zarr.tileconv out; ls -A disk > left.txt
    """
    subprocess.run([*TMPFS, script], cwd=tmp_path, check=True)
    said = {p.name: p.read_text().strip() for p in tmp_path.glob("*.*") if p.suffix in {".txt", ".code"}}
    assert said["full.code"] == "1", said
    assert "No space left on device" in said["full.txt"]
    assert "the same command makes the others" in said["full.txt"]
    assert said["status.code"] == "3"
    assert (said["again.code"], said["verify.code"]) == ("0", "0"), said
    assert sorted(said["left.txt"].split()) == ["o.zarr", "o.zarr.tileconv"]
    assert litter(tmp_path / "out") == []
    made = digest(tmp_path / "out" / "o.zarr" / "0")
    shutil.rmtree(tmp_path / "disk")
    tileconv.run(tmp_path / "p.yaml")
    assert digest(tmp_path / "disk" / "o.zarr" / "0") == made


def test_a_process_that_may_open_256_files(tmp_path):
    write_spec(tmp_path, TWO, run={"workers": 8, "memory": "4GiB"})
    script = f"ulimit -n 256 && exec {sys.executable} -m tileconv run p.yaml"
    made = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    verify = f"ulimit -n 256 && exec {sys.executable} -m tileconv verify o.zarr"
    assert subprocess.run(["sh", "-c", verify], cwd=tmp_path, check=False).returncode == 0
