"""Numbers as they are written: in one way alone, within the bounds of their field, lengths also with a unit."""

from __future__ import annotations

import re
from dataclasses import replace

from tileconv.bounds import Ge, Gt
from tileconv.spec.fields import Arm, Exact, bounds, is_length
from tileconv.spec.lengths import PIXELS, parse_length
from tileconv.spec.text import ScalarNode

NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
NOT_NUMBERS = {
    r".*\d_\d.*": "write it without _",
    r"[+-]?0[xXoObB].*": "write it in decimal",
    r"[+-]?0\d.*": "write it without the leading 0",
    r"[+-]?\.?(nan|inf|infinity)": "only finite numbers are allowed",
    r"\d+(:\d+)+.*": "a colon makes a time of it; a range is written [10, 20]",
    r"[+-]?\d+,\d+": "write the decimal comma as a point",
    r"([+-]?[\d.]+) ?(px|pixels?)": r"write \1: it takes no unit",
    r"[+-]?[\d.]+ ?([mµμun]m|microns?|cm|m|in|inch|å)": "it takes no unit",
    r"[+-]?[\d.]+ ?(deg|degrees?|°)": "a degree is no length: it is shorter along x the farther from the equator; "
    "write 3 px, or give metres and, with input.scale, the size of a pixel in metres",
}
"""Texts that mean a number, and how it is written; groups are those of the text."""


class Refused(Exception):  # noqa: N818 it never leaves this module
    """A scalar that its field does not take, with a hint."""


def number_of(node: ScalarNode, arm: Arm) -> int | float | str:
    """Return the number that *node* says, within the bounds of *arm*; a length with its unit as text.

    Raises
    ------
    Refused
        If *arm* takes no such thing.
    """
    if not is_length(arm):
        return _bounded(node, arm)
    try:
        number, unit = parse_length(node.text)
    except ValueError:
        return _bounded(node, arm)
    bare = replace(node, text=number, plain=True)
    if unit == PIXELS:
        return _bounded(bare, arm)
    _bounded(bare, Arm(float, (Ge(0) if bounds(arm)[0] == 0 else Gt(0),)))
    return f"{number} {unit}"


def _bounded(node: ScalarNode, arm: Arm) -> int | float:
    if not NUMBER.fullmatch(node.text):
        text = node.text.strip().lower()
        means = ((re.fullmatch(form, text, re.ASCII), hint) for form, hint in NOT_NUMBERS.items())
        raise Refused(next((found.expand(hint) for found, hint in means if found), ""))
    if not node.plain:
        raise Refused("remove the quotes")
    number = float(node.text)
    if abs(number) == float("inf"):
        raise Refused("the number is too large")
    low, above = bounds(arm)
    if number < low or number <= above or (arm.type is int and (number != int(number) or abs(number) >= 2**53)):
        raise Refused
    return int(number) if arm.type is int else _exact(node.text, number, arm)


def _exact(text: str, number: float, arm: Arm) -> float:
    """Return *number*, which *text* says, unless that is a whole number that no float64 is."""
    if abs(number) < 2**53 or not text.lstrip("+-").isdecimal() or int(text) == number:
        return number
    if any(isinstance(note, Exact) for note in arm.notes):
        return int(text)
    raise Refused(f"no float64 is this number; the nearest is {number:.0f}")
