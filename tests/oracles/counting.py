"""Wrappers that write down what is asked of them and otherwise change nothing."""

import threading
from collections.abc import Callable


class CountingSource:
    """A source that keeps every box read from it in ``boxes``; picklable for as long as the source is."""

    def __init__(self, source):
        self.source, self.boxes = source, []

    def read(self, box, *reads, **named):
        """Read *box*; list.append is atomic, so threads may share the source."""
        self.boxes.append(box)
        return self.source.read(box, *reads, **named)

    @property
    def pixels(self) -> int:
        """Pixels read so far, those read twice counted twice."""
        return sum(box.size for box in self.boxes)

    def __getattr__(self, name):
        if name == "source":  # not yet unpickled
            raise AttributeError(name)
        return getattr(self.source, name)


class CountingCall:
    """A function that keeps the arguments of every call in ``calls`` and the most calls at one time in ``peak``."""

    def __init__(self, function: Callable):
        self.function, self.calls, self.peak = function, [], 0
        self._running, self._lock = 0, threading.Lock()

    def __call__(self, *args, **kwargs):
        with self._lock:
            self.calls.append((args, kwargs))
            self._running += 1
            self.peak = max(self.peak, self._running)
        try:
            return self.function(*args, **kwargs)
        finally:
            with self._lock:
                self._running -= 1
