"""What the machine allows, from the text of its files: control groups of both versions, and limits."""

import os
import subprocess
import sys

import pytest

from tileconv.planning import machine
from tileconv.planning.machine import (
    THREAD_BYTES,
    Allowance,
    Memory,
    addresses,
    free_memory,
    groups,
    processor_quotas,
    processors,
)

TWO, ONE = "0::/job/step\n", "7:pids:/\n4:cpu,cpuacct:/job/step\n3:memory:/job/step\n"
ROOT = "/sys/fs/cgroup"
MEMINFO = "MemTotal: 9 kB\nMemAvailable:   5000 kB\n"


def reader(own, files):
    """Return a function that reads *files*, by paths below the control groups, and nothing else."""
    found = {f"{ROOT}/{name}": text for name, text in files.items()}
    found |= {
        "/proc/self/cgroup": own,
        "/proc/meminfo": MEMINFO,
        "/proc/self/status": "VmSize:\t 40 kB\nVmRSS: 3 kB\nVmData: 7 kB\n",
    }
    return lambda path: found.get(path, "")


def quotas(own, files):
    return [allowed.count for allowed in processor_quotas(reader(own, files))]


def rooms(own, files):
    """Return the bytes left in control groups, without the machine's own."""
    return [allowed.count for allowed in free_memory(reader(own, files))][1:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50000 100000", [1]), ("150000 100000", [2]), ("400000 100000", [4]), ("max 100000", []), ("", []), ("x", [])],
)
def test_quotas_of_processor_time(text, expected):
    assert quotas(TWO, {"job/step/cpu.max": text}) == expected
    assert quotas(TWO, {"job/cpu.max": text, "cpu.max": "max 100000"}) == expected  # of an outer group
    assert quotas("0::/\n", {"cpu.max": text}) == expected  # a container that sees its own group as the root
    first, period = ([*text.split(), "", ""])[:2]
    old = {"cpu.cfs_quota_us": first.replace("max", "-1"), "cpu.cfs_period_us": period}
    for folder in ("cpu,cpuacct/job/step", "cpu/job", "cpu"):
        assert quotas(ONE, {f"{folder}/{name}": content for name, content in old.items()}) == expected


def test_the_least_quota_of_all_groups_counts():
    files = {"job/step/cpu.max": "300000 100000", "job/cpu.max": "200000 100000", "cpu.max": "max 1"}
    assert quotas(TWO, files) == [3, 2]
    assert "CPU quota" in next(processor_quotas(reader(TWO, files))).why


def memory(limit, used, cached, high="max"):
    """Return the files of a group of version 2; *cached* bytes of files of each of three kinds, others do not count."""
    stat = (
        f"anon 1\nfile 999\nshmem 600\ninactive_anon 600\nunevictable 5\ninactive_file {cached}\nactive_file {cached}\n"
    )
    return {"max": limit, "high": high, "current": used, "stat": f"{stat}slab_reclaimable {cached}\n"}


def named(folder, files):
    return {f"{folder}memory.{name}": str(text) for name, text in files.items()}


def test_files_of_the_disk_that_a_group_keeps_in_memory_are_free():
    """What a run has read lies there, and the same plan must not be refused for it; a tmpfs and its like are taken."""
    assert rooms(TWO, named("job/step/", memory("1000", 950, 200))) == [650]
    assert rooms(TWO, named("job/", memory("1000", 700, 0))) == [300]
    assert rooms(TWO, named("job/step/", memory("max", 700, 0))) == []
    assert rooms(TWO, named("job/step/", memory("1000", 700, 0, high="800"))) == [300, 100]
    stat = "inactive_file 9999\nactive_file 9999\ntotal_inactive_file 100\ntotal_active_file 150\ntotal_shmem 500\n"
    old = {"limit_in_bytes": "1000", "usage_in_bytes": "950", "stat": stat}
    assert rooms(ONE, named("memory/job/step/", old)) == [300]
    assert rooms(ONE, named("memory/", old)) == [300]


def test_limits_of_the_shell_and_the_machine():
    limits = list(addresses(reader("", {}), {"VmSize:": 2**20, "VmData:": 2**20}))
    assert [allowed.count for allowed in limits] == [2**20 - 37 * 1024, 2**20 - 4 * 1024]
    assert "ulimit" in limits[0].why
    assert [allowed.count for allowed in free_memory(reader("", {}))] == [5000 * 1024]


def test_groups_that_cannot_be_seen():
    assert list(groups("cpu", reader("", {}))) == []
    assert list(groups("cpu", reader("0::/../other\n", {}))) == [(ROOT, ""), (f"{ROOT}/unified", "")]
    assert f"{ROOT}/cpuacct,cpu/a" in [folder for folder, _ in groups("cpu", reader("2:cpuacct,cpu:/a\n", {}))]


def test_the_limit_that_was_taken_is_named(monkeypatch):
    monkeypatch.setattr(machine, "_own_quotas", lambda: (Allowance(1, "the CPU quota of its control group, 0.5"),))
    assert processors().count == 1
    monkeypatch.setattr(machine, "_own_quotas", tuple)
    assert processors().count == len(os.sched_getaffinity(0))
    assert Memory((Allowance(100, "a"), Allowance(50, "b"))).available() == Allowance(40, "80% of b")


def test_threads_take_addresses():
    """Of those that ulimit leaves, and of no other memory."""
    left = Memory((Allowance(2**40, "a"),), (Allowance(2**30, "b"),))
    for threads in (0, 3):
        room = 2**30 - threads * THREAD_BYTES
        assert left.available(threads) == Allowance(int(0.8 * room), "80% of b")
        assert left.at_most(2**31, "c", threads) == Allowance(room, "b")
        assert left.at_most(2**20, "c", threads).why == "c"


def test_a_limit_of_the_address_space_counts():
    """A process of its own, with 1 GB of addresses."""
    code = (
        "from tileconv.planning.machine import *; m = memory(); print(m.available().why, m.at_most(2**31, '', 2).why)"
    )
    command = f'ulimit -v 1000000; "{sys.executable}" -c "{code}"'
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    assert said.count("what ulimit -v leaves") == 2


def test_too_few_addresses_are_refused_before_anything_is_loaded(tmp_path):
    command = f'ulimit -v 400000; "{sys.executable}" -m tileconv ops'
    made = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (made.returncode, made.stdout, made.stderr.count("\n")) == (2, "", 1)
    assert "ulimit -v" in made.stderr
