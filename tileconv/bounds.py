"""Bounds of numbers in annotations: those of ``annotated_types``, which is slow to import (decision 043)."""

from __future__ import annotations

from typing import Any

from tileconv.quick import dataclass


@dataclass(frozen=True)
class Ge:
    """Of a number: at least so much."""

    ge: float

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "minimum": self.ge}


@dataclass(frozen=True)
class Gt:
    """Of a number: more than so much."""

    gt: float

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "exclusiveMinimum": self.gt}
