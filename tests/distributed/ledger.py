"""A ledger of several processes on real engines, and what people and programs ask it."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import grpc

from ledger.app.client import open_channel
from ledger.app.exits import DONE
from ledger.v1.progress_service_pb2 import GetProgressRequest
from ledger.v1.progress_service_pb2_grpc import ProgressServiceStub
from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from loadtest.verify import MESSAGE_BYTES_MAX, Verdict, verify
from tests.roles import WITHIN_S, RoleProcess, point
from tests.shells import typed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ledger.app.engines import Cassandra, Kafka
    from ledger.v1.trail_service_pb2 import ListScanEventsResponse
    from loadtest.acknowledged import Acknowledged

PARTITIONS = 6


class Ledger:
    """Ingest, query and as many writers as are started, on topics and tables of their own."""

    def __init__(
        self,
        folder: Path,
        kafka: Kafka,
        cassandra: Cassandra,
        *,
        name: str,
        partitions: int = PARTITIONS,
    ) -> None:
        """`name` is that of the keyspace, and part of the topics' names."""
        self.config = point(
            folder,
            kafka,
            cassandra,
            kafka_topic_prefix=f"{name}-",
            cassandra_keyspace=name,
            partitions=partitions,
        )
        self._stack = ExitStack()
        made = typed("init", "--config", self.config)
        assert made.code == DONE, made
        self.ingest = self.start("ingest")
        self.query = self.start("query")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, role: str) -> RoleProcess:
        """Start a process, and wait until it is ready."""
        process = self._stack.enter_context(RoleProcess(role, self.config))
        process.wait_ready()
        return process

    def settled(self) -> int:
        """How many records are settled. Where the store is busy it asks again, as it is told to."""
        until_s = time.monotonic() + WITHIN_S
        with open_channel(self.query.address) as channel:
            stub = ProgressServiceStub(channel)
            while True:
                try:
                    answer = stub.GetProgress(GetProgressRequest(), timeout=20, wait_for_ready=True)
                except grpc.RpcError as error:
                    is_busy = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                    if not is_busy or time.monotonic() > until_s:
                        raise
                    time.sleep(0.5)
                else:
                    return sum(one.settled_index for one in answer.partitions)

    def wait_settled(self, records: int, *, within_s: float = WITHIN_S) -> None:
        """Wait until so many records are settled."""
        until_s = time.monotonic() + within_s
        while self.settled() < records:
            assert time.monotonic() < until_s, f"{self.settled()} of {records} are settled"
            time.sleep(0.1)

    def check(self, acknowledged: Sequence[Acknowledged]) -> Verdict:
        """See that trails show what was acknowledged, each once, and nothing else."""
        return check(verdict_of(self.query.address, acknowledged), acknowledged)


def verdict_of(address: str, acknowledged: Sequence[Acknowledged]) -> Verdict:
    """Compare what was acknowledged with what trails show at an address."""
    options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX)]
    with grpc.insecure_channel(address, options=options) as channel:
        return verify(channel, acknowledged)


def check(verdict: Verdict, acknowledged: Sequence[Acknowledged]) -> Verdict:
    """See that a verdict is good, and about all of it."""
    assert verdict.acknowledged == len(acknowledged) > 0
    assert verdict.good, verdict
    assert (verdict.conflicts, verdict.unacknowledged) == (0, 0), verdict
    return verdict


class Reading:
    """A partner who reads trails again and again while it is entered.

    Attributes:
        answers: how many came.
        errors: what else came; of whole trails also each answer without an entry of an earlier one.
    """

    def __init__(
        self, address: str, number: Callable[[], str | None], *, whole: bool = False
    ) -> None:
        """`number` gives the item to ask for, or None while there is none. `whole`: all of its
        trail, of which the process never shows less, since no node of the store ends.
        """
        self.answers = 0
        self.errors: list[str] = []
        self._address = address
        self._number = number
        self._whole = whole
        self._seen: dict[str, set[bytes]] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        with open_channel(self._address) as channel:
            stub = TrailServiceStub(channel)
            while not self._ends.wait(0.02):
                if (number := self._number()) is None:
                    continue
                request = ListScanEventsRequest(
                    tracking_number=number, page_size=1_000 if self._whole else 20
                )
                try:
                    answer = stub.ListScanEvents(request, timeout=20)
                except grpc.RpcError as error:
                    self.errors.append(str(error))
                else:
                    self.answers += 1
                    if self._whole:
                        self._look(number, answer)

    def _look(self, number: str, answer: ListScanEventsResponse) -> None:
        assert not answer.next_page_token, "longer than a page"
        shown = {one.position.SerializeToString(deterministic=True) for one in answer.entries}
        if gone := self._seen.get(number, set()) - shown:
            self.errors.append(f"{len(gone)} entries of {number} are gone")
        self._seen[number] = shown
