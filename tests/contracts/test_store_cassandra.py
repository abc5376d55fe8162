"""The trail store in Cassandra keeps the contract."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ledger.app.engines import Cassandra
from tests.cassandra_stores import opened_store, shared_cluster
from tests.contracts.all_rows_contract import AllRowsContract, WholeStore
from tests.contracts.trail_store_contract import TrailStoreContract


class TestStoreCassandra(AllRowsContract, TrailStoreContract):
    @pytest.fixture(autouse=True)
    def _shared(self, one_cassandra: Cassandra) -> None:
        self.cluster = shared_cluster(one_cassandra)

    def open_store(self, folder: Path) -> AbstractAsyncContextManager[WholeStore]:
        """The same keyspace for all folders."""
        del folder
        return opened_store(self.cluster)
