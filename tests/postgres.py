"""A PostgreSQL server for tests, which skip where there is none."""

import pytest

pytest.importorskip("psycopg")

from studies.benchmarks.overhead.postgres_server import NoServer, private_server


@pytest.fixture(scope="module")
def server():
    """One that runs, its database empty for each module."""
    try:
        with private_server() as running:
            yield running
    except NoServer as reason:
        pytest.skip(str(reason))
