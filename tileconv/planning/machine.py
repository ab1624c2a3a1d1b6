"""What this machine lets a run take: processors and memory, below the limits of control groups and of the shell.

A plan takes it as a value, ``Machine``; ``this_machine`` reads it. Files of the system are read through a function that
is handed in, so that what follows from their text is pure.
"""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from tileconv.engines.cost import Costs
from tileconv.quick import dataclass

MOUNTED = "/sys/fs/cgroup"
SHARE = 0.8
"""The share of the memory that is free which a run takes when the spec does not say."""
THREAD_BYTES = 40 * 2**20
"""Addresses that a thread takes before it does anything. Measured: runs of 1 and of 8 workers over tiles of 128 x 128
end well with 480 and 720 MiB of them, and 8 abort with 660."""
_FILES_1, _FILES_2 = ("total_inactive_file", "total_active_file"), ("inactive_file", "active_file", "slab_reclaimable")
"""What a control group of each version holds for files of the disk, in ``memory.stat``: pages, and in 2 their names."""

_FLAGS = {"VmSize:": "-v", "VmData:": "-d"}
"""The options of ulimit that limit memory, by the line in ``/proc/self/status`` that counts what is used of it."""

Read = Callable[[str], str]
"""Takes the path of a file; returns its text, empty where there is none."""


@dataclass(frozen=True)
class Allowance:
    """So many processors, or bytes, what says so, and how to get more: two clauses."""

    count: int
    why: str
    more: str = ""


@dataclass(frozen=True)
class Memory:
    """The bytes that are free by each of the limits that say so, and what ulimit leaves a process without threads."""

    free: tuple[Allowance, ...]
    addresses: tuple[Allowance, ...] = ()

    def available(self, threads: int = 0) -> Allowance:
        """Return the bytes that a run of *threads* may take when nothing is said: a share of what is free."""
        free = _least(*self._beside(threads), *self.free)
        return Allowance(int(SHARE * max(0, free.count)), f"{SHARE:.0%} of {free.why}", free.more)

    def at_most(self, bytes_: int, why: str, threads: int) -> Allowance:
        """Return *bytes_*, or what ulimit leaves where that is less: libraries abort where they are given no more."""
        return _least(Allowance(bytes_, why, f"Raise {why}"), *self._beside(threads))

    def _beside(self, threads: int) -> list[Allowance]:
        return [replace(limit, count=limit.count - threads * THREAD_BYTES) for limit in self.addresses]


@dataclass(frozen=True)
class Workers:
    """The workers of a scheduler when it was asked: number, threads and bytes in all; or *why* they are unknown."""

    count: int = 0
    threads: int = 0
    memory: int = 0
    why: str = ""


@dataclass(frozen=True)
class Machine:
    """All that a plan needs to know of the machine that carries it out; ``costs`` are those of its engines.

    ``workers`` are those of the scheduler that makes the tiles, where it was asked.
    """

    processors: Allowance
    memory: Memory
    costs: Costs
    workers: Workers | None = None


def this_machine(costs: Costs) -> Machine:
    """Return what this process may use, with *costs*."""
    return Machine(processors(), memory(), costs)


def memory() -> Memory:
    """Return the memory that this process may use now."""
    return Memory(tuple(free_memory(text_of)), tuple(addresses(text_of, _limits())))


def text_of(path: str) -> str:
    """Return the text of a file of the system, empty where it cannot be read."""
    try:
        return Path(path).read_text("utf-8")
    except (OSError, ValueError):
        return ""


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return processors().count


