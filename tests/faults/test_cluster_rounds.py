"""What happens to a cluster: the run or the same command given again ends in the same bytes."""

import pytest
from faults.cluster_rounds import play
from faults.cluster_scenarios import SCENARIOS, workers_killed
from faults.faults_help import LONG

QUICK = (workers_killed,)
"""One that waits for nobody, with one worker, whose process takes seconds to begin.

The others take the limits of ``execute.crew`` and ``execute.flight`` in earnest.
"""


@pytest.mark.parametrize("scenario", SCENARIOS if LONG else QUICK, ids=lambda one: one.__name__)
def test_the_same_bytes(tmp_path, scenario):
    this, same = play(scenario, tmp_path, *(1000, 2) if LONG else (60, 1))
    assert this.codes[-1] == 0
    assert same
