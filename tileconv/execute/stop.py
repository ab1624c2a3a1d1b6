"""Why no new tile begins: a signal, or a failure. The second SIGINT or SIGTERM ends the process at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tileconv import signals


class Stop(threading.Event):
    """Set when no new tile is to begin; ``signalled`` when the user wanted it, who is told ``words`` then."""

    signalled = False
    words = "stopping; Ctrl-C again ends at once"


@contextmanager
def on_signals(say: Callable[[str], object] = signals.say) -> Iterator[Stop]:
    """Yield a Stop that the first SIGINT or SIGTERM sets; elsewhere than in the main thread no signal sets it.

    The user is told by *say*, in the signal's handler.

    The journal is valid at any moment, so the second signal needs no care. Where the block is left without an
    exception the result stands, and no later signal changes how the command line ends.
    """
    stop = Stop()

    def on_signal(_number: int, _frame: object) -> None:
        if stop.signalled:
            signals.end(
                "ended at once, tiles that were being made are lost; the same command makes them and the others"
            )
        stop.signalled = True
        stop.set()
        say(stop.words)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    signals.stands(False)
    before = {number: signal.signal(number, on_signal) for number in signals.NUMBERS}
    try:
        yield stop
        signals.stands(True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
