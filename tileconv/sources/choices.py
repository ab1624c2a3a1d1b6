"""How is said which of several images of a file is read, and what the others are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tileconv.errors import SourceError

SHOWN = 8
"""How many of several images are named; a plate has thousands."""
PLURAL = {"series": "series", "level": "levels"}


def listed(items: Iterable[str]) -> str:
    """Return *items* in one line, the first ``SHOWN`` of them.

    Examples
    --------
    >>> listed("abc"), listed("abcdefghij")
    ('a, b, c', 'a, b, c, d, e, f, g, h and 2 more')
    """
    names = list(items)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def size(shape: Iterable[int]) -> str:
    """Return a shape in words.

    Examples
    --------
    >>> size((3, 20, 30))
    '3 x 20 x 30'
    """
    return " x ".join(map(str, shape))


def chosen(word: str, number: int, texts: Sequence[str], where: str) -> list[str]:
    """Return what is said of the choice of *number* among *texts*, one per image; nothing of an only one.

    Parameters
    ----------
    word
        ``series`` or ``level``, as the spec calls the choice.

    Raises
    ------
    SourceError
        If there is no such image; the message tells of those that there are.

    Examples
    --------
    >>> chosen("level", 0, ["40 x 50", "20 x 25"], "a.tif")
    ['level 0 of 0 to 1 is read (40 x 50); input.level takes another: 1 (20 x 25)']
    """
    every = [f"{i} ({text})" for i, text in enumerate(texts)]
    last = len(texts) - 1
    if last < 0:
        raise SourceError(f"no {word} of an image is in it", where=where)
    if not 0 <= number <= last:
        raise SourceError(
            f"expected a {word} of 0 to {last}, found {number}",
            where=where,
            fix=f"Its {PLURAL[word]}: {listed(every)}.",
        )
    others = listed(text for i, text in enumerate(every) if i != number)
    return [f"{word} {number} of 0 to {last} is read ({texts[number]}); input.{word} takes another: {others}"] * bool(
        last
    )
