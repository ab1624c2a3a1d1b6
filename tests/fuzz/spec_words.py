"""Pipelines as trees of plain values, written by the grammar of tileconv's own JSON Schema, and as text."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tileconv.spec.schema import json_schema

ROOT = Path(__file__).parents[2]
OPERATORS: dict[str, dict[str, Any]] = {}
"""The properties of a stage by operator."""
NUMBERS = (
    "0", "1", "2", "3", "5", "-1", "0.5", "1.5", "-0.0", "1e3", "1e-3", "1e308", "1e400", "1e-400", "2.", ".5", "+7",
    "4294967296", "9007199254740993", "-9223372036854775809", "1_000", "0x1F", "0o17", "017", "1,5", "12:30", "1:2:3",
    ".nan", ".inf", "-.inf", "nan", "inf", "1e", "--1", "1.2.3", "\u0663", "\u00b2", "\uff11", "1" * 400,
    "1e99999999999",
)  # fmt: skip
SIZES = (
    "2GiB",
    "512MiB",
    "1.5GB",
    "100",
    "0B",
    "1 TiB",
    "1kB",
    "1KB",
    "9" * 15 + "TiB",
    "2gib",
    "-1GiB",
    "1e3MB",
    "auto",
)
TEXTS = (
    "~", "null", "true", "false", "yes", "NO", "''", '""', "'1'", '"3"', "|", ">-", "&a", "*a",
    "!!python/name:os.system", "!x", "<<", "${A}", '"${A}"', '"${B:-3}"', '"${C:?say}"', '"${NUMBER}"', '"${"',
    '"$${"', '"${}"', '"${EVIL}"', "a b",
    "\u00e9\U0001f30a", '"\\u0000"', '"\\ud800"', '"\\x07"', '"\\U00110000"', "x" * 500, "[]", "{}", "[[]]", "[1, [2]]",
    "{y: 2, x: 2}", "{z: 1, y: 2, x: 3}", "{x: 1}", "{rule: constant, value: 0}", "{rule: wrap}",
    "{x: wrap, y: nearest}",
    "[[1, 2], [3, 4]]", "[[1, 0, -1]]", "[1, 2, 1]", "[[1, 2], [3]]", "[[[1]]]", "[10, 20]", "[20, 10]", "? a", "- b",
    "{stem}.zarr", '"{stem}{parent}.ome.zarr"', "'{other}.zarr'", "../../x.zarr", "tcp://host:8786", "tcp://:1",
    "file:///x", '"~/x"', "kernel.npy", "kernel.csv", "/dev/null", "/", ".", '"a\\0b"',
)  # fmt: skip
BYTES = (
    b"\xff",
    b"\x00",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\r",
    b"\r\n",
    b"\n",
    b"\t",
    b"\x85",
    b"\xe2\x80\xa8",
    b"\x07",
    b"\x1b[2J",
)
MARKS = (
    b":",
    b": ",
    b"- ",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b"'",
    b'"',
    b"#",
    b" #",
    b"---\n",
    b"...\n",
    b"|\n",
    b"&",
    b"*",
)
MARKS += (b"!", b"%YAML 1.2\n", b"%YAML 99999999999999999999.1\n---\n", b"? ", b"<<: ", b"${", b"\\", b"@", b"`", b"  ")
SETTINGS = (
    "stages.0.sigma=3", "stages.a.size=5", "border={rule: constant, value: 1}", "run.memory=1GiB", "stages.9.op=box",
    "=", "a", "..=1", "stages=[]", "input.path.x=1", "run.tile={", "stages.0.kernel=[[1,2],[3]]", "version=&a 1",
    "stages.\u0661.op=box", "output.path=${A}", "x.y.z.w=1", "stages.0=", "run=", "missing.rule=fill",
    "a=*b", "\u2028=1",
)  # fmt: skip


def _schema() -> dict[str, Any]:
    found = json_schema()
    for name, shape in found["$defs"].items():
        if name.startswith("Stage_"):
            OPERATORS[name.removeprefix("Stage_")] = shape
    return found


SCHEMA = _schema()


def words_of(shape: Any) -> Iterator[str]:
    """Yield every key and every choice that a schema speaks of."""
    if isinstance(shape, dict):
        yield from map(str, shape.get("properties", ()))
        yield from map(str, shape.get("enum", ()))
        yield str(shape.get("const", "auto"))
        for inner in shape.values():
            yield from words_of(inner)
    elif isinstance(shape, list):
        for inner in shape:
            yield from words_of(inner)


WORDS = tuple(sorted({word for word in words_of(SCHEMA) if len(word) < 60}))


def atom(rng: random.Random) -> str:
    """Return the text of one value."""
    return rng.choice(rng.choice((NUMBERS, SIZES, TEXTS, WORDS, WORDS, NUMBERS)))


def value(shape: Any, rng: random.Random, depth: int = 0) -> Any:
    """Return a value that *shape* allows, mostly; texts are as they stand in the file."""
    if depth > 6 or rng.random() < 0.04:
        return atom(rng)
    if "$ref" in shape:
        return value(SCHEMA["$defs"][shape["$ref"].rpartition("/")[2]], rng, depth + 1)
    for name in ("anyOf", "oneOf"):
        if name in shape:
            return value(rng.choice(shape[name]), rng, depth + 1)
    if "const" in shape or "enum" in shape:
        return str(shape["const"] if "const" in shape else rng.choice(shape["enum"]))
    kind = shape.get("type")
    if kind == "object":
        return _mapping(shape, rng, depth)
    if kind == "array":
        return [value(shape.get("items", {}), rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 2, 3)))]
    if kind in {"integer", "number"}:
        return str(rng.choice((1, 2, 3, 5, 7, 16, 64))) if rng.random() < 0.8 else rng.choice(NUMBERS)
    if kind == "boolean":
        return rng.choice(("true", "false"))
    return rng.choice(("a.tif", "b.ome.zarr", "name", "auto", *SIZES, *TEXTS))


def _mapping(shape: dict[str, Any], rng: random.Random, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    needed = shape.get("required", ())
    for key, inner in shape.get("properties", {}).items():
        if key in needed or rng.random() < (0.5 if depth == 0 else 0.2):
            made[key] = value(inner, rng, depth + 1)
    if not made and "additionalProperties" in shape:
        inner = shape["additionalProperties"]
        made = {
            axis: value(inner if isinstance(inner, dict) else {}, rng, depth + 1)
            for axis in rng.choice(("yx", "zyx", "x"))
        }
    return made


def stage(rng: random.Random) -> dict[str, Any]:
    """Return one stage of a random operator."""
    name = rng.choice(sorted(OPERATORS))
    return {"op": name} | {k: v for k, v in _mapping(OPERATORS[name], rng, 1).items() if k != "op"}


def pipeline(rng: random.Random) -> dict[str, Any]:
    """Return a pipeline that is right, mostly."""
    made = {
        "version": "1",
        "input": {"path": "a.tif"},
        "stages": [stage(rng) for _ in range(rng.choice((0, 1, 1, 2, 3)))],
        "output": {"path": "b.ome.zarr"},
    }
    for key, inner in SCHEMA["properties"].items():
        if key not in {"version", "stages"} and rng.random() < 0.25:
            found = value(inner, rng)
            both = key in made and isinstance(found, dict) and rng.random() < 0.9
            made[key] = made[key] | found if both else found
    return made


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Return every container of *tree* with each of its keys."""
    if not isinstance(tree, dict | list):
        return []
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    return [(tree, k) for k in keys] + [p for k in keys for p in places(tree[k])]


