"""OperatorService over gRPC: pages, refusals with their fields, jobs, and where it is served."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest

from ledger.app.operator.service import OPERATOR_SERVICE
from ledger.app.rpc import RpcServer
from ledger.app.settings import Settings
from ledger.app.wiring.operating import is_beside, operator_at
from ledger.errors import Refused
from ledger.quarantine.records import wire_position
from ledger.v1 import operator_service_pb2 as pb
from ledger.v1.operator_service_pb2_grpc import OperatorServiceStub
from ledger.v1.position_pb2 import Position
from ledger.v1.quarantine_pb2 import QuarantineReason
from tests.asking import failing
from tests.faults.known import known
from tests.folders import PARTITIONS, opened, operator_service, writer_of
from tests.quarantined import astray, bad_event, garbage, put
from tests.writing import caught_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ledger.backends.rocksdb_folder import Folder
    from ledger.v1.operator_service_pb2_grpc import OperatorServiceAsyncStub


class Open(NamedTuple):
    """A ledger with a writer, and its operator's door."""

    ledger: Folder
    stub: OperatorServiceAsyncStub
    positions: list[Position]
    """Of what is in quarantine: garbage, a bad event, and six records gone astray."""


@asynccontextmanager
async def operated(folder: Path) -> AsyncIterator[Open]:
    """Serve on a port of its own."""
    async with opened(folder) as ledger:
        bad = [garbage(0), bad_event(1), *(astray(number) for number in range(2, 8))]
        positions = [wire_position(await put(ledger.log, one)) for one in bad]
        service = operator_service(ledger)
        server = RpcServer(service.handlers, service_names=[OPERATOR_SERVICE])
        port = await server.start("127.0.0.1:0")
        running = [asyncio.create_task(w.run()) for w in (service, writer_of(ledger))]
        try:
            await caught_up(ledger)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Open(ledger, OperatorServiceStub(channel), positions)
        finally:
            await server.stop(0)
            for task in running:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*running)


class TestList:
    async def test_pages_are_the_list(self, tmp_path: Path) -> None:
        """Pages of any size are the whole list, and the last one alone has no token."""
        async with operated(tmp_path) as door:
            whole = await door.stub.ListQuarantined(pb.ListQuarantinedRequest())
            seen: list[pb.QuarantineItem] = []
            token = ""
            while True:
                page = await door.stub.ListQuarantined(
                    pb.ListQuarantinedRequest(page_size=3, page_token=token)
                )
                seen += page.items
                token = page.next_page_token
                if not token:
                    break

        assert seen == list(whole.items)
        assert whole.open_count == len(seen) == 8
        assert {str(item.position) for item in seen} == set(map(str, door.positions))
        assert not whole.next_page_token

    async def test_it_is_narrowed_by_state_reason_and_item(self, tmp_path: Path) -> None:
        """Each on its own; what nothing fits is an empty page."""
        async with operated(tmp_path) as door:

            async def count(**fields: object) -> int:
                request = pb.ListQuarantinedRequest(**fields)  # type: ignore[arg-type]
                return len((await door.stub.ListQuarantined(request)).items)

            number = known(1, partitions=PARTITIONS).key.decode()
            assert await count(reason=QuarantineReason.QUARANTINE_REASON_UNREADABLE) == 2
            assert await count(reason=QuarantineReason.QUARANTINE_REASON_WRONG_PARTITION) == 6
            assert await count(state=pb.QuarantineState.QUARANTINE_STATE_DROPPED) == 0
            assert await count(tracking_number=number.lower()) == 1

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"page_size": -1}, "page_size"),
            ({"page_token": "nonsense!"}, "page_token"),
            ({"page_token": "é"}, "page_token"),
            ({"tracking_number": " "}, "tracking_number"),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, tmp_path: Path, fields: dict[str, object], field: str
    ) -> None:
        """INVALID_ARGUMENT with the field."""
        async with operated(tmp_path) as door:
            with failing() as failures:
                await door.stub.ListQuarantined(
                    pb.ListQuarantinedRequest(**fields)  # type: ignore[arg-type]
                )

        assert (failures[0].code, failures[0].field) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            field,
        )

    async def test_a_token_belongs_to_its_request(self, tmp_path: Path) -> None:
        """With other fields it is refused."""
        async with operated(tmp_path) as door:
            page = await door.stub.ListQuarantined(pb.ListQuarantinedRequest(page_size=1))
            state = pb.QuarantineState.QUARANTINE_STATE_OPEN
            with failing() as failures:
                await door.stub.ListQuarantined(
                    pb.ListQuarantinedRequest(page_token=page.next_page_token, state=state)
                )

        assert failures[0].reason == "PAGE_TOKEN_REFUSED"


