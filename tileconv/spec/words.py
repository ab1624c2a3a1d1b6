"""Texts of a spec that have a rule of their own: axes, ids, sizes, times, workers, executors."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from tileconv.bounds import Ge
from tileconv.boxes import AXES
from tileconv.operations.parameters import Plain
from tileconv.spec.fields import Anywhere, Word
from tileconv.spec.lengths import LENGTH, parse_pixel_size
from tileconv.storage import Format

UNITS = {"": 1, "B": 1} | {
    f"{prefix}{kind}": base**power
    for power, prefix in enumerate("KMGT", 1)
    for kind, base in (("B", 1000), ("iB", 1024))
}
EXECUTORS = ("threads", "processes")
"""Those of this machine."""
REACHED = "distributed"
"""The executor that is whatever cluster the caller is connected to."""
FORMATS = get_args(Format)

ID = r"[A-Za-z_][A-Za-z0-9_-]*"
_LABEL = r"[^/\\.\s][^/\\]*"
_ADDRESS = r"(tcp|tls)://[^\s/]+:\d{1,5}"
_ENDPOINT = r"https?://[\w.-]+(:\d{1,5})?(/[\w.-]+)*/?"
_REGION = r"[\w-]{1,63}"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.,:@/+-]*"
_CLASS = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"
_WALLTIME = r"(?:(\d{1,3})-)?(\d{1,4}):([0-5]\d):([0-5]\d)"
_SIZE = r"(\d{1,15}(?:\.\d{1,6})?) ?([KMGT]?i?B|)"

_DURATION = r"(\d{1,9}(?:\.\d{1,6})?) ?(ms|s|min|h|)"
_SECONDS = {"ms": 0.001, "s": 1, "": 1, "min": 60, "h": 3600}


def parse_duration(text: str) -> float | None:
    """Return seconds, or None for ``auto``; ValueError for any other text.

    Examples
    --------
    >>> parse_duration("90 s"), parse_duration("1.5min"), parse_duration("auto")
    (90.0, 90.0, None)
    """
    if text == "auto":
        return None
    found = re.fullmatch(_DURATION, text, re.ASCII)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not seconds:
        raise ValueError(text)
    return seconds


def parse_memory(text: str) -> int | None:
    """Return bytes, or None for ``auto``; ValueError for any other text.

    Examples
    --------
    >>> parse_memory("2GiB"), parse_memory("1.5GB"), parse_memory("auto")
    (2147483648, 1500000000, None)
    """
    if text == "auto":
        return None
    found = re.fullmatch(_SIZE, text, re.ASCII)
    size = int(float(found[1]) * UNITS[found[2]]) if found and found[2] in UNITS else 0
    if not 1 <= size < 10**15:  # which 15 digits hold, so that what is written for provenance can be read again
        raise ValueError(text)
    return size


def parse_size(text: str) -> int:
    """Return bytes; ValueError for any text that is no size."""
    size = parse_memory(text)
    if size is None:
        raise ValueError(text)
    return size


def parse_walltime(text: str) -> str:
    """Return hours, minutes and seconds of a time that may have days.

    Examples
    --------
    >>> parse_walltime("2-12:00:00"), parse_walltime("4:30:00")
    ('60:00:00', '04:30:00')
    """
    found = re.fullmatch(_WALLTIME, text, re.ASCII)
    if not found or not any(map(int, filter(None, found.groups()))):
        raise ValueError(text)
    return f"{24 * int(found[1] or 0) + int(found[2]):02}:{found[3]}:{found[4]}"


def parse_token(text: str) -> str:
    """Return a name as batch systems have them: nothing that a shell, or a line of a script, would take apart."""
    if not re.fullmatch(_NAME, text, re.ASCII):
        raise ValueError(text)
    return text


def parse_class(text: str) -> str:
    """Return the name of a class with that of its module."""
    if not re.fullmatch(_CLASS, text, re.ASCII):
        raise ValueError(text)
    return text


def parse_workers(text: str) -> int | None:
    """Return a number of workers, or None for ``auto``."""
    if text == "auto":
        return None
    if not re.fullmatch(r"[1-9]\d{0,5}", text, re.ASCII):
        raise ValueError(text)
    return int(text)


def parse_executor(text: str) -> str:
    """Return the name of an executor or of a cluster, or the address of a Dask scheduler."""
    if not (is_id(text) or re.fullmatch(_ADDRESS, text, re.ASCII)):
        raise ValueError(text)
    return text


def parse_axes(text: str) -> str:
    """Return letters of ``tczyx``, each once, in any order: the order in which the file stores them."""
    if not text or len(set(text)) != len(text) or not set(text) <= set(AXES):
        raise ValueError(text)
    return text


def parse_format(text: str) -> str:
    """Return the version of OME-Zarr, in quotes or not."""
    if text not in FORMATS:
        raise ValueError(text)
    return text


def parse_label(text: str) -> str:
    """Return the name of a label image, which is one folder."""
    if not re.fullmatch(_LABEL, text):
        raise ValueError(text)
    return text


def parse_id(text: str) -> str:
    """Return the name of a stage; it begins with a letter, so that it is no position."""
    if not is_id(text):
        raise ValueError(text)
    return text


def is_id(text: str) -> bool:
    """Return whether *text* can name a stage or an output."""
    return bool(re.fullmatch(ID, text, re.ASCII))


def parse_endpoint(text: str) -> str:
    """Return the URL of a server, perhaps with a path before all buckets; ValueError for any other text."""
    if not re.fullmatch(_ENDPOINT, text, re.ASCII):
        raise ValueError(text)
    return text.rstrip("/")


def parse_region(text: str) -> str:
    """Return the name of a region of a cloud."""
    if not re.fullmatch(_REGION, text, re.ASCII):
        raise ValueError(text)
    return text


Axis = Literal["t", "c", "z", "y", "x"]
Place = Annotated[str, Anywhere()]
Index = Annotated[int, Ge(0)]
Position = Index | Annotated[str, Plain()]
"""A number from 0 on, or a name, which is in quotes where it looks like a number."""
Memory = Annotated[
    str,
    Word(
        "auto or a size such as 2GiB, 512MiB, 1.5GB or a number of bytes",
        parse_memory,
        {"anyOf": [{"type": "string", "pattern": f"^(auto|{_SIZE})$"}, {"type": "integer", "minimum": 1}]},
    ),
]
Duration = Annotated[
    str,
    Word(
        "auto or a time such as 90 s, 500 ms, 5 min, 2 h or a number of seconds",
        parse_duration,
        {"anyOf": [{"type": "string", "pattern": f"^(auto|{_DURATION})$"}, {"type": "number", "exclusiveMinimum": 0}]},
    ),
]
Size = Annotated[
    str,
    Word(
        "a size such as 16GiB or a number of bytes",
        parse_size,
        {"anyOf": [{"type": "string", "pattern": f"^{_SIZE}$"}, {"type": "integer", "minimum": 1}]},
    ),
]
Walltime = Annotated[
    str,
    Word(
        "a time such as 4:00:00 or 2-12:00:00, with hours, minutes and seconds",
        parse_walltime,
        {"type": "string", "pattern": f"^{_WALLTIME}$"},
    ),
]
Token = Annotated[
    str,
    Word(
        "a name without spaces",
        parse_token,
        {"anyOf": [{"type": "string", "pattern": f"^{_NAME}$"}, {"type": "integer", "minimum": 0}]},
    ),
]
Lines = Annotated[str, Word("lines of text", str, {"type": "string"})]
ClassName = Annotated[
    str,
    Word("a class with its module, as dask_kubernetes.operator.KubeCluster", parse_class, {"type": "string"}),
]
Workers = Annotated[
    str,
    Word(
        "auto or a whole number of at least 1",
        parse_workers,
        {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]},
    ),
]
Executor = Annotated[
    str,
    Word(
        "'threads', 'processes', 'distributed', a Dask scheduler such as tcp://host:8786 or the name of a cluster",
        parse_executor,
        {"anyOf": [{"type": "string", "pattern": f"^({ID}|{_ADDRESS})$"}]},
    ),
]
AxesText = Annotated[
    str,
    Word(
        f"letters of '{AXES}', each at most once",
        parse_axes,
        {"type": "string", "pattern": f"^[{AXES}]+$"},
    ),
]
FormatText = Annotated[
    str,
    Word(
        "0.5 or 0.4",
        parse_format,
        {"enum": [*FORMATS, *map(float, FORMATS)]},
    ),
]
LabelText = Annotated[
    str,
    Word("the name of a label image", parse_label, {"type": "string", "pattern": f"^{_LABEL}$"}),
]
Endpoint = Annotated[
    str,
    Word(
        "the URL of a server such as https://host:9000",
        parse_endpoint,
        {"type": "string", "pattern": f"^{_ENDPOINT}$"},
    ),
]
Region = Annotated[
    str,
    Word("the name of a region such as eu-west-1", parse_region, {"type": "string", "pattern": f"^{_REGION}$"}),
]
PixelSize = Annotated[
    str,
    Word(
        "a length such as 0.5 um",
        parse_pixel_size,
        {"type": "string", "pattern": rf"^{LENGTH}$"},
    ),
]
StageId = Annotated[
    str,
    Word(
        "a name that begins with a letter and holds letters, digits, - and _",
        parse_id,
        {"type": "string", "pattern": f"^{ID}$"},
    ),
]
