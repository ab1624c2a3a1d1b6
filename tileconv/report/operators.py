"""The operators in words, from their signatures and docstrings: a list of all, or all that is known of one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

Record = dict[str, Any]


def operator_list(records: Sequence[Record]) -> RenderableType:
    """Return a table with a row for each of *records*, those of ``tileconv.spec.operator_table``."""
    table = Table(box=None, pad_edge=False)
    for heading in ("operator", "parameters", "what it does"):
        table.add_column(heading, overflow="fold")  # else a long word is cut
    for record in records:
        table.add_row(record["name"], Text("\n".join(_parameters(record))), Text(plain(record["summary"])))
    return table


def operator_text(record: Record) -> str:
    """Return all that is known of one operator."""
    least, most = record["inputs"]
    images = ["a", "b", "c"][:least] + ["..."] * (most is None)
    read = [f"from: [{', '.join(images)}]"] * (least > 1)
    stage = ", ".join([f"op: {record['name']}", *(f"{name}: ..." for name in record["least"]), *read])
    call = ", ".join(["image", *(f"{name}=..." for name in record["least"])])
    parameters = _parameters(record) or ["none"]
    lines = [
        plain(record["summary"]),
        "",
        f"pipeline file  {{{stage}}}",
        *([f"Python         tileconv.{record['function']}({call})"] if record["function"] else []),
        *(f"{'parameters' * (number == 0):14} {text}" for number, text in enumerate(parameters)),
        "",
        plain(record["details"]).replace("Examples\n--------", "An example in Python"),
    ]
    return "\n".join(lines).rstrip()


def plain(text: str) -> str:
    """Return a docstring's *text* without its marks: formulas keep their stars.

    Examples
    --------
    >>> plain("*gain* times, ``a * (b - c)``")
    'gain times, a * (b - c)'
    """
    return re.sub(r"\*(\w+)\*", r"\1", text.replace("`", ""))


def _parameters(record: Record) -> list[str]:
    return [f"{p['name']}: {p['type']}; {_default(p)}" for p in record["parameters"]]


def _default(parameter: Record) -> str:
    if parameter["required"]:
        return "required"
    return "optional" if parameter["default"] is None else f"by default {json.dumps(parameter['default'])}"
