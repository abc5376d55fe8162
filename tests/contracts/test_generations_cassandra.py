"""The generations of the store in Cassandra keep the contract."""

from contextlib import AbstractAsyncContextManager
from functools import cache
from pathlib import Path

import pytest

from ledger.app.engines import Cassandra
from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.cassandra_schema import create_schema
from ledger.backends.store_cassandra import CassandraTrailStore
from tests.cassandra_stores import QUICK, cluster_of, in_thread, opened_store
from tests.contracts.generations_contract import GenerationsContract


@cache
def own_cluster(cassandra: Cassandra) -> CassandraCluster:
    """A keyspace whose generations change."""
    cluster = cluster_of(cassandra)
    in_thread(lambda: create_schema(cluster, generation=1))
    return cluster


class TestGenerationsCassandra(GenerationsContract):
    @pytest.fixture(autouse=True)
    def _own(self, one_cassandra: Cassandra) -> None:
        self.cluster = own_cluster(one_cassandra)

    def open_store(self, folder: Path) -> AbstractAsyncContextManager[CassandraTrailStore]:
        """The same keyspace for all folders."""
        del folder
        return opened_store(self.cluster, looks=QUICK)
