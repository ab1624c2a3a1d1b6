"""EIO at the level of the C library, by chance and once for each call on each path: see ``eio.py``."""

import pytest
from faults import eio
from faults.faults_help import LONG

PATHS = ("input", "output", "record")
MANY = 100


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    """The compiled layer."""
    made = eio.build(tmp_path_factory.mktemp("layer"))
    if made is None:
        pytest.skip("no gcc")
    return made


def test_every_call_on_every_path_fails_once(layer, tmp_path):
    rows = [{"paths": "all", "rate": 0, "runs": len(eio.KINDS), "once": True, "seed": 0}]
    (row,) = eio.measure(layer, tmp_path, rows)
    assert row["ends"] == {"finished": row["runs"]}, row
    expected = set(eio.CALLS) - {"link"}  # every kind was made, failed, and was made again; there is no link
    assert set(row["calls"]) == expected


@pytest.mark.skipif(not LONG, reason="900 runs: TILECONV_PROFILE=long")
@pytest.mark.parametrize("paths", PATHS)
def test_by_chance(layer, tmp_path, paths):
    rows = [{"paths": paths, "rate": rate, "runs": MANY, "once": False, "seed": 1} for rate in (1, 5, 10)]
    for row in eio.measure(layer, tmp_path, rows):
        finished = row["ends"].get("finished", 0)
        assert finished >= (MANY if row["rate"] < 10 else 0.99 * MANY), row
        assert finished + row["ends"].get("resumable", 0) == MANY, row
        assert sum(row["calls"].values()) > 0.5 * row["rate"] / 100 * row["seen"]
