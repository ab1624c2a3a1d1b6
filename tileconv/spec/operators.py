"""The operators as a spec sees them: parameters read from the signatures in the registry, and the checked operation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

import numpy as np

from tileconv.errors import KernelError
from tileconv.operations.linear import as_operation
from tileconv.operations.operation import Operation
from tileconv.operations.registry import OF_ONE, OF_SEVERAL, OPERATORS
from tileconv.operations.steps import Steps
from tileconv.spec.fields import REQUIRED, Field, arms, describe, parameters_of
from tileconv.spec.lengths import stood_in

ONE_BY_ONE = {"c": "channels", "t": "time points"}
"""What lies along the axes that few operators act on."""


@cache
def operator_fields(name: str) -> dict[str, Field]:
    """Return the parameters of the operator *name*."""
    return parameters_of(OPERATORS[name])


def operator_summary(name: str) -> str:
    """Return the first line of the operator's docstring."""
    return _texts(name)[0]


def _texts(name: str) -> tuple[str, str]:
    """Return the first line of the operator's docstring, and the others but for the errors."""
    summary, _, others = (inspect.getdoc(OPERATORS[name]) or "").partition("\n\n")
    return summary, re.sub(r"Raises\n-+\n.*?(\n\n|$)", "", others, flags=re.DOTALL)


def make_operation(name: str, parameters: Mapping[str, Any], axes: str) -> Operation | Steps:
    """Return the operation that the operator *name* makes over *axes*; of lengths with a unit, one for checks alone.

    Raises
    ------
    KernelError
        If the parameters make no kernel, or one whose weights overflow or do not fit in memory.
    """
    if axes in ONE_BY_ONE and axes not in _made_by(OPERATORS[name]).acts_on:
        fix = "Write over: zyx for depth; channels says which of them the stage acts on."
        raise KernelError(f"{name} acts on axes of z, y and x, and takes {ONE_BY_ONE[axes]} one by one", fix=fix)
    try:
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            return as_operation(OPERATORS[name](**stood_in(name, parameters, axes), axes=axes)).along(axes)
    except KernelError:
        raise
    except (ArithmeticError, MemoryError, ValueError) as error:
        raise KernelError("these values make no kernel: the weights overflow or do not fit in memory") from error


def operator_table() -> list[dict[str, Any]]:
    """Return one record per operator: names, texts, and parameters with type, default and whether they must be given.

    ``least`` names those that a stage has at least, one of them where it needs one of several. Of operators of several
    inputs ``function`` is None; the most ``inputs`` are None where there may be any number.

    Examples
    --------
    >>> operator_table()[0]["parameters"][0]["name"]
    'size'
    """
    return [
        {
            "name": name,
            "function": OF_ONE[name].__name__ if name in OF_ONE else None,
            "inputs": _inputs(name),
            "summary": operator_summary(name),
            "details": _texts(name)[1],
            "least": _least(name),
            "parameters": [
                {
                    "name": parameter,
                    "type": describe(arms(field.form)),
                    "default": None if field.default is REQUIRED else field.default,
                    "required": field.default is REQUIRED,
                }
                for parameter, field in operator_fields(name).items()
            ],
        }
        for name in OPERATORS
    ]


def _least(name: str) -> list[str]:
    """Return the parameters that the operator *name* needs, or the first where it needs one of several."""
    fields = operator_fields(name)
    needed = [parameter for parameter, field in fields.items() if field.default is REQUIRED]
    if not needed:
        try:
            make_operation(name, {}, "yx")
        except KernelError:
            return [*fields][:1]
    return needed


def _inputs(name: str) -> tuple[int, int | None]:
    """Return how many inputs the operator *name* takes, least and most."""
    return _made_by(OF_SEVERAL[name]).inputs if name in OF_SEVERAL else Operation.inputs


@cache
def _made_by(function: Callable[..., Any]) -> type[Operation]:
    """Return what an operator makes, as far as its record says what no parameter changes."""
    made = get_type_hints(function)["return"]
    return made if isinstance(made, type) and issubclass(made, Operation) else Operation
