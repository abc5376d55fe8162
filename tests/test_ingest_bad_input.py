"""Bad input over real gRPC: each gets its answer, nothing else is lost, and nothing breaks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from ingest.limits import MESSAGE_BYTES_MAX, IngestLimits
from ledger.event import BATCH_SCANS_MAX
from ledger.v1.ingest_service_pb2 import Heartbeat, Open, RefusalReason, SourceProgress
from ledger.v1.raw_pb2 import RawRecordScansRequest, RawScan
from tests.faulty_log import FaultyLog
from tests.ingest_server import (
    Caller,
    Served,
    details_of,
    durable,
    faulty_log,
    record_batch,
    records_of,
    serving,
)
from tests.ingest_traffic import a_batch, an_encoded_event
from tests.test_admission import KEPT, REFUSED

INVALID = grpc.StatusCode.INVALID_ARGUMENT
TOO_MUCH = grpc.StatusCode.RESOURCE_EXHAUSTED
GOOD = an_encoded_event(99)


def a_request(**message: object) -> bytes:
    """A request as bytes."""
    return RawRecordScansRequest(**message).SerializeToString()  # type: ignore[arg-type]


def a_second_batch(**changes: object) -> bytes:
    """A request with the second batch of a stream, with something changed."""
    return a_request(batch=a_batch([GOOD], **{"batch_number": 2, "first_sequence": 2, **changes}))


class Broken(NamedTuple):
    """A message behind a good batch, and the error that it is answered with."""

    name: str
    message: bytes
    reason: str
    field: str
    code: grpc.StatusCode = INVALID


BROKEN = [
    Broken("undecodable", b"\x12\xff", "MESSAGE_UNDECODABLE", ""),
    Broken(
        "source not UTF-8",
        a_second_batch(source_id="gate-0").replace(b"gate-0", b"gat\xe9-0"),
        "MESSAGE_UNDECODABLE",
        "",
    ),
    Broken("empty", b"", "MESSAGE_UNKNOWN", ""),
    Broken("unknown", b"\x7a\x00", "MESSAGE_UNKNOWN", ""),
    Broken("opened twice", a_request(open=Open(client="c", version="1")), "OPEN_TWICE", "open"),
    Broken("number 3", a_second_batch(batch_number=3), "BATCH_NUMBER", "batch.batch_number"),
    Broken("number 1", a_second_batch(batch_number=1), "BATCH_NUMBER", "batch.batch_number"),
    Broken("number 0", a_second_batch(batch_number=None), "BATCH_NUMBER", "batch.batch_number"),
    Broken("no source", a_second_batch(source_id=None), "SOURCE_REQUIRED", "batch.source_id"),
    Broken(
        "long source", a_second_batch(source_id="s" * 129), "SOURCE_TOO_LONG", "batch.source_id"
    ),
    Broken(
        "control character",
        a_second_batch(source_id="gate\x7f"),
        "SOURCE_MALFORMED",
        "batch.source_id",
    ),
    Broken("spool of 15", a_second_batch(spool_id=bytes(15)), "SPOOL_ID_LENGTH", "batch.spool_id"),
    Broken(
        "spool without numbers",
        a_second_batch(first_sequence=None),
        "SPOOL_ID_LENGTH",
        "batch.spool_id",
    ),
    Broken("no scan", a_second_batch(scans=None), "BATCH_SCANS", "batch.scans"),
    Broken(
        "2,001 scans",
        a_second_batch(scans=[RawScan(event=GOOD)] * (BATCH_SCANS_MAX + 1)),
        "BATCH_SCANS",
        "batch.scans",
    ),
    Broken(
        "sequence",
        a_second_batch(first_sequence=2**64 - 1),
        "SEQUENCE_OUT_OF_RANGE",
        "batch.first_sequence",
    ),
    Broken("no send time", a_second_batch(send_time=None), "SEND_TIME_REQUIRED", "batch.send_time"),
    Broken(
        "send time in 2200",
        a_second_batch(send_time={"seconds": 7_258_118_400}),
        "SEND_TIME_OUT_OF_RANGE",
        "batch.send_time",
    ),
    Broken(
        "over a mebibyte",
        a_second_batch(scans=[RawScan(event=bytes(8_000))] * 140),
        "BATCH_TOO_LARGE",
        "batch",
        TOO_MUCH,
    ),
    Broken(
        "heartbeat of 1,001",
        a_request(heartbeat=Heartbeat(sources=[SourceProgress(source_id="s")] * 1_001)),
        "TOO_MANY_SOURCES",
        "heartbeat.sources",
    ),
    Broken(
        "heartbeat without a spool",
        a_request(heartbeat=Heartbeat(sources=[SourceProgress(source_id="s")])),
        "SPOOL_ID_LENGTH",
        "heartbeat.sources[0].spool_id",
    ),
]

# A first message, and the field of its error.
BAD_OPENINGS: list[tuple[bytes, str]] = [
    (a_request(batch=a_batch([GOOD])), "open"),
    (a_request(heartbeat=Heartbeat()), "open"),
    (a_request(open=Open(version="1")), "open.client"),
    (a_request(open=Open(client="c")), "open.version"),
    (a_request(open=Open(client="c" * 129, version="1")), "open.client"),
    (
        a_request(open=Open(client="c", version="1", sources=[SourceProgress(spool_id=bytes(16))])),
        "open.sources[0].source_id",
    ),
]


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FaultyLog]:
    """An embedded log."""
    async with faulty_log(tmp_path) as log:
        yield log


@pytest.fixture
async def served(log: FaultyLog) -> AsyncIterator[Served]:
    """The door in, on that log."""
    async with serving(log) as door:
        yield door


class TestMessages:
    @pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
    async def test_a_broken_rule_ends_the_stream_in_order(
        self, served: Served, log: FaultyLog, broken: Broken
    ) -> None:
        """After the result of the batch before; nothing of the broken one is recorded, and the
        error says never to send it again: it has no RetryInfo.
        """
        caller = Caller(served.channel)
        await caller.open()
        await caller.send_batch(a_batch([an_encoded_event(1)]))
        await caller.call.write(broken.message)

        assert durable(await caller.result()) == [(0, 0)]
        error = await caller.error()
        assert error.code() is broken.code
        assert details_of(error) == (broken.reason, broken.field, False)
        assert error.details()
        assert len(await records_of(log)) == 1

    @pytest.mark.parametrize(("message", "field"), BAD_OPENINGS, ids=lambda case: str(case)[:20])
    async def test_a_bad_opening_is_refused(
        self, served: Served, message: bytes, field: str
    ) -> None:
        """The first message is `open`, and says who speaks."""
        caller = Caller(served.channel)
        await caller.call.write(message)
        error = await caller.error()

        assert error.code() is INVALID
        assert details_of(error)[1] == field

    async def test_too_many_sources_end_the_stream(self, log: FaultyLog) -> None:
        """What one stream can make the server remember is bounded."""
        limits = IngestLimits(sources_per_stream_max=2)
        async with serving(log, limits=limits) as served:
            caller = Caller(served.channel)
            opened = await caller.open()
            for number in (1, 2, 3):
                batch = a_batch([GOOD], batch_number=number, source_id=f"gate-{number}")
                await caller.send_batch(batch)
                if number < 3:
                    assert durable(await caller.result()) == [(0, 0)]
            error = await caller.error()

            assert opened.limits.stream_sources_max == 2
            assert details_of(error) == ("TOO_MANY_SOURCES", "batch.source_id", False)

    async def test_a_message_of_5_mib_is_too_large(self, served: Served, log: FaultyLog) -> None:
        """RESOURCE_EXHAUSTED without RetryInfo, on a stream and in a call; others are served."""
        batch = a_batch([], scans=[RawScan(event=bytes(5 << 20))])
        caller = Caller(served.channel)
        await caller.open()
        await caller.send_batch(batch)
        on_stream = await caller.error()
        with pytest.raises(grpc.aio.AioRpcError) as unary:
            await record_batch(served.channel, batch)

        assert batch.ByteSize() > MESSAGE_BYTES_MAX
        for error in (on_stream, unary.value):
            assert error.code() is TOO_MUCH
            metadata = error.trailing_metadata() or ()
            assert "grpc-status-details-bin" not in dict(metadata)
        assert durable((await record_batch(served.channel, a_batch([GOOD]))).result) == [(0, 0)]
        assert len(await records_of(log)) == 1


class TestScans:
    async def test_every_bad_scan_is_refused_among_good_ones(
        self, served: Served, log: FaultyLog
    ) -> None:
        """All bad scans of the admission's table in one batch, each behind a good one: each is
        refused with its field and reason, and every good one is recorded.
        """
        events = []
        for number, (changes, _, _) in enumerate(REFUSED):
            events += [an_encoded_event(number), an_encoded_event(number, **changes)]
        events += [an_encoded_event(1_000), GOOD.replace(b"DEFRAA", b"M\xfcnche")]
        expected = [
            (1 + 2 * number, f"event.{field}", f"REFUSAL_REASON_{reason}")
            for number, (_, field, reason) in enumerate(REFUSED)
        ]
        expected.append((len(events) - 1, "event", "REFUSAL_REASON_UNDECODABLE"))
        result = (await record_batch(served.channel, a_batch(events))).result

        assert [
            (refusal.index, refusal.field, RefusalReason.Name(refusal.reason))
            for refusal in result.refusals
        ] == expected
        assert durable(result) == [(index, index) for index in range(0, len(events), 2)]
        assert sorted(r.event for r in await records_of(log)) == sorted(events[::2])

    async def test_every_odd_scan_is_kept_to_the_byte(self, served: Served, log: FaultyLog) -> None:
        """1970 and 2100, unknown enum values, unknown fields before and behind the known ones."""
        events = [an_encoded_event(number, **changes) for number, changes in enumerate(KEPT)]
        events.append(b"\xc0\x3e\x07" + an_encoded_event(1_000) + b"\xfa\x3f\x03new")
        result = (await record_batch(served.channel, a_batch(events))).result

        assert durable(result) == [(0, len(events) - 1)]
        assert sorted(r.event for r in await records_of(log)) == sorted(events)
