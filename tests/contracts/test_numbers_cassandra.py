"""Cassandra keeps the contract of number blocks."""

import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from ledger.app.engines import Cassandra
from ledger.backends.numbers_cassandra import open_cassandra_numbers
from ledger.issuing import NumberBlocks
from tests.cassandra_stores import shared_cluster
from tests.contracts.number_blocks_contract import NumberBlocksContract


class TestNumbersCassandra(NumberBlocksContract):
    @pytest.fixture(autouse=True)
    def _shared(self, one_cassandra: Cassandra) -> None:
        self.cluster = shared_cluster(one_cassandra)

    def open_blocks(self, folder: Path) -> AbstractAsyncContextManager[NumberBlocks]:
        """The same keyspace for all folders."""
        del folder
        return open_cassandra_numbers(self.cluster, monotonic=time.monotonic)
