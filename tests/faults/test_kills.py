"""SIGKILL at random moments until the run is done: the bytes of an undisturbed run, no litter, nothing made twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

from execute.resume_help import TWO, write_spec
from faults.faults_help import LONG

import tileconv
from tileconv.execute.local import AHEAD, TILES

ROUNDS = 200 if LONG else 3
WORKERS = 2


def test_random_kills(tmp_path):
    write_spec(tmp_path, TWO)
    tests = Path(__file__).parent.parent
    command = [sys.executable, "-m", "faults.kill_rounds", tmp_path, str(ROUNDS), "1"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert made.returncode == 0, made.stderr
    clean, *rounds = map(json.loads, made.stdout.splitlines())
    assert len(rounds) == ROUNDS
    for found in rounds:
        assert found["codes"] == [0], made.stderr
        assert found["digest"] == clean["digest"]
        assert found["litter"] == []
        assert found["attempts"] == 1  # no tile of the journal was made again
        assert max(found["flying"], default=0) <= AHEAD * WORKERS * TILES  # what was stored and not in the journal
    kills = sum(found["kills"] for found in rounds)
    assert kills >= 2 * ROUNDS
    report = tileconv.run(tmp_path / "p.yaml")  # a complete run started again
    assert (report.tiles, report.kept) == (0, clean["tiles"])
