"""Results stay what they are: every file of the golden pipelines has the digest that was recorded.

Where a change is meant to change them: ``python -m tests.golden --renew``, and read the difference.
"""

import pytest

from tests.golden.corpus import CORPUS
from tests.golden.digests import differences, digests, environment, recorded

RECORDED = recorded()
ELSEWHERE = differences(RECORDED["environment"], environment())


@pytest.mark.skipif(bool(ELSEWHERE), reason=f"recorded in another environment: {'; '.join(ELSEWHERE)}")
@pytest.mark.parametrize("name", CORPUS)
def test_no_byte_changes(name, tmp_path):
    assert differences(RECORDED["digests"][name], digests(name, tmp_path)) == []


def test_all_that_is_recorded_is_made():
    assert [*RECORDED["digests"]] == [*CORPUS]
