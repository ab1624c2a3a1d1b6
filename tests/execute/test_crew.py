"""What is told of workers that went, and of those that hang."""

from threading import Event
from types import SimpleNamespace

import pytest

from tileconv.errors import ClusterError
from tileconv.execute.crew import LEFT, LOST, STARVED, Crew
from tileconv.planning.machine import ended_for_memory

ONE, TWO, ELSEWHERE = "tcp://10.0.0.1:4001", "tcp://10.0.0.1:4002", "tcp://10.0.0.2:4001"


@pytest.fixture
def crew():
    """Workers of a scheduler that is not there; ``said`` is what the run was told."""
    said = []
    crew = Crew(None, SimpleNamespace(starving=set(), wait=str), Event(), lambda text, _: said.append(text))
    crew.said = said
    return crew


def test_how_workers_went_is_told_at_once(crew):
    crew._full = {TWO}
    crew._lose({ONE: LEFT, TWO: LOST, ELSEWHERE: STARVED}, 3)
    assert crew.said == [
        f"left, as at the end of its walltime: worker {ONE}; 3 still there",
        f"lost for want of memory: worker {TWO}, {ELSEWHERE}; 3 still there",
    ]
    assert crew.starved == {TWO, ELSEWHERE}


def test_what_the_next_worker_of_a_host_has_seen_is_told_of_those_before(crew):
    crew._lose({ONE: LOST, ELSEWHERE: LOST}, 0)
    crew._understand(1)
    assert (len(crew.said), crew.starved) == (1, set())
    crew.trust.starving = {"tcp://10.0.0.1"}
    crew._understand(1)
    crew._understand(2)
    assert crew.said[1:] == [f"lost for want of memory: worker {ONE}; 1 still there"]
    assert crew.starved == {ONE}


@pytest.mark.parametrize("timeout_s", [None, 5])
def test_workers_that_all_hang_are_waited_for_without_end_unless_the_run_says_how_long_a_tile_may_take(crew, timeout_s):
    crew.threads, crew.aside, crew.timeout_s = {ONE: 1}, {ONE}, timeout_s
    for crew.looked in (100.0, 130.0, 159.0):
        crew._need_workers()
    assert crew.said == ["all workers hang; waiting for one, 60 s at most"] * bool(timeout_s)
    crew.looked = 161.0
    if timeout_s:
        with pytest.raises(ClusterError, match="all workers hang, because each is at tiles for longer than"):
            crew._need_workers()
    crew.aside, crew.looked = set(), 162.0
    crew._need_workers()


@pytest.mark.parametrize(
    ("groups", "file", "text"),
    [
        ("4:memory:/a/b\n", "/sys/fs/cgroup/memory/a/b/memory.oom_control", "under_oom 0\noom_kill 2\n"),
        ("0::/a\n", "/sys/fs/cgroup/a/memory.events", "max 7\noom 5\noom_kill 2\noom_group_kill 1\n"),
    ],
)
def test_what_the_system_ended_is_counted(groups, file, text):
    files = {"/proc/self/cgroup": groups}
    assert ended_for_memory(lambda path: files.get(path, "")) == 0
    files[file] = text
    assert ended_for_memory(lambda path: files.get(path, "")) == 2