class TestOne:
    async def test_it_is_given_whole(self, tmp_path: Path) -> None:
        """Every byte of it, also of what nobody can read."""
        async with operated(tmp_path) as door:
            answer = await door.stub.GetQuarantined(
                pb.GetQuarantinedRequest(position=door.positions[0])
            )

        assert answer.record.value == garbage(0).value
        assert answer.record.value_bytes == len(garbage(0).value)
        assert answer.item.state == pb.QuarantineState.QUARANTINE_STATE_OPEN

    async def test_replay_and_drop_say_what_became_of_it(self, tmp_path: Path) -> None:
        """Replayed, it says where to; dropped, by whom and why; and what cannot be done is said."""
        async with operated(tmp_path) as door:
            bad, good = door.positions[1], door.positions[2]
            replayed = await door.stub.ReplayQuarantined(
                pb.ReplayQuarantinedRequest(position=good, by="ann")
            )
            with failing() as unfit:
                await door.stub.ReplayQuarantined(
                    pb.ReplayQuarantinedRequest(position=bad, by="ann")
                )
            dropped = await door.stub.DropQuarantined(
                pb.DropQuarantinedRequest(position=bad, by="ann", why="a test print")
            )
            with failing() as late:
                await door.stub.DropQuarantined(
                    pb.DropQuarantinedRequest(position=good, by="ann", why="x")
                )

        assert replayed.item.replayed_to.log == "scans"
        assert (dropped.item.note_by, dropped.item.note_why) == ("ann", "a test print")
        assert unfit[0].code is late[0].code is grpc.StatusCode.FAILED_PRECONDITION
        assert (unfit[0].reason, late[0].reason) == ("STILL_UNFIT", "ALREADY_REPLAYED")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"by": ""}, "by"),
            ({"by": "x" * 129}, "by"),
            ({"why": ""}, "why"),
            ({"why": "é" * 257}, "why"),
            ({"position": Position(log="receipts", generation=1)}, "position.log"),
            ({"position": Position(log="scans")}, "position"),
        ],
    )
    async def test_who_why_and_where_are_needed(
        self, tmp_path: Path, fields: dict[str, object], field: str
    ) -> None:
        """They are kept for ever, so they are asked for, within their limits."""
        async with operated(tmp_path) as door:
            given = {"position": door.positions[0], "by": "ann", "why": "so", **fields}
            with failing() as failures:
                await door.stub.DropQuarantined(
                    pb.DropQuarantinedRequest(**given)  # type: ignore[arg-type]
                )

        assert (failures[0].code, failures[0].field) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            field,
        )


async def test_a_job_replays_all_of_one_reason(tmp_path: Path) -> None:
    """With progress; what is still unfit is counted and stays open."""
    async with operated(tmp_path) as door:
        started = await door.stub.StartQuarantineReplay(pb.StartQuarantineReplayRequest(by="ann"))
        watch = door.stub.WatchJob(pb.WatchJobRequest(job_id=started.job.job_id))
        last = [update.job async for update in watch][-1]
        left = await door.stub.ListQuarantined(pb.ListQuarantinedRequest())
        listed = await door.stub.ListJobs(pb.ListJobsRequest())
        got = await door.stub.GetJob(pb.GetJobRequest(job_id=last.job_id))
        with failing() as failures:
            await door.stub.CancelJob(pb.CancelJobRequest(job_id="nobody's"))

    assert (last.state, last.done, last.total) == (pb.JobState.JOB_STATE_DONE, 8, 8)
    assert last.message == "6 replayed, 2 still unfit"
    assert left.open_count == 2
    assert list(listed.jobs) == [got.job] == [last]
    assert failures[0].reason == "NO_SUCH_JOB"


