"""When a tile on a cluster is late: by what the run says, or by those that are done."""

import time
from types import SimpleNamespace

import pytest

from tileconv.execute.batches import LATE, LATE_S, Batch, Tiles


def hangs(flown_s, *, timeout_s=None, tiles=1, tries=1, times=()):
    """Return whether a batch in flight for so long counts as late."""
    crew = SimpleNamespace(client=None, timeout_s=timeout_s, held_by=lambda *_: False)
    flight, batch = Tiles(crew, []), Batch(None, [None] * tiles, "key", tries)
    flight.times.extend(times)
    flight.flying["key"] = batch, time.monotonic() - flown_s
    return flight._hangs(batch, set())


@pytest.mark.parametrize(
    ("late", "words"),
    [
        (100, {"timeout_s": 100}),
        (300, {"timeout_s": 100, "tiles": 3}),
        (400, {"timeout_s": 100, "tries": 3}),
        (100, {"timeout_s": 100, "times": [1000]}),
        (LATE_S, {"times": [0.1]}),
        (LATE * 50, {"times": [50]}),
    ],
)
def test_a_limit_that_the_run_says_counts_before_that_of_the_others(late, words):
    assert not hangs(late - 5, **words)
    assert hangs(late + 5, **words)


def test_without_either_nothing_is_late():
    assert not hangs(10**6)
