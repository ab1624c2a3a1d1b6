"""The loop of both fuzzers: makes inputs, checks each in this process, keeps offenders and says how fast it went.

A target is a module with ``make(rng)``, which returns an input as bytes, ``mutate(data, rng)``, which changes one, and
``check(data)``, which raises for whatever must not happen. Every input comes from a number of its own, so that an
offender can be made again without the inputs before it.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tests.shards import ALL, shard

HANG_S = 5
GROWTH_BYTES = 512 * 2**20
BELT_BYTES = 4 * 2**30
"""Address space that a fuzzer may add: over the limit of its growth, so that growth is told and harms no machine."""
INSTRUMENTED = ("tileconv", "yaml", "tifffile")
"""Packages whose branches atheris watches."""


class Hang(BaseException):
    """One input took more than ``HANG_S``; no ``except Exception`` on the way swallows it."""


class Offence(AssertionError):  # noqa: N818 the reader of a report looks for it
    """What must not happen, beside errors that escape by themselves."""


def generator(seed: int, number: int) -> random.Random:
    """Return the source of randomness of input *number*."""
    return random.Random(f"{seed} {number}")  # noqa: S311 no secrets here


@contextmanager
def limited() -> Iterator[None]:
    """Make hangs an error inside the block, warnings something that is heard, and keep memory within the belt."""

    def ring(*_: object) -> None:
        raise Hang(f"more than {HANG_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BELT_BYTES, hard))
    faulthandler.enable()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def silenced(said: Path) -> Iterator[int]:
    """Send what this process and its libraries print to the file *said*; yields its descriptor."""
    descriptor = os.open(said, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        yield descriptor
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in enumerate(kept, start=1):
            os.dup2(old, number)
            os.close(old)
        os.close(descriptor)


def one(check: Callable[[bytes], None], data: bytes, printed: int) -> None:
    """Check one input; raises what escapes, and ``Offence`` for a warning, a print or too much memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        signal.setitimer(signal.ITIMER_REAL, HANG_S)
        try:
            check(data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    if heard:
        raise Offence(f"a warning: {heard[0].message}")
    sys.stderr.flush()
    if os.fstat(printed).st_size:
        text = os.pread(printed, 2000, 0).decode(errors="replace")
        os.ftruncate(printed, 0)
        os.lseek(printed, 0, os.SEEK_SET)
        raise Offence(f"printed {text!r}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    if grown > GROWTH_BYTES:
        raise Offence(f"{grown / 2**20:,.0f} MiB more memory")


def kind_of(error: BaseException) -> str:
    """Return what tells offences apart: the type, and the last line of ours that it passed."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "tileconv" in f.filename or "fuzz" in f.filename]
    inner = [f for f in frames if f"{os.sep}tileconv{os.sep}" in f.filename] or frames
    where = f"{Path(inner[-1].filename).name}:{inner[-1].lineno}" if inner else "nowhere"
    return f"{type(error).__name__} at {where}"


class Offenders:
    """Counts offences by kind, and keeps the first input of each with its traceback in *folder*."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self.folder, self.suffix = folder, suffix
        self.kinds: Counter[str] = Counter()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, data: bytes, error: BaseException) -> None:
        kind = kind_of(error)
        self.kinds[kind] += 1
        if self.kinds[kind] == 1:
            stem = self.folder / f"offender-{len(self.kinds)}"
            stem.with_suffix(self.suffix).write_bytes(data)
            text = "".join(traceback.format_exception(error))
            stem.with_suffix(".txt").write_text(f"{kind}\n{text}", "utf-8", "backslashreplace")

    def report(self) -> str:
        lines = [f"  {count:,} x {kind}" for kind, count in self.kinds.most_common()]
        return "\n".join([f"{len(lines)} kinds of offenders, the first of each in {self.folder}", *lines])


def seeded(target: ModuleType, inputs: Sequence[int], seed: int, offenders: Offenders, printed: int) -> None:
    """Check the inputs that *target* makes of the numbers *inputs*."""
    current = offenders.folder / f"current{offenders.suffix}"
    for number in inputs:
        data = target.make(generator(seed, number))
        current.unlink(missing_ok=True)
        current.write_bytes(data)  # what stays behind if a library takes the process down
        try:
            one(target.check, data, printed)
        except (Exception, Hang) as error:
            offenders.add(data, error)
    current.unlink(missing_ok=True)


def guided(
    target: ModuleType, inputs: int, seed: int, offenders: Offenders, printed: int, tell: Callable[[], int]
) -> None:
    """Let atheris choose which inputs to change further, by the branches that they reach; ends the process."""
    import atheris

    left = inputs

    def check(data: bytes) -> None:
        nonlocal left
        os.ftruncate(printed, 0)  # libFuzzer's own words
        try:
            one(target.check, data, printed)
        except (Exception, Hang) as error:
            offenders.add(data, error)
        left -= 1
        if not left:
            os._exit(tell())

    def change(data: bytes, largest: int, number: int) -> bytes:
        rng = generator(seed, number)
        choice = rng.random()
        if choice < 0.8:
            made: bytes = target.make(rng) if choice < 0.1 else target.mutate(data, rng)
            return made[:largest]
        return bytes(getattr(target, "untrusted", bytes)(atheris.Mutate(data, largest)))

    corpus = offenders.folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number in range(200):
        (corpus / f"seed-{number}").write_bytes(target.make(generator(seed, number)))
    options = [f"-seed={seed + 1}", "-max_len=65536", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], check, custom_mutator=change)
    atheris.Fuzz()


