"""Runs on processes of this machine: who can reach them, and what becomes of a run when one of them ends."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from execute.cluster_help import Deadly, Wrapped
from execute.resume_help import ONE, TWO, digest, done, finish, history, litter, reached, signalled, start, write_spec

import tileconv
from tileconv.engines.loops import tell, telling
from tileconv.errors import ClusterError, UnfinishedError
from tileconv.execute import processes as module
from tileconv.execute.run import run_plan
from tileconv.sources.open import open_source

PROCESSES = {"executor": "processes", "workers": 2}
LISTEN = {"tcp": "0A", "tcp6": "0A", "unix": "00010000"}
"""How the system marks a socket that listens: the state of a TCP socket, the flags of a local one."""


def planned(folder, **run):
    """Return the plan of 110 tiles on two processes, and its source; a process takes seconds to begin."""
    spec = write_spec(folder, ONE, run=PROCESSES | run)
    return tileconv.plan(spec), open_source(str(folder / "a.tif"))


@pytest.mark.parametrize(("stages", "method"), [(ONE, "overlap"), (TWO, "windows")], ids=["one pass", "two passes"])
def test_the_same_bytes(tmp_path, finished, stages, method):
    expected = digest(finished(stages) / "o.zarr" / "0")
    tileconv.run(write_spec(tmp_path, stages, run=PROCESSES | {"halo_method": method}))
    assert digest(tmp_path / "o.zarr" / "0") == expected
    assert litter(tmp_path) == []


def test_who_listens_hears_that_a_process_compiles():
    heard, child = [], module._Child()
    with telling(lambda: heard.append("compiles")):
        child.call(tell)
    child.end()
    assert heard == ["compiles"]


def listening():
    """Return the numbers of all sockets of the system that listen."""
    found = set()
    for kind, mark in LISTEN.items():
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            words = line.split()
            flags, number = (words[3], words[6]) if kind == "unix" else (words[3], words[9])
            found |= {number} if flags == mark else set()
    return found


def sockets(process):
    """Return the numbers of the sockets that *process* has open."""
    names = [str(file.readlink()) for file in Path(f"/proc/{process}/fd").iterdir() if file.is_symlink()]
    return {name[8:-1] for name in names if name.startswith("socket:[")}


class Watched(Wrapped):
    """Notes, where its first pixels are read, what of this process and the run's listens, and who else may look."""

    def read(self, box):
        (file,) = self.words
        if box.start == (0, 0):
            pids = os.getpid(), os.getppid()
            other = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.listdir(sys.argv[1])"
            command = [sys.executable, "-c", other, f"/proc/{pids[0]}/fd"]
            seen = subprocess.run(command, capture_output=True, check=False).returncode == 0 and os.geteuid() == 0
            file.write_text(f"{sum(len(sockets(pid)) for pid in pids)} {bool(listening() & sockets(pids[0]))} "
                            f"{bool(listening() & sockets(pids[1]))} {seen}")  # fmt: skip
        return self.source.read(box)


@pytest.mark.skipif(not Path("/proc/net/unix").exists(), reason="asks Linux which sockets there are")
def test_nothing_listens_and_no_other_user_sees_the_pipes(tmp_path):
    plan, source = planned(tmp_path, workers=1)
    run_plan(plan, Watched(source, tmp_path / "seen"))
    opened, *answers = (tmp_path / "seen").read_text().split()
    assert int(opened) >= 2  # both ends of the pipe: they were looked at
    assert answers == ["False"] * 3


@pytest.mark.parametrize("given", ["a file", "through stdin"])
def test_a_script_without_a_main_guard(tmp_path, given):
    write_spec(tmp_path, ONE, run=PROCESSES | {"workers": 1})
    code = "import tileconv\nprint(tileconv.run('p.yaml').tiles)\n"
    (tmp_path / "s.py").write_text(code)
    command, text = ([sys.executable, "s.py"], None) if given == "a file" else ([sys.executable, "-"], code)
    ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "110\n", "")