class TestAlias:
    async def test_two_numbers_are_one_item(self, tmp_path: Path) -> None:
        """The answer names all keys, and where the records lie; the same again appends nothing."""
        async with operated(tmp_path) as door:
            given = {"tracking_number": "rr1 2345", "by": "ann", "why": "relabelled"}
            request = pb.RecordAliasRequest(**given, other_tracking_number="TWO")
            said = await door.stub.RecordAlias(request)
            await caught_up(door.ledger)
            again = await door.stub.RecordAlias(request)
            third = pb.RecordAliasRequest(**given, other_tracking_number="THREE")
            more = await door.stub.RecordAlias(third)

        assert list(said.tracking_keys) == ["RR12345", "TWO"]
        assert [at.log for at in said.positions] == ["scans", "scans"]
        assert (list(again.tracking_keys), list(again.positions)) == (["RR12345", "TWO"], [])
        assert sorted(more.tracking_keys) == ["RR12345", "THREE", "TWO"]

    @pytest.mark.parametrize(
        ("fields", "field", "reason"),
        [
            ({"tracking_number": " "}, "tracking_number", "INVALID_NUMBER"),
            ({"other_tracking_number": ""}, "other_tracking_number", "INVALID_NUMBER"),
            ({"other_tracking_number": "o-ne"}, "other_tracking_number", "SAME_KEY"),
            ({"by": ""}, "by", "FIELD_INVALID"),
            ({"why": ""}, "why", "FIELD_INVALID"),
            ({"why": "é" * 257}, "why", "FIELD_INVALID"),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, tmp_path: Path, fields: dict[str, str], field: str, reason: str
    ) -> None:
        """INVALID_ARGUMENT with the field, and nothing is recorded."""
        good = {"tracking_number": "ONE", "other_tracking_number": "TWO", "by": "a", "why": "b"}
        async with operated(tmp_path) as door:
            with failing() as failures:
                await door.stub.RecordAlias(pb.RecordAliasRequest(**{**good, **fields}))
            first = await door.ledger.store.read(b"ONE", max_rows=1, max_bytes=1)

        assert (failures[0].code, failures[0].field, failures[0].reason) == (
            *(grpc.StatusCode.INVALID_ARGUMENT, field, reason),
        )
        assert not first.rows


class TestWhereItIsServed:
    @pytest.mark.parametrize("insecure", [False, True])
    @pytest.mark.parametrize("address", ["0.0.0.0:50736", "[::]:50736", "192.0.2.1:50736"])
    def test_never_where_others_reach_it(self, address: str, insecure: bool) -> None:
        """Whatever `insecure` says: there is nobody to ask who speaks."""
        with pytest.raises(Refused) as refused:
            Settings(operator_listen=address, insecure=insecure)

        assert refused.value.field == "operator_listen"

    async def test_the_server_itself_refuses_it_too(self, tmp_path: Path) -> None:
        """Also where no setting was asked."""
        async with operated(tmp_path) as door:
            handlers = operator_service(door.ledger).handlers
            with pytest.raises(Refused, match="others can reach"):
                async with operator_at("0.0.0.0:0", handlers):
                    pass

    def test_beside_other_services_only_on_loopback(self) -> None:
        """`up` on an address that others reach does not take it there; with an address of its own
        it is not beside them.
        """
        assert is_beside(Settings())
        assert not is_beside(Settings(listen="0.0.0.0:50731", insecure=True))
        assert not is_beside(Settings(operator_listen="127.0.0.1:0"))