def loaded(name: str, *, watched: bool) -> ModuleType:
    """Import a target; *watched* makes atheris see the branches of what it imports."""
    if not watched:
        return importlib.import_module(name)
    import atheris

    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        return importlib.import_module(name)


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Fuzz tileconv; exit status 1 when an input did what none may do.")
    parser.add_argument("--inputs", type=int, default=5000, help="how many inputs (default 5000)")
    parser.add_argument("--seed", type=int, default=0, help="where the inputs begin (default 0)")
    parser.add_argument("--shard", default=ALL, help="k/n: every n-th of them from the k-th on (default: all)")
    parser.add_argument("--offenders", type=Path, help="folder that keeps offending inputs (default: a new one)")
    parser.add_argument("--atheris", action="store_true", help="be guided by coverage; needs the extra 'fuzz'")
    return parser.parse_args(words)


def main(name: str, suffix: str, words: list[str] | None = None) -> int:
    """Fuzz the target module *name*, whose offenders get *suffix*; return the exit status."""
    asked = arguments(words)
    folder = asked.offenders or Path(tempfile.mkdtemp(prefix="tileconv-fuzz-"))
    offenders = Offenders(folder, suffix)
    inputs = shard(range(asked.inputs), asked.shard)
    target = loaded(name, watched=asked.atheris)
    began = time.perf_counter()
    out = os.dup(1)

    def tell() -> int:
        seconds = time.perf_counter() - began
        rate = len(inputs) / seconds
        how = " with atheris" * asked.atheris
        text = f"{name}: {len(inputs):,} inputs from seed {asked.seed}{how}, {seconds:,.1f} s, {rate:,.0f} per second"
        os.write(out, f"{text}\n{getattr(target, 'summary', str)()}\n".encode())
        os.write(out, f"{offenders.report() if offenders.kinds else 'no offender'}\n".encode())
        return 1 if offenders.kinds else 0

    with silenced(folder / "printed.txt") as printed, limited():
        if asked.atheris:
            guided(target, len(inputs), asked.seed, offenders, printed, tell)
        seeded(target, inputs, asked.seed, offenders, printed)
    (folder / "printed.txt").unlink(missing_ok=True)
    status = tell()
    if asked.offenders is None and not status:
        folder.rmdir()
    return status
