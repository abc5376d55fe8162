"""`NumberService` over gRPC: what a number could be, and blocks of new ones."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from ledger.issuing import Issuer
from ledger.numbers import Check, explain
from ledger.v1.number_service_pb2 import (
    CheckDigit,
    ExplainNumberRequest,
    IssueNumberBlockRequest,
    IssueNumberBlockResponse,
    ListNumberRangesRequest,
)
from ledger.v1.number_service_pb2_grpc import NumberServiceStub
from tests.asking import failing, served
from tests.folders import opened
from tests.number_blocks import DAY_NS, NOW_NS, RETENTION_NS, ranges_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ledger.v1.number_service_pb2_grpc import NumberServiceAsyncStub

FILE = """
[[range]]
id = "rr"
format = "s10"
service = "RR"
issuer = "GB"
first = 1
last = 20
mailers = ["acme", "bolt"]

[[range]]
id = "parcels"
format = "impb"
identifier = "92"
service = "055"
mailer_id = "912345678"

[[range]]
id = "pallets"
format = "sscc"
extension = "3"
company_prefix = "4043429"
first = 7
reuse_months = 12
"""


@asynccontextmanager
async def numbers_at(folder: Path, text: str = FILE) -> AsyncIterator[NumberServiceAsyncStub]:
    """Serve a folder with these ranges, at a clock that stands."""
    async with opened(folder) as ledger:
        issuer = Issuer(ledger.numbers, ranges_of(text), now_ns=lambda: NOW_NS) if text else None
        async with (
            served(ledger.store, {1: 4}, issuer=issuer) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            yield NumberServiceStub(channel)


def wanted(
    range_id: str = "rr", count: int = 3, request_id: bytes | None = None, mailer: str = "acme"
) -> IssueNumberBlockRequest:
    """A request with an id of its own."""
    return IssueNumberBlockRequest(
        request_id=os.urandom(16) if request_id is None else request_id,
        range_id=range_id,
        mailer=mailer,
        count=count,
    )


async def test_blocks_have_right_check_digits(tmp_path: Path) -> None:
    """Numbers of each format are what their range says, follow one another, and are valid."""
    async with numbers_at(tmp_path) as stub:
        s10 = await stub.IssueNumberBlock(wanted("rr", 2))
        impb = await stub.IssueNumberBlock(wanted("parcels", 2))
        sscc = await stub.IssueNumberBlock(wanted("pallets", 2))
        more = await stub.IssueNumberBlock(wanted("rr", 2, mailer="bolt"))

    assert list(s10.numbers) == ["RR000000014GB", "RR000000028GB"]
    assert list(impb.numbers) == ["9205591234567800000004", "9205591234567800000011"]
    assert [number[:-1] for number in sscc.numbers] == ["34043429000000007", "34043429000000008"]
    assert [number[:-2][:10] for number in more.numbers] == ["RR00000003", "RR00000004"]
    for number in [*s10.numbers, *impb.numbers, *sscc.numbers, *more.numbers]:
        found = explain(number)
        assert found.candidates[0].check is Check.RIGHT
        assert found.candidates[0].is_valid
        assert found.key == number
    assert (s10.range_id, s10.mailer) == ("rr", "acme")
    assert s10.issue_time.ToNanoseconds() == NOW_NS
    assert s10.reuse_time.ToNanoseconds() == NOW_NS + RETENTION_NS
    assert sscc.reuse_time.ToNanoseconds() == NOW_NS + RETENTION_NS // 2


async def test_a_retry_gets_the_same_numbers(tmp_path: Path) -> None:
    """The same request again gives the same answer, after a restart too; another id others."""
    request = wanted()
    async with numbers_at(tmp_path) as stub:
        first = await stub.IssueNumberBlock(request)
        other = await stub.IssueNumberBlock(wanted())
        again = await stub.IssueNumberBlock(request)
    async with numbers_at(tmp_path) as stub:
        later = await stub.IssueNumberBlock(request)
        with failing() as failures:
            await stub.IssueNumberBlock(wanted(count=4, request_id=request.request_id))

    assert first == again == later
    assert not set(first.numbers) & set(other.numbers)
    assert (failures[0].code, failures[0].reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "REQUEST_ID_USED",
    )


async def test_the_largest_block_is_one_answer(tmp_path: Path) -> None:
    """10,000 numbers come at once."""
    async with numbers_at(tmp_path) as stub:
        block: IssueNumberBlockResponse = await stub.IssueNumberBlock(wanted("parcels", 10_000))

    assert len(set(block.numbers)) == 10_000
    assert block.ByteSize() < 1 << 20


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (wanted(request_id=b""), "FIELD_INVALID", "request_id"),
        (wanted(request_id=b"x" * 15), "FIELD_INVALID", "request_id"),
        (wanted(""), "FIELD_INVALID", "range_id"),
        (wanted("x" * 65), "FIELD_INVALID", "range_id"),
        (wanted(mailer=" "), "FIELD_INVALID", "mailer"),
        (wanted(mailer="x" * 129), "FIELD_INVALID", "mailer"),
        (wanted(count=0), "FIELD_INVALID", "count"),
        (wanted(count=10_001), "FIELD_INVALID", "count"),
        (wanted("nobody's"), "NO_SUCH_RANGE", "range_id"),
        (wanted(mailer="carl"), "MAILER_NOT_ALLOWED", "mailer"),
        (wanted(count=21), "NUMBERS_USED_UP", "count"),
    ],
)
async def test_what_is_refused(
    tmp_path: Path, request_: IssueNumberBlockRequest, reason: str, field: str
) -> None:
    """Each refusal names the field, and costs no numbers."""
    async with numbers_at(tmp_path) as stub:
        with failing() as failures:
            await stub.IssueNumberBlock(request_)
        listed = await stub.ListNumberRanges(ListNumberRangesRequest())

    code = "INVALID_ARGUMENT" if reason == "FIELD_INVALID" else "FAILED_PRECONDITION"
    assert failures[0][:3] == (grpc.StatusCode[code], reason, field)
    assert [one.taken for one in listed.ranges] == [0, 0, 0]


async def test_ranges_say_what_is_left(tmp_path: Path) -> None:
    """By name, with their first and last numbers, and when more become free; what is used up says
    how many there are.
    """
    async with numbers_at(tmp_path) as stub:
        await stub.IssueNumberBlock(wanted(count=18))
        with failing() as failures:
            await stub.IssueNumberBlock(wanted(count=3))
        listed = await stub.ListNumberRanges(ListNumberRangesRequest())

    assert [one.range_id for one in listed.ranges] == ["pallets", "parcels", "rr"]
    rr = listed.ranges[2]
    assert (rr.first_number, rr.last_number) == ("RR000000014GB", "RR000000204GB")
    assert (rr.size, rr.taken, rr.left) == (20, 18, 2)
    assert rr.free_time.ToNanoseconds() == NOW_NS + RETENTION_NS
    assert not listed.ranges[0].HasField("free_time")
    assert failures[0].metadata["left"] == "2"
    assert RETENTION_NS == 24 * 31 * DAY_NS


async def test_without_ranges_none_are_issued(tmp_path: Path) -> None:
    """Issuing is off by default; explaining is not."""
    async with numbers_at(tmp_path, "") as stub:
        found = await stub.ExplainNumber(ExplainNumberRequest(text="RR473124829GB"))
        for call in (
            stub.IssueNumberBlock(wanted()),
            stub.ListNumberRanges(ListNumberRangesRequest()),
        ):
            with failing() as failures:
                await call
            assert failures[0].reason == "NO_NUMBER_RANGES"

    assert found.valid


async def test_a_number_is_explained(tmp_path: Path) -> None:
    """Candidates come with their evidence, a wrong one with what was meant, and a text that can be
    no number with why.
    """
    async with numbers_at(tmp_path) as stub:
        routed = await stub.ExplainNumber(
            ExplainNumberRequest(
                text="420 78745 9400111206206406260787", mailer_ids=["112062"], partner="usps"
            )
        )
        slip = await stub.ExplainNumber(ExplainNumberRequest(text="RR471324829GB"))
        none = await stub.ExplainNumber(ExplainNumberRequest(text="---"))
        for bad in (
            ExplainNumberRequest(text="x" * 513),
            ExplainNumberRequest(text="1", partner="nobody"),
            ExplainNumberRequest(text="1", mailer_ids=["1"] * 65),
            ExplainNumberRequest(text="1", lane=["USA"]),
            ExplainNumberRequest(text="1", lane=["US", "D"]),
            ExplainNumberRequest(text="1", lane=["4Z"]),
        ):
            with failing() as failures:
                await stub.ExplainNumber(bad)
            assert failures[0].reason == "FIELD_INVALID"

    best = routed.candidates[0]
    assert (best.carrier, best.format, best.number) == (
        "usps",
        "usps-impb-94",
        "9400111206206406260787",
    )
    assert best.check_digit == CheckDigit.CHECK_DIGIT_RIGHT
    assert (best.destination_zip, best.mailer_id, best.serial) == ("78745", "112062", "0640626078")
    assert len(best.known_by) == 2
    assert routed.tracking_key == "9400111206206406260787"
    assert not slip.valid
    assert "RR473124829GB" in [one.number for one in slip.suggestions]
    assert none.refused
    assert not none.candidates
