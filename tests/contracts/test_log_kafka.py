"""The logs in Kafka keep the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ledger.app.engines import Kafka
from ledger.position import REFUSALS_LOG, SCANS_LOG
from ledger.scan_log import ScanLog
from tests.contracts.scan_log_contract import ScanLogContract
from tests.kafka_logs import cluster_of, opened_on


class TestLogKafka(ScanLogContract):
    name = SCANS_LOG

    @pytest.fixture(autouse=True)
    def _kafka(self, one_kafka: Kafka) -> None:
        self.bootstrap = one_kafka.bootstrap

    @asynccontextmanager
    async def open_log(self, folder: Path) -> AsyncIterator[ScanLog]:
        """Topics of its own."""
        async with opened_on(cluster_of(self.bootstrap, folder), name=self.name) as log:
            yield log


class TestAnotherLogKafka(TestLogKafka):
    name = REFUSALS_LOG  # The one with the largest records.