def test_a_tile_that_ends_its_processes_is_named_and_the_others_are_made(tmp_path):
    plan, source = planned(tmp_path, workers=1)
    deaths = tmp_path / "deaths"
    message = r"1 tile failed: .*a\.tif, tile y=0:16 x=0:16: ended 2 processes, because it was ended by SIGKILL"
    with pytest.raises(UnfinishedError, match=message):
        run_plan(plan, Deadly(source, (0, 0), deaths), keep_going=True)
    assert done(tmp_path) == 109
    assert list(history(tmp_path).failed()) == [(0, 0, 0)]
    assert deaths.read_text() == "xx"
    assert run_plan(plan, source).kept == 109


def test_by_rows_a_process_that_ends_ends_the_run(tmp_path):
    plan, source = planned(tmp_path, workers=1, halo_method="overlap")
    with pytest.raises(ClusterError, match=r"a process of the run ended, because it was ended by SIGKILL") as caught:
        run_plan(plan, Deadly(source, (100, 100), tmp_path / "deaths"))
    assert caught.value.__notes__ == [f"{done(tmp_path)} of 110 tiles are done; the same command makes the others"]


def test_processes_that_cannot_begin(tmp_path, monkeypatch):
    plan, source = planned(tmp_path)
    monkeypatch.setattr(module, "SERVE", "raise SystemExit(3)")
    with pytest.raises(ClusterError, match=r"ended before it did any work, because it ended with status 3 .*threads"):
        run_plan(plan, source)


class Broken(Wrapped):
    """Fails as only a mistake in the code would."""

    def read(self, box):
        type_, words = self.words
        raise type_(*words)


class Local(Exception):  # noqa: N818  as Python's own Exit
    """Cannot be made again from its text."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize(("raised", "arrives"), [((KeyError, "x"), KeyError), ((Local, "ab"), RuntimeError)])
def test_a_mistake_in_the_code_arrives_with_its_place(tmp_path, raised, arrives):
    plan, source = planned(tmp_path, workers=1)
    with pytest.raises(arrives) as caught:
        run_plan(plan, Broken(source, *raised))
    assert "in read" in "".join([str(caught.value), *getattr(caught.value, "__notes__", ())])


def children(process):
    """Return the processes that the threads of *process* started."""
    threads = Path(f"/proc/{process}/task").glob("*/children")
    return [int(word) for thread in threads for word in thread.read_text().split()]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes that are not ours")
def test_processes_end_with_the_run_that_started_them(tmp_path):
    write_spec(tmp_path, ONE, run=PROCESSES)
    with start(tmp_path) as process:
        reached(tmp_path, process, 5)
        ends = [os.pidfd_open(child) for child in children(process.pid)]
        process.kill()
        process.communicate()
    assert len(ends) == 2
    for end in ends:
        ready, _, _ = select.select([end], [], [], 60)
        assert ready
        os.close(end)


def test_interrupted_and_gone_on_with(tmp_path, finished):
    write_spec(tmp_path, ONE, run=PROCESSES)
    code, out, err = signalled(tmp_path, signal.SIGINT, 5)
    assert (code, out) == (130, ""), err
    assert (
        err.splitlines()[-1]
        == f"interrupted: {done(tmp_path)} of 110 tiles are done; the same command makes the others"
    )
    kept = done(tmp_path)
    assert sum(p.name.isdigit() for p in tmp_path.rglob("c/*/*")) == kept < 110
    code, out, _ = finish(tmp_path)
    assert code == 0
    assert f"kept {kept} tiles, {110 - kept} to make" in out
    assert litter(tmp_path) == []
    assert digest(tmp_path / "o.zarr" / "0") == digest(finished(ONE) / "o.zarr" / "0")


class Hanging(Wrapped):
    """Waits for ever where it is asked for the first pixels."""

    def read(self, box):
        if box.start == (0, 0):
            signal.pause()
        return self.source.read(box)


def test_a_process_whose_tile_takes_too_long_is_ended_and_the_others_are_made(tmp_path):
    plan, source = planned(tmp_path, timeout_per_tile="3 s", halo_method="windows")
    with pytest.raises(UnfinishedError) as error:
        run_plan(plan, Hanging(source), keep_going=True)
    assert "1 tile failed: " in str(error.value)
    assert "y=0:16 x=0:16: ended 2 processes, because it took longer than run.timeout_per_tile" in str(error.value)
    assert done(tmp_path) == 109
    run_plan(plan, source)
    assert done(tmp_path) == 110
