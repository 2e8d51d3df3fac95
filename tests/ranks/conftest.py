"""Two processes of one group, for all tests of this folder."""

import pytest
from rank_processes import Ranks


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    ranks = Ranks(2, tmp_path_factory.mktemp("ranks") / "store")
    yield ranks
    ranks.close()
