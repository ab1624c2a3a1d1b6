"""Pipeline files for the fuzzer, and what must hold of ``load_spec`` on each: a pipeline, or a SpecError that points.

Lines that begin with ``#--set `` are comments to YAML; they are handed over as overrides of the command line.
"""

from __future__ import annotations

import pickle
import random
import re
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.loop import Offence
from tests.fuzz.spec_words import BYTES, MARKS, ROOT, SETTINGS, WORDS, atom, change_tree, lines_of, pipeline
from tileconv.errors import Problem, SpecError
from tileconv.spec import as_mapping, load_spec, spec_from_mapping

FILES = (sorted((ROOT / folder).glob("*.yaml")) for folder in ("pipelines", "tests/errors"))
SEEDS = tuple(path.read_bytes() for files in FILES for path in files)
ENVIRON = {"A": "a", "NUMBER": "3", "EVIL": "{x: [1, !!python/name:os.system ]}\x00\n${A}", "EMPTY": ""}
OVERRIDE = re.compile(rb"^#--set (.*)$", re.MULTILINE)
BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
WHOLE_FILE = re.compile(
    "a pipeline file has at most|expected UTF-8 text|the file is empty|[0-9,]+ more problems|an escape or a direct"
)
"""What is said of a file as a whole, without a place or a key."""
LONGEST = 6000
"""Bytes of a made input; longer ones only cost time."""
FOLDER = tempfile.TemporaryDirectory(prefix="tileconv-fuzz-")
PATH = Path(FOLDER.name) / "pipeline.yaml"
OUTCOMES: Counter[str] = Counter()


def make(rng: random.Random) -> bytes:
    """Return a pipeline file: one by the grammar with some places changed, or one of ours with its text changed."""
    if rng.random() < 0.65:
        tree = pipeline(rng)
        for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
            change_tree(tree, rng)
        data = lines_of(tree, rng).encode("utf-8", "surrogatepass")
        if rng.random() < 0.1:
            data += b"\n#--set " + rng.choice(SETTINGS).encode()
        return data if rng.random() < 0.75 else mutate(data, rng)
    return mutate(rng.choice(SEEDS), rng)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return *data* with one to four changes of its text."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 4))):
        data = rng.choice(CHANGES)(data, rng)[:LONGEST]
    return data


def _span(data: bytes, rng: random.Random, longest: int = 12) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.randint(0, longest))


def _flip(data: bytes, rng: random.Random) -> bytes:
    made = bytearray(data or b" ")
    made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def _insert(data: bytes, rng: random.Random) -> bytes:
    start, _ = _span(data, rng)
    return data[:start] + rng.choice(rng.choice((BYTES, MARKS))) * rng.choice((1, 1, 1, 2, 40)) + data[start:]


def _remove(data: bytes, rng: random.Random) -> bytes:
    start, stop = _span(data, rng)
    return data[:start] + data[stop:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start, stop = _span(data, rng, 40)
    return data[:stop] + data[start:stop] * rng.choice((1, 1, 30)) + data[stop:]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    i, k = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        lines[i], lines[k] = lines[k], lines[i]
    elif what == 1:
        lines.insert(k, lines[i])
    elif what == 2:
        lines[i] = b" " * rng.randrange(5) + lines[i].lstrip(b" ")
    else:
        lines.insert(i, b"#--set " + rng.choice(SETTINGS).encode())
    return b"\n".join(lines)


def _word(data: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"[\w.+-]+", data))
    if not found:
        return data
    at = rng.choice(found)
    word = atom(rng) if rng.random() < 0.7 else rng.choice(WORDS)
    return data[: at.start()] + word.encode("utf-8", "surrogatepass") + data[at.end() :]


def _splice(data: bytes, rng: random.Random) -> bytes:
    other = rng.choice(SEEDS)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


CHANGES = (_flip, _insert, _remove, _repeat, _cut, _lines, _word, _word, _word, _splice)


def check(data: bytes) -> None:
    """Raise unless *data* is a pipeline that survives a round trip, or is refused in words that point into it."""
    PATH.unlink(missing_ok=True)  # a file system may wait for the disk where a file is written over
    PATH.write_bytes(data)
    overrides = [line.decode("utf-8", "replace") for line in OVERRIDE.findall(data)]
    try:
        spec = load_spec(PATH, overrides, environ=ENVIRON)
    except SpecError as error:
        OUTCOMES["refused"] += 1
        _refused(error, data)
        return
    OUTCOMES["accepted"] += 1
    if spec_from_mapping(as_mapping(spec)) != spec:
        raise Offence("the pipeline changes when it is written out and read again")


def _refused(error: SpecError, data: bytes) -> None:
    if not error.problems:
        raise Offence("a SpecError without a problem")
    lines = BREAKS.split(data.decode("utf-8-sig", "replace"))
    for problem in error.problems:
        _points(problem, lines)
    text = str(error)
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise Offence(f"a message that a terminal would obey: {text[:300]!r}")
    if str(pickle.loads(pickle.dumps(error))) != text:  # noqa: S301 our own error
        raise Offence("a pickle changes the message")


def _points(problem: Problem, lines: list[str]) -> None:
    if not problem.message:
        raise Offence(f"no message: {problem}")
    if problem.line == 0:
        if not (problem.key or "from " in problem.hint or WHOLE_FILE.search(problem.message)):
            raise Offence(f"neither a place nor a key: {problem}")
        return
    if not 1 <= problem.line <= len(lines):
        raise Offence(f"line {problem.line} of {len(lines)}: {problem}")
    line = lines[problem.line - 1]
    if not 1 <= problem.column <= len(line) + 1:
        raise Offence(f"column {problem.column} of {len(line)}: {problem}")
    shown = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)
    if problem.source and problem.source != shown:
        raise Offence(f"shows another line, {line!r}: {problem}")
    if problem.source and problem.column - 1 + problem.width > len(line) + 1:
        raise Offence(f"underlines more than the line: {problem}")


def summary() -> str:
    """Return what became of the inputs so far."""
    return ", ".join(f"{count:,} {what}" for what, count in sorted(OUTCOMES.items()))
