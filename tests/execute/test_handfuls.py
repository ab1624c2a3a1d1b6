"""Small tiles by the handful, in streams where some tiles wait for others."""

from types import SimpleNamespace

from tileconv.execute.handfuls import handfuls


def test_a_stream_that_waited_is_asked_again_after_a_handful():
    """Else one who has heard of all meanwhile takes what was true before for the end, with nothing in flight."""
    below, above, heard = SimpleNamespace(), SimpleNamespace(), []

    def pairs():
        yield from ((below, 1), (below, 2))
        while not heard:
            yield None
        yield above, 3

    stream = handfuls(pairs(), lambda: 8)
    assert next(stream) == [(below, 1), (below, 2)]
    heard.append(True)
    assert [*stream] == [[(above, 3)]]


def test_a_stream_that_waits_says_so():
    below = SimpleNamespace()
    assert [*handfuls([(below, 1), None, None, (below, 2)], lambda: 8)] == [[(below, 1)], None, [(below, 2)]]
