"""The long profile in parts: everything in exactly one shard, and examples in rounds within a budget."""

import sys
from types import ModuleType, SimpleNamespace

import conftest
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import loop
from tests.shards import shard


@given(st.integers(0, 50), st.integers(1, 12))
def test_everything_is_in_exactly_one_shard(things, shards):
    parts = [shard(range(things), f"{k}/{shards}") for k in range(1, shards + 1)]
    assert sorted(thing for part in parts for thing in part) == list(range(things))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["", "0/8", "9/8", "3", "1/0", "-1/8", "1/8 ", "3/8/1", "one/two"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(SystemExit, match="expected SHARD=k/n"):
        shard([1], text)


def test_pytest_keeps_the_tests_of_its_shard(monkeypatch):
    monkeypatch.setenv("TILECONV_SHARD", "2/3")
    items = list("abcde")
    conftest.pytest_collection_modifyitems(items)
    assert items == ["b", "e"]


def test_a_fuzzer_checks_every_input_in_exactly_one_shard(tmp_path, monkeypatch, capfd):
    seen = []
    target = ModuleType("noting_target")
    target.make = lambda rng: rng.randbytes(8)
    target.check = seen.append
    monkeypatch.setitem(sys.modules, "noting_target", target)
    words = ["--inputs", "10", "--offenders", str(tmp_path)]
    assert loop.main("noting_target", ".bin", words) == 0
    whole = sorted(seen)
    seen.clear()
    for number in (1, 2, 3):
        assert loop.main("noting_target", ".bin", [*words, "--shard", f"{number}/3"]) == 0
    assert len(set(whole)) == 10
    assert sorted(seen) == whole
    assert "noting_target: 3 inputs from seed 0" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("profile", "budget", "rounds"), [("long", 60, conftest.ROUNDS), ("long", 0, 1), ("ci", 60, 1)]
)
def test_rounds_of_examples_within_a_budget(monkeypatch, profile, budget, rounds):
    """The hook makes all rounds but the last, which is pytest's own."""
    monkeypatch.setattr(conftest, "PROFILE", profile)
    monkeypatch.setattr(conftest, "BUDGET_S", budget)
    called = []

    @given(st.none())
    def test(number, nothing):
        called.append(number)

    fixtures = SimpleNamespace(argnames=["number"])
    item = SimpleNamespace(obj=test, funcargs={"number": 5, "other": 6}, _fixtureinfo=fixtures, user_properties=[])
    conftest.pytest_pyfunc_call(item)
    assert called == [5] * (rounds - 1)
    assert item.user_properties == ([("rounds", rounds)] if profile == "long" else [])
