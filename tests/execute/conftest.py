"""What tests of runs share."""

import pytest
from execute.cluster_help import running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The address of a cluster of two workers."""
    with running(tmp_path_factory.mktemp("cluster")) as made:
        yield made.address