def processors() -> Allowance:
    """Return how many processors this process may use at once, by its affinity and its control groups."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return _least(Allowance(usable, "processors that this process may use"), *_own_quotas())


@lru_cache(maxsize=1)
def _own_quotas() -> tuple[Allowance, ...]:
    return tuple(processor_quotas(text_of))


def processor_quotas(read: Read) -> Iterator[Allowance]:
    """Yield for each control group with a quota of processor time the processors that can use all of it."""
    for folder, names in groups("cpu", read):
        if names:
            words = [*read(f"{folder}/cpu.cfs_quota_us").split(), *read(f"{folder}/cpu.cfs_period_us").split()]
        else:
            words = read(f"{folder}/cpu.max").split()
        with suppress(ValueError):  # no such file, or "max"
            quota, period = map(int, words)
            if quota > 0 and period > 0:
                yield Allowance(math.ceil(quota / period), f"the CPU quota of its control group, {quota / period:g}")


def available_bytes() -> int:
    """Return the bytes that a run may take when nothing is said."""
    return memory().available().count


def free_memory(read: Read) -> Iterator[Allowance]:
    """Yield the bytes that are free on the machine and in each of the control groups of this process.

    What a control group keeps in memory of the disk's files counts as free, since the system takes it back where memory
    is wanted; what it keeps of files that lie in memory alone does not.
    """
    unused = _field(read("/proc/meminfo"), "MemAvailable:", _unused())
    yield Allowance(unused, "the memory that is free", "Free some memory, or state run.memory")
    for folder, names in groups("memory", read):
        one = bool(names)
        limits = ["limit_in_bytes"] if one else ["max", "high"]
        used = read(f"{folder}/memory.{'usage_in_bytes' if one else 'current'}")
        stat = read(f"{folder}/memory.stat")
        cached = _FILES_1 if one else _FILES_2
        for limit in (read(f"{folder}/memory.{name}") for name in limits):
            with suppress(ValueError):  # no such file, or "max"
                room = int(limit) - int(used) + sum(_field(stat, name, 0) for name in cached)
                yield Allowance(
                    room, "the memory that is free in its control group", "Raise the memory limit of that group"
                )


def memory_limits(read: Read) -> Iterator[int]:
    """Yield the bytes that each control group of this process may hold at most."""
    for folder, names in groups("memory", read):
        with suppress(ValueError):  # no such file, or "max"
            yield int(read(f"{folder}/memory.{'limit_in_bytes' if names else 'max'}"))


def ended_for_memory(read: Read) -> int:
    """Return how many processes of the control groups of this one the system has ended for want of memory so far."""
    files = (f"{folder}/memory.{'oom_control' if names else 'events'}" for folder, names in groups("memory", read))
    return sum(_field(read(file), "oom_kill", 0) for file in files)


def addresses(read: Read, limits: Mapping[str, int]) -> Iterator[Allowance]:
    """Yield the bytes that this process may hold by each of *limits*, those counted in that are in memory already.

    Parameters
    ----------
    limits
        Bytes that the process may hold, by the name of the line in ``/proc/self/status`` that counts them.
    """
    status = read("/proc/self/status")
    held = _field(status, "VmRSS:", 0)
    for name, limit in limits.items():
        flag = _FLAGS[name]
        yield Allowance(limit - _field(status, name, 0) + held, f"what ulimit {flag} leaves", f"Raise ulimit {flag}")


def groups(controller: str, read: Read) -> Iterator[tuple[str, str]]:
    """Yield the folders of the control groups that hold this process and may have the files of *controller*.

    The innermost comes first, and those around it after; of version 1 with the names of its controllers, of version 2
    without. In a container the outer ones may not be there.
    """
    for line in read("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        parts = [f"/{part}" for part in path.split("/") if part]
        inner = [] if "/.." in parts else [*accumulate(parts)]  # a group outside what is mounted here
        bases = (f"{MOUNTED}/{names}", f"{MOUNTED}/{controller}") if names else (MOUNTED, f"{MOUNTED}/unified")
        yield from ((base + group, names) for base in dict.fromkeys(bases) for group in (*reversed(inner), ""))


def _least(*allowances: Allowance) -> Allowance:
    return min(allowances, key=lambda allowance: allowance.count)


def _limits() -> dict[str, int]:
    """Return what the shell's ``ulimit -v`` and ``ulimit -d`` leave this process in all."""
    kinds = dict(zip(_FLAGS, (resource.RLIMIT_AS, resource.RLIMIT_DATA), strict=True))
    soft = {name: resource.getrlimit(kind)[0] for name, kind in kinds.items()}
    return {name: limit for name, limit in soft.items() if limit != resource.RLIM_INFINITY}


def _unused() -> int:
    """Return the bytes that are free where there is no ``/proc/meminfo``: macOS does not say, and half is a guess."""
    known = "SC_AVPHYS_PAGES" in os.sysconf_names
    pages = os.sysconf("SC_AVPHYS_PAGES") if known else os.sysconf("SC_PHYS_PAGES") // 2
    return pages * os.sysconf("SC_PAGE_SIZE")


def _field(text: str, name: str, default: int) -> int:
    """Return the number after *name* in lines of names and numbers, in bytes; *default* where there is none."""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name:
            return int(words[1]) * (1024 if words[-1] == "kB" else 1)
    return default
