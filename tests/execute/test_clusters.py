"""Clusters by name: what a spec may say of them, what the user's own configuration may, and what becomes of one."""

import json
import signal
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from execute.cluster_help import seldom
from execute.resume_help import ONE, TWO, digest, write_spec

import tileconv
from tileconv.errors import ClusterError, SpecError
from tileconv.execute import jobs
from tileconv.execute.executor import Kept
from tileconv.planning.machine import Allowance
from tileconv.planning.model import Plan
from tileconv.spec import as_mapping, spec_from_mapping
from tileconv.spec.clusters import own_clusters

NIGHT = {"kind": "slurm", "cores": 8, "memory": "16GiB", "walltime": "1-02:00:00", "queue": "long", "jobs": 3}
PIPELINE = {"version": 1, "input": {"path": "/a.tif"}, "stages": ONE, "output": {"path": "/o.zarr"}}
OWN = """
clusters:
  farm:
    class: distributed.LocalCluster
    n_workers: 2
    threads_per_worker: 1
    processes: false
    protocol: tcp://
    host: 127.0.0.1
    dashboard_address: 127.0.0.1:0
  night: {kind: slurm, cores: 1, memory: 1GB, prologue: "module load python\\nulimit -c 0", directives: --exclusive}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's own configuration, as a file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config" / "tileconv" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN)
    return path


def test_a_cluster_of_the_file_is_the_one_that_is_meant(own):
    spec = spec_from_mapping(PIPELINE | {"clusters": {"night": NIGHT}, "run": {"executor": "night"}})
    assert spec.cluster == NIGHT | {"memory": 16 * 2**30, "walltime": "26:00:00"}
    assert spec_from_mapping(json.loads(json.dumps(as_mapping(spec)))) == spec


def test_the_users_own_are_read_where_a_name_is_known_nowhere_else(own):
    spec = spec_from_mapping(PIPELINE | {"run": {"executor": "farm"}})
    assert spec.cluster["n_workers"] == 2
    assert spec.cluster["host"] == "127.0.0.1"
    assert spec.clusters is None
    assert spec_from_mapping(as_mapping(spec)) == spec
    own.write_text("clusters: {farm: {cores: 2}}")
    assert spec_from_mapping(PIPELINE | {"run": {"executor": "threads"}}).cluster is None
    with pytest.raises(SpecError, match=r"config\.yaml:1:18: clusters\.farm\.kind: missing"):
        spec_from_mapping(PIPELINE | {"run": {"executor": "farm"}})
    own.unlink()
    with pytest.raises(SpecError, match=r"run\.executor: .*found 'farm'"):
        spec_from_mapping(PIPELINE | {"run": {"executor": "farm"}})


def test_what_runs_code_is_refused_from_the_command_line_too(tmp_path, own, call):
    path = write_spec(tmp_path, ONE, run={"executor": "farm"})
    for words in ("clusters.farm.class=os.System", "clusters={a: {kind: pbs, cores: 1, memory: 1GB, prologue: rm}}"):
        code, _, err = call("run", path, "--set", words)
        assert code == 2
        assert "runs code of its choice" in err
    assert path.exists()


def test_no_cluster_is_part_of_what_identifies_a_result(tmp_path, own):
    plans = []
    for words in ({}, {"clusters": {"night": NIGHT}, "run": {"executor": "night"}}):
        plans.append(tileconv.plan(write_spec(tmp_path, ONE, **words)))
        assert Plan.from_json(json.loads(json.dumps(plans[-1].as_json()))) == plans[-1]
    assert plans[0].fingerprint() == plans[1].fingerprint()


def test_what_a_job_is_told(own):
    words = jobs._keywords(own_clusters()["night"], jobs.SYSTEMS["slurm"])
    assert (words["cores"], words["processes"], words["memory"], words["walltime"]) == (1, 1, "1000000000B", "00:30:00")
    assert words["job_script_prologue"] == ["module load python", "ulimit -c 0"]
    assert words["job_extra_directives"] == ["--exclusive"]
    assert words["worker_extra_args"][:4] == ["--lifetime", "1500s", "--lifetime-stagger", "100s"]
    assert "queue" not in words
    lsf = jobs._keywords(NIGHT | {"kind": "lsf", "walltime": "25:59:01", "account": "us"}, jobs.SYSTEMS["lsf"])
    assert (lsf["walltime"], lsf["project"]) == ("26:00", "us")


@contextmanager
def without(monkeypatch, name):
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, name, None)
        yield


def test_what_lacks_is_told_in_one_sentence(tmp_path, monkeypatch):
    spec = write_spec(tmp_path, ONE, clusters={"night": NIGHT}, run={"executor": "night"})
    with without(monkeypatch, "dask_jobqueue"), pytest.raises(ClusterError) as caught:
        tileconv.run(spec)
    assert caught.value.fix == "Install both: pip install 'tileconv[hpc]'."
    spec = write_spec(tmp_path, ONE, run={"executor": "distributed"})
    with pytest.raises(ClusterError, match="no Dask client is open in this process"):
        tileconv.run(spec)


def test_a_class_of_the_users_is_started_once_for_all_passes_and_ended(tmp_path, own, monkeypatch):
    started, ended = [], []

    @contextmanager
    def counted(name, words):
        started.append(name)
        with begin(name, words) as made:
            yield made
        ended.append(name)

    begin = jobs.started
    monkeypatch.setattr(jobs, "started", counted)
    report = tileconv.run(write_spec(tmp_path, TWO, run={"executor": "farm"}))
    assert (report.tiles, started, ended) == (220, ["farm"], ["farm"])
    made = digest(tmp_path / "o.zarr" / "0")
    tileconv.run(write_spec(tmp_path, TWO), overwrite=True)
    assert digest(tmp_path / "o.zarr" / "0") == made


@seldom
def test_a_client_that_is_open_makes_the_tiles_and_stays_open(tmp_path, cluster):
    from distributed import Client

    with Client(cluster) as client:
        assert tileconv.run(write_spec(tmp_path, ONE, run={"executor": "distributed"})).tiles == 110
        assert client.submit(abs, -1).result() == 1


@pytest.mark.parametrize(
    ("name", "problem"),
    [("no_such.Class", "cannot import no_such"), ("os.PathLike", r"os\.PathLike cannot be started")],
)
def test_a_class_that_cannot_be_had_is_told(name, problem):
    with pytest.raises(ClusterError, match=problem), jobs.started("farm", {"class": name, "a": 1}):
        pass


def test_what_the_batch_system_says_is_told():
    class Refuses:
        def sync(self, submit):
            raise RuntimeError("Command exited with 1\nstdout:\n\nstderr:\nsbatch: error: invalid\n partition")

    with pytest.raises(ClusterError, match="refuses the job, because sbatch: error: invalid partition"):
        jobs._scale(Refuses(), {"jobs": 1}, "night")


def test_a_file_of_the_user_that_cannot_be_read_is_told(own):
    own.write_bytes(b"clusters: \xff")
    with pytest.raises(SpecError, match=r"config\.yaml.*cannot read the file"):
        own_clusters()


def test_what_is_pending_is_counted_by_name():
    workers = {"tcp://1": {"name": "job-0"}, "tcp://2": {"name": "other"}}
    some = SimpleNamespace(worker_spec={f"job-{n}": {} for n in range(3)}, scheduler_info={"workers": workers})
    assert jobs.pending(some) == "2 of 3 jobs are pending"
    some.worker_spec = {"job-0": {}}
    assert jobs.pending(some) == ""


def test_what_is_kept_is_started_once_and_ends_with_the_block():
    calls = []

    @contextmanager
    def one():
        calls.append("begun")
        yield len(calls)
        calls.append("ended")

    with Kept() as kept:
        assert kept.once("a", one) == kept.once("a", one) == 1
    assert calls == ["begun", "ended"]


def test_what_a_worker_has_too_little_of():
    from tileconv.execute.trust import lacking

    two = Allowance(2, "processors")
    assert lacking(2, 2**30, [], two) == ""
    assert lacking(2, 2**30, [2**31, 2**29], two) == "it may take 512.0 MiB, and tiles on 2 of its threads take 1.0 GiB"
    assert lacking(5, 2**30, [2**31], two) == "it has 5 threads for 2 processors"


def test_an_import_does_not_change_what_ctrl_c_does():
    before = signal.getsignal(signal.SIGINT)
    with jobs._same_handlers():
        signal.signal(signal.SIGINT, lambda *_: sys.exit())
    assert signal.getsignal(signal.SIGINT) is before
