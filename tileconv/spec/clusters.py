"""Clusters that a run starts for itself, by name: those of a pipeline file, and those of the user's own configuration.

The user's lie in ``tileconv/config.yaml`` below ``XDG_CONFIG_HOME``, and are read only where a pipeline names a cluster
that it does not describe. What runs code of its choice is accepted there alone: a pipeline file may be anyone's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from tileconv.errors import Problem, SpecError
from tileconv.operations.parameters import Count
from tileconv.own import own_file
from tileconv.quick import dataclass
from tileconv.spec.fields import Field, Written, arms, describe, fields_of
from tileconv.spec.numbers import NUMBER
from tileconv.spec.reader import Reader, did_you_mean, join
from tileconv.spec.text import ListNode, MapNode, Node, compose, is_nothing, kind_of
from tileconv.spec.words import EXECUTORS, REACHED, ClassName, Executor, Lines, Size, Token, Walltime, is_id
from tileconv.stores import steady

Cluster = Mapping[str, Any]
"""A cluster in the words of a file, checked: those of ``Jobs``, or a class and its keywords."""


@dataclass(frozen=True)
class Adaptive:
    """How many jobs there are, by what is to be done."""

    minimum: Annotated[Count, "Jobs that are kept in any case."]
    maximum: Annotated[Count, "The most jobs."]


@dataclass(frozen=True)
class Jobs:
    """Jobs of a batch system, each of one process that makes tiles: submitted for a run, and cancelled at its end."""

    kind: Annotated[Literal["slurm", "pbs", "sge", "lsf"], "The batch system."]
    cores: Annotated[Count, "Processors of a job, which makes as many tiles at once."]
    memory: Annotated[int, Written(Size), "Memory of a job."]
    jobs: Annotated[Count, "How many jobs there are; one that ends is replaced."] = 1
    adaptive: Annotated[Adaptive | None, "In the place of jobs: bounds of their number."] = None
    walltime: Annotated[str, Written(Walltime), "How long a job may run."] = "00:30:00"
    queue: Annotated[str | None, Written(Token), "Queue or partition."] = None
    account: Annotated[str | None, Written(Token), "Account or project that pays."] = None
    interface: Annotated[str | None, Written(Token), "Network interface that workers and scheduler share."] = None


JOBS = fields_of(Jobs)
OWN = {
    "prologue": Field(Lines, None, "Shell commands before the worker."),
    "directives": Field(Lines, None, "Further directives of the job's script, one per line."),
}
"""What goes into the script of a job as it stands."""
CLASS = {
    "class": Field(ClassName, summary="The class of the cluster."),
    "jobs": JOBS["jobs"],
    "adaptive": JOBS["adaptive"],
}
FOREIGN = {"partition": "queue", "project": "account", "mem": "memory", "n_workers": "jobs", "time": "walltime"}
RUNS_CODE = "runs code of its choice, and is accepted from the user's own configuration alone"


def clusters_of(reader: Reader, node: Node, key: str = "clusters", *, own: bool = False) -> dict[str, Cluster]:
    """Return the clusters that *node* describes, by name, without those that are wrong; *own* are the user's."""
    if not isinstance(node, MapNode):
        found = f"expected a mapping of names to clusters, found {kind_of(node)}"
        reader.problem(node.place, key, found, "write {NAME: {kind: slurm, cores: 8, memory: 16GiB}}")
        return {}
    clusters: dict[str, Cluster] = {}
    for name, item in node.items.items():
        label, before = join(key, name), len(reader.problems)
        if not is_id(name) or name in (*EXECUTORS, REACHED):
            message = f"expected a name of letters, digits, - and _ that is no executor, found '{name}'"
            reader.problem(node.keys[name], label, message)
            continue
        words = _cluster(reader, item, label, own=own)
        if len(reader.problems) == before:
            clusters[name] = words
    return clusters


def _cluster(reader: Reader, node: Node, key: str, *, own: bool) -> dict[str, Any]:
    items = node.items if isinstance(node, MapNode) else {}
    keys = node.keys if isinstance(node, MapNode) else {}
    of_class = "class" in items
    for name in [name for name in ("class", *OWN) if name in items and not own]:
        reader.problem(keys[name], join(key, name), RUNS_CODE, f"move this cluster to {own_place()}")
    if of_class and not own:
        return {}
    free = [name for name in items if of_class and name not in CLASS]
    shape = CLASS | dict.fromkeys(free, Field(None, None)) if of_class else JOBS | OWN
    words = reader.section(node, shape, key, foreign=FOREIGN)
    for name in free:
        words[name] = _plain(words[name])
    if {"jobs", "adaptive"} <= items.keys():
        reader.problem(keys["adaptive"], join(key, "adaptive"), "expected either jobs or adaptive, found both")
    bounds = words.get("adaptive") or {}
    if bounds.get("minimum", 0) > bounds.get("maximum", float("inf")):
        message = f"the minimum of {bounds['minimum']} jobs is above the maximum of {bounds['maximum']}"
        reader.problem(items["adaptive"].place, join(key, "adaptive"), message)
    return words


def _plain(node: Node) -> Any:
    """Return what *node* holds as YAML's plain values, for a class that has its own names and types."""
    if isinstance(node, MapNode):
        return {name: _plain(item) for name, item in node.items.items()}
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    if is_nothing(node):
        return None
    if node.plain and node.text in {"true", "false"}:
        return node.text == "true"
    if node.plain and NUMBER.fullmatch(node.text):
        return int(node.text) if node.text.lstrip("+-").isdecimal() else float(node.text)
    return node.text


def named_cluster(reader: Reader, run: Node, executor: str, clusters: Mapping[str, Cluster]) -> Cluster | None:
    """Return the cluster that *executor* of the section *run* names, of *clusters* or the user's; None for no name.

    Raises
    ------
    SpecError
        If the user's configuration is read and is wrong.
    """
    if executor in (*EXECUTORS, REACHED) or "://" in executor:
        return None
    own = {} if executor in clusters else own_clusters()
    known = {**own, **clusters}
    if executor not in known and isinstance(run, MapNode):
        near = did_you_mean(executor, [*EXECUTORS, REACHED, *known])
        hint = near or f"describe it under clusters, here or in {own_place()}"
        message = f"expected {describe(arms(Executor))}, found '{executor}'"
        reader.problem(run.items["executor"].place, "run.executor", message, hint)
    return known.get(executor)


def own_clusters_file() -> Path:
    """Return where the user's own configuration lies, or would lie."""
    return own_file("config.yaml") or Path("~/.config/tileconv/config.yaml")


def own_place() -> str:
    """Return where the user's own configuration lies, or would lie, as messages have it."""
    return re.sub(f"^{re.escape(str(Path.home()))}(?=/)", "~", str(own_clusters_file()))


def own_clusters() -> dict[str, Cluster]:
    """Return the clusters of the user's own configuration by name; none where there is no such file.

    Raises
    ------
    SpecError
        If it cannot be read or is wrong, with every problem.
    """
    path = own_clusters_file()
    if not steady.is_file(path):
        return {}
    try:
        root, problems = compose(steady.read_bytes(path).decode("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(str(path), (Problem("", "cannot read the file", hint=str(error)),)) from error
    reader = Reader(path.parent, str(path))
    values = reader.section(root, {"clusters": Field(None, None)}, "")
    clusters = clusters_of(reader, values["clusters"], own=True) if "clusters" in values else {}
    if found := (*problems, *reader.problems):
        raise SpecError(str(path), found)
    return clusters
