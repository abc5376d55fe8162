"""A rebuilding on real engines, under load: who runs it is killed in the middle, another writer
goes on with it, and readers notice nothing.
"""

from __future__ import annotations

import json
import signal
import time
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.app.client import open_channel
from ledger.app.exits import DONE
from ledger.v1.operator_service_pb2 import (
    GetJobRequest,
    Job,
    JobState,
    ListStoreGenerationsRequest,
    StartRebuildRequest,
)
from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub
from ledger.v1.rebuild_pb2 import StoreGenerationState
from ledger.v1.trail_service_pb2 import ListScanEventsRequest
from ledger.v1.trail_service_pb2_grpc import TrailServiceStub
from tests.distributed.ledger import Ledger, Reading
from tests.distributed.load import Load
from tests.roles import WITHIN_S, RoleProcess
from tests.shells import free_address, typed
from tests.trails import timestamp

if TYPE_CHECKING:
    from ledger.app.engines import Cassandra, Kafka

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

BUILDING = StoreGenerationState.STORE_GENERATION_STATE_BUILDING
PAGE = 5
READ_TRAILS = 20


class Pages:
    """Who reads one trail page by page, now and as of a time."""

    def __init__(self, address: str, number: str) -> None:
        self._address = address
        self._number = number
        self.tokens: list[str] = []

    def page(self, token: str = "", as_of_ns: int = 0, size: int = PAGE) -> list[str]:
        """Give the entries of a page, and note the token of the next."""
        request = ListScanEventsRequest(
            tracking_number=self._number, page_size=size, page_token=token
        )
        if as_of_ns:
            request.as_of_time.CopyFrom(timestamp(as_of_ns))
        with open_channel(self._address) as channel:
            answer = TrailServiceStub(channel).ListScanEvents(request, timeout=20)
        self.tokens.append(answer.next_page_token)
        return [f"{each.position.partition}/{each.position.index}" for each in answer.entries]

    def past(self) -> int:
        """Give a time of which the ledger already knows what it knew."""
        now_ns, until_s = time.time_ns(), time.monotonic() + WITHIN_S
        while True:
            try:
                self.page(as_of_ns=now_ns)
            except grpc.RpcError:
                assert time.monotonic() < until_s, "no entry of the history came"
                time.sleep(0.2)
            else:
                self.tokens.pop()
                return now_ns


def generations(operator: str) -> dict[int, str]:
    """What `rebuild list` says."""
    said = typed("rebuild", "list", "--json", "--server", operator)
    assert said.code == DONE, said
    return {
        one["store_generation"]: one["state"].removeprefix("STORE_GENERATION_STATE_")
        for one in json.loads(said.answer)["generations"]
    }


def begin_and_die(operator: str, writer: RoleProcess, *, brings: bool) -> None:
    """Start a rebuilding, and kill who runs it: as soon as the new generation is begun, which not
    everybody knows yet; or when something was brought to it, which has not settled yet.
    """
    with open_channel(operator) as channel:
        stub = OperatorServiceStub(channel)
        job = stub.StartRebuild(StartRebuildRequest(), timeout=20, wait_for_ready=True).job

        def begun() -> bool:
            listed = stub.ListStoreGenerations(ListStoreGenerationsRequest(), timeout=20)
            return any(one.state == BUILDING for one in listed.generations)

        def brought() -> bool:
            now = stub.GetJob(GetJobRequest(job_id=job.job_id), timeout=20).job
            return now.message.startswith("brings")

        writer.wait(brought if brings else begun, "moment to kill it")
        writer.end(signal.SIGKILL)


def rebuilt(operator: str) -> Job:
    """Rebuild, and wait: also until the dead one's partitions are shared out, and settled."""
    until_s = time.monotonic() + 4 * WITHIN_S
    with open_channel(operator) as channel:
        stub = OperatorServiceStub(channel)
        job = stub.StartRebuild(StartRebuildRequest(), timeout=20).job
        while job.state in {JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING}:
            assert time.monotonic() < until_s, job
            time.sleep(0.2)
            job = stub.GetJob(GetJobRequest(job_id=job.job_id), timeout=20).job
    return job


@pytest.mark.parametrize("brings", [False, True], ids=["begun", "brought"])
def test_rebuilt_under_load(
    tmp_path_factory: pytest.TempPathFactory,
    one_kafka: Kafka,
    one_cassandra: Cassandra,
    brings: bool,
) -> None:
    """Two writers, one of them killed while its rebuilding is under way: the other goes on with it.
    Nothing is lost or doubled, reads through two processes never fail and never show less than
    before, page tokens and past answers from before the change go on behind it; then the old
    generation is dropped.
    """
    operators, name = [free_address(), free_address()], f"rebuild_{brings:d}"
    folder = tmp_path_factory.mktemp(name)
    with (
        Ledger(folder, one_kafka, one_cassandra, name=name) as ledger,
        RoleProcess("writer", ledger.config, "--operator-listen", operators[0]) as dies,
        RoleProcess("writer", ledger.config, "--operator-listen", operators[1]) as lives,
    ):
        dies.wait_ready()
        lives.wait_ready()
        second = ledger.start("query")
        with Load(ledger.ingest.address, scans_per_s=400) as load:
            load.wait_for(4_000)
            ledger.wait_settled(3_000)
            number = load.said.acknowledged[0].tracking_number
            pages = Pages(ledger.query.address, number)
            past_ns = pages.past()
            before = [pages.page(), pages.page(as_of_ns=past_ns)]
            now_token, past_token = pages.tokens
            whole_past = pages.page(as_of_ns=past_ns, size=500)
            pinned = pages.page(now_token)
            others = load.said.acknowledged[:: len(load.said.acknowledged) // READ_TRAILS]
            numbers = [cycle(one.tracking_number for one in others) for _ in range(2)]
            with (
                Reading(ledger.query.address, partial(next, numbers[0]), whole=True) as one,
                Reading(second.address, partial(next, numbers[1]), whole=True) as other,
            ):
                begin_and_die(operators[0], dies, brings=brings)
                left = generations(operators[1])
                job = rebuilt(operators[1])
                listed = generations(operators[1])
                after = [pages.page(now_token), pages.page(past_token, as_of_ns=past_ns)]
                again = [pages.page(as_of_ns=past_ns), pages.page(as_of_ns=past_ns, size=500)]
                load.wait_for_more(400)
                dropped = typed("rebuild", "drop", "1", "--server", operators[1])
                load.wait_for_more(400)
                assert pages.page(now_token) == pinned
        ledger.wait_settled(len(load.said.acknowledged))
        ledger.check(load.said.acknowledged)
        same = typed("compare", "--json", "--server", operators[1])
        last = generations(operators[1])
        late = ledger.start("query")
        assert Pages(late.address, number).page() == before[0]

    assert left == {1: "SERVING", 2: "BUILDING"}
    assert job.state == JobState.JOB_STATE_DONE, job
    assert (job.rebuild.store_generation, job.rebuild.previous_store_generation) == (2, 1)
    assert job.rebuild.records >= (0 if brings else 3_000)
    assert listed == {1: "KEPT", 2: "SERVING"}
    assert all(map(len, (*before, pinned, whole_past)))
    assert after == [pinned, whole_past[PAGE : 2 * PAGE]]
    assert again == [before[1], whole_past]
    assert dropped.code == DONE, dropped
    assert last == {2: "SERVING"}
    for reads in (one, other):
        assert (reads.errors, reads.answers > 50) == ([], True)
    assert same.code == DONE, same
    assert int(json.loads(same.answer)["comparison"]["records"]) >= len(load.said.acknowledged)
