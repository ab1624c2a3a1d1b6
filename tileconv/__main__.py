"""``tileconv`` and ``python -m tileconv``: signals, streams and limits first, and all else after them."""

import gc

from tileconv import signals

RARELY = 300_000
"""New objects between two searches for garbage: imports make 200,000, none of it garbage (docs/performance.md)."""
LEAST_MIB = 640
"""Addresses that a process needs. Measured: with 480 MiB first runs end well (a tile of 0.8 Mpx, direct and FFT);
with 440 and less, libraries end in tracebacks, abort, or wait for ever and hold Python's lock (LLVM, OpenBLAS)."""


def main() -> None:
    """Run the command line in this process, whose end is one message and one exit code whatever comes."""
    signals.take()
    gc.set_threshold(RARELY)
    from tileconv import streams

    streams.open_all()
    try:
        _refuse_windows()
        _refuse_few_addresses()
        from tileconv import cli

        cli.main()
    except SystemExit as end:
        signals.ignore()
        _leave(end.code)
        raise
    finally:
        signals.ignore()


def _leave(code: object) -> None:
    """End the process at once where nothing is left to be done: all that is imported would be taken apart first.

    Other threads and processes, and whoever measures this one, are waited for as ever.
    """
    import os
    import sys
    import threading

    asked = sys.gettrace() or sys.getprofile() or sys.flags.interactive
    if asked or threading.active_count() > 1 or not sys.modules.keys().isdisjoint({"distributed", "multiprocessing"}):
        return
    if code is None or isinstance(code, int):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


def _refuse_windows() -> None:
    import sys

    if sys.platform == "win32":
        from tileconv.errors import NOT_WINDOWS

        sys.stderr.write(f"error: {NOT_WINDOWS}.\n")
        raise SystemExit(2)


def _refuse_few_addresses() -> None:
    import resource
    import sys

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_MIB * 2**20:
        found = f"the address space is limited to {limit >> 20} MiB (ulimit -v), and tileconv needs {LEAST_MIB} MiB"
        sys.stderr.write(f"error: {found} or more. Raise that limit.\n")
        raise SystemExit(2)


if __name__ == "__main__":
    main()
