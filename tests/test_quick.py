"""Dataclasses that are quick to declare are those of the standard library in all that is used of them."""

import copy
import dataclasses
import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, field
from threading import Barrier

import pytest

from tileconv import quick


def declared(decorator):
    """Classes of every kind, all with one of the two decorators."""

    @decorator(frozen=True)
    class Pair:
        """Two."""

        first: int
        second: object = None

    @decorator(frozen=True)
    class Further(Pair):
        """Three, one of which is not compared."""

        third: list[int] = field(default_factory=list, compare=False)

    @decorator
    class Open:
        """One that changes."""

        only: float

        def __post_init__(self):
            self.only *= 2

    @decorator(frozen=True, eq=False)
    class Apart:
        """Equal to itself alone."""

        own: int = field(default=1, repr=False)

    @decorator(frozen=True, repr=False)
    class Own:
        """With methods of its own."""

        value: int

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 7

    @decorator(frozen=True, slots=True)
    class Slots:
        """Without a dictionary."""

        first: int
        second: tuple[int, ...] = field(default=(), compare=False)

    return Pair, Further, Open, Apart, Own, Slots


def seen(decorator):
    """Return what can be seen of instances."""
    pair, further, open_, apart, own, slots = declared(decorator)
    a, b, c = further(1, second=(2,)), further(1, (2,), [3]), pair(1, (2,))
    made = open_(1.5)
    return [
        *(repr(x).replace("declared.<locals>.", "") for x in (a, b, c, made, apart(), pair(pair(1)))),
        *(a == b, a == c, hash(a) == hash(b), hash(a) == hash((1, (2,))), a != b),
        *(pair(1) == 1, made == open_(1.5), open_.__hash__, apart() == apart(), own(1) == own(2), hash(own(1))),
        *(dataclasses.replace(b, first=5).third, dataclasses.asdict(b), [f.name for f in dataclasses.fields(b)]),
        *(
            pair.__match_args__,
            repr(own(1)).startswith("<"),
            str(inspect.signature(pair)),
        ),
        *(slots(1, (2,)) == slots(1), hash(slots(1)), hasattr(slots(1), "__dict__"), slots(1).second),
        *(copy.copy(slots(1, (2,))).second, dataclasses.replace(slots(1, (2,)), first=3).second),
    ]


def test_all_that_is_seen_is_alike():
    assert seen(quick.dataclass) == seen(dataclasses.dataclass)


def test_one_nan_is_itself():
    """As in tuples; the standard library's ask ``==`` alone since Python 3.13."""
    pair, *_ = declared(quick.dataclass)
    nan = float("nan")
    assert pair(1, nan) == pair(1, nan)


@pytest.mark.parametrize("number", [0, -1])
def test_frozen_ones_do_not_change(number):
    made = declared(quick.dataclass)[number](1)
    for change in (lambda: setattr(made, "first", 2), lambda: delattr(made, "first"), lambda: setattr(made, "new", 2)):
        with pytest.raises(FrozenInstanceError):
            change()


def test_one_that_holds_itself_is_shown():
    _, _, open_, *_ = declared(quick.dataclass)
    made = open_(1)
    made.only = made
    assert repr(made).endswith("Open(only=...)")


@quick.dataclass(frozen=True)
class Sent:
    """One that crosses to another process."""

    value: tuple[int, ...]


@quick.dataclass(frozen=True, slots=True)
class SentWithoutDictionary:
    """The same with slots."""

    value: tuple[int, ...]


@pytest.mark.parametrize("kind", [Sent, SentWithoutDictionary])
def test_they_cross_to_other_processes(kind):
    assert pickle.loads(pickle.dumps(kind((1, 2)))) == kind((1, 2))  # noqa: S301 ours


def test_threads_that_use_a_class_first_all_find_it_whole():
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            kind, start = declared(quick.dataclass)[1], Barrier(4)
            uses = (
                lambda kind: kind(1) == kind(1, third=[2]),
                lambda kind: hash(kind(1)) == hash(kind(1)),
                lambda kind: kind(1).third == [],
                lambda kind: [f.name for f in dataclasses.fields(kind)] == ["first", "second", "third"],
            )
            assert all(pool.map(lambda use, kind=kind, start=start: start.wait() >= 0 and use(kind), uses))


def test_what_a_base_begins_with_is_its_own():
    pair, *_ = declared(quick.dataclass)

    class Below(pair):
        def __init__(self, first):
            super().__init__(first, "second")

    assert (Below(1).first, Below(1).second, pair(2).first) == (1, "second", 2)