def change_tree(tree: Any, rng: random.Random) -> None:
    """Change one place of *tree*: its value, its key, what it holds, or drop it."""
    found = places(tree)
    if not found:
        return
    holder, key = rng.choice(found)
    what = rng.randrange(6)
    if what == 0:
        holder[key] = atom(rng)
    elif what == 1:
        del holder[key]
    elif what == 2 and isinstance(holder, dict):
        holder[rng.choice((rng.choice(WORDS), atom(rng)))] = holder.pop(key)
    elif what == 3:
        holder[key] = [holder[key]] * rng.choice((1, 2, 3)) if rng.random() < 0.5 else {rng.choice(WORDS): holder[key]}
    elif what == 4:
        other, at = rng.choice(found)
        if isinstance(at, str) and not places(other.get(at)):
            holder[key] = other[at]
    elif isinstance(holder, dict):
        holder[rng.choice(WORDS)] = atom(rng)


def text_of(tree: Any) -> str:
    """Return *tree* in YAML's flow style; texts stand as they are."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {text_of(item)}" for key, item in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(text_of, tree)) + "]"
    return str(tree)


def lines_of(tree: dict[str, Any], rng: random.Random) -> str:
    """Return a pipeline as a file: a line per section, stages as a list of lines or of blocks."""
    lines = []
    for key, item in tree.items():
        if isinstance(item, list) and item and rng.random() < 0.8:
            lines.append(f"{key}:")
            for one in item:
                if isinstance(one, dict) and one and rng.random() < 0.3:
                    block = [f"{name}: {text_of(inner)}" for name, inner in one.items()]
                    lines += ["  - " + block[0], *("    " + line for line in block[1:])]
                else:
                    lines.append(f"  - {text_of(one)}")
        elif isinstance(item, dict) and item and rng.random() < 0.3:
            lines += [f"{key}:", *(f"  {name}: {text_of(inner)}" for name, inner in item.items())]
        else:
            lines.append(f"{key}: {text_of(item)}")
    return "\n".join(lines) + "\n" * (rng.random() < 0.9)
