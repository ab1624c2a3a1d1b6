"""How many examples: ``TILECONV_PROFILE`` is quick (default), ci or long; ``TILECONV_SHARD=k/n`` keeps a part."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.shards import ALL, shard

EXAMPLES = {"quick": 30, "ci": 300, "long": 250}
"""Examples of a test; those of ``long`` are of one round, of which it makes ``ROUNDS``."""
ROUNDS = 20
BUDGET_S = 60
"""Processor time after which a test begins no further round: its examples cost between 0.2 ms and 1 s each."""

for name, examples in EXAMPLES.items():
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,
        database=None,  # nothing is written beside the tests
        derandomize=name != "long",  # the same examples every time, so that a failure is the change's own
        print_blob=name == "long",
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
PROFILE = os.environ.get("TILECONV_PROFILE", "quick")
settings.load_profile(PROFILE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this shard."""
    items[:] = shard(items, os.environ.get("TILECONV_SHARD", ALL))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Call a Hypothesis test once for every round but the last, which is pytest's own call."""
    if PROFILE != "long" or not is_hypothesis_test(pyfuncitem.obj):
        return
    words = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    ends, rounds = time.process_time() + BUDGET_S, 1
    while rounds < ROUNDS and time.process_time() < ends:
        pyfuncitem.obj(**words)
        rounds += 1
    pyfuncitem.user_properties.append(("rounds", rounds))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests the budget left with fewer examples than others, and how many these are."""
    passed = terminalreporter.stats.get("passed", [])
    rounds = {report.nodeid: n for report in passed for key, n in report.user_properties if key == "rounds"}
    for name, count in sorted(rounds.items()):
        if count < ROUNDS:
            terminalreporter.write_line(f"{count * EXAMPLES['long']:,} examples: {name}")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster of two workers, which tests of runs share."""
    from execute.cluster_help import running  # which imports distributed

    with running(tmp_path_factory.mktemp("cluster")) as made:
        yield made.address


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Any]]:
    """A function that does in this process, in *folder*, what a command does: its exit code, stdout and stderr."""
    from tileconv import cli

    def run(*words: object, folder: Path | None = None) -> tuple[int, str, str]:
        with monkeypatch.context() as patched:
            patched.chdir(folder or Path.cwd())
            patched.setattr(sys, "argv", ["tileconv", *map(str, words)])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function of what ``write_spec`` takes: the folder of a finished run as it was when it ended.

    The run is made once, and put back from a copy for whoever asks again, whatever was changed in its folder.
    """
    from execute.resume_help import write_spec

    import tileconv

    kept: dict[str, Path] = {}

    def put_back(stages: list[Any], **words: Any) -> Path:
        run = json.dumps([stages, words])
        if run not in kept:
            folder = tmp_path_factory.mktemp("finished") / "folder"
            folder.mkdir()
            tileconv.run(write_spec(folder, stages, **words))
            kept[run] = folder.rename(folder.with_name("kept"))
        folder = kept[run].with_name("folder")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept[run], folder)
        return folder

    return put_back
