"""The service that explains tracking numbers and issues them: `NumberService` of the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.errors import NotPossibleNow, Refused
from ledger.issuing import BlockRequest
from ledger.issuing.issuer import numbers_of
from ledger.issuing.spaces import space_named
from ledger.numbers import Check, Context, did_you_mean, explain, is_country_code
from ledger.numbers.formats import formats
from ledger.v1.number_service_pb2 import (
    CheckDigit,
    ExplainNumberRequest,
    ExplainNumberResponse,
    IssueNumberBlockRequest,
    IssueNumberBlockResponse,
    ListNumberRangesRequest,
    ListNumberRangesResponse,
    NumberCandidate,
    NumberRangeView,
    NumberSuggestion,
)
from query.carried import Carried
from query.methods import generic_handler
from query.requests import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import grpc

    from ledger.issuing import Issuer
    from ledger.issuing.issuer import Standing
    from ledger.numbers import Candidate
    from ledger.v1.number_block_pb2 import NumberBlock

NUMBER_SERVICE: Final = "ledger.v1.NumberService"
"""Full name of the service."""

TEXT_BYTES_MAX: Final = 512
MAILER_IDS_MAX: Final = 64
MAILER_ID_BYTES_MAX: Final = 32
LANE_MAX: Final = 8

CHECK_DIGITS: Final = {
    Check.RIGHT: CheckDigit.CHECK_DIGIT_RIGHT,
    Check.WRONG: CheckDigit.CHECK_DIGIT_WRONG,
    Check.NONE: CheckDigit.CHECK_DIGIT_NONE,
}
"""How each is said."""


class NumberService:
    """`ledger.v1.NumberService`: bytes of requests in, bytes of responses out."""

    def __init__(self, issuer: Issuer | None, *, monotonic: Callable[[], float]) -> None:
        """`issuer` is None where no numbers are issued; `monotonic` gives seconds."""
        self._issuer = issuer
        self._monotonic = monotonic
        self._carried: Carried[NumberBlock] = Carried()

    def handler(self) -> grpc.GenericRpcHandler:
        """Give the service to a gRPC server."""
        return generic_handler(
            NUMBER_SERVICE,
            unary={
                "ExplainNumber": self.ExplainNumber,
                "IssueNumberBlock": self.IssueNumberBlock,
                "ListNumberRanges": self.ListNumberRanges,
            },
            streams={},
            monotonic=self._monotonic,
        )

    async def ExplainNumber(self, data: bytes) -> bytes:
        """Explain one text."""
        request = parse(ExplainNumberRequest, data)
        if len(request.text.encode()) > TEXT_BYTES_MAX:
            raise _invalid("text", f"has more than {TEXT_BYTES_MAX} bytes")
        context = _context(request)
        found = explain(request.text, context)
        response = ExplainNumberResponse(
            candidates=map(_candidate, found.candidates),
            tracking_key=found.key,
            refused=found.refused,
            valid=found.is_valid,
            suggestions=[
                NumberSuggestion(
                    number=one.number,
                    change=one.change,
                    carrier=one.candidate.carrier,
                    format=one.candidate.format.id,
                )
                for one in did_you_mean(request.text, context)
            ],
        )
        return response.SerializeToString()

    async def IssueNumberBlock(self, data: bytes) -> bytes:
        """Issue a block."""
        request = parse(IssueNumberBlockRequest, data)
        issuer = self._here()
        wanted = BlockRequest(
            request_id=request.request_id,
            range_id=request.range_id,
            mailer=request.mailer,
            count=request.count,
        )
        # By all of the request: another one under the same id gets an answer of its own.
        name = request.SerializeToString(deterministic=True)
        block = await self._carried.carry(name, lambda: issuer.issue(wanted))
        response = IssueNumberBlockResponse(
            numbers=await numbers_of(block), range_id=block.range_id, mailer=block.mailer
        )
        response.issue_time.FromNanoseconds(block.time_ns)
        response.reuse_time.FromNanoseconds(block.time_ns + block.retention_ns)
        return response.SerializeToString()

    async def ListNumberRanges(self, data: bytes) -> bytes:
        """List the ranges."""
        parse(ListNumberRangesRequest, data)
        standing = await self._here().standing()
        return ListNumberRangesResponse(ranges=map(_view, standing)).SerializeToString()

    def _here(self) -> Issuer:
        if self._issuer is None:
            raise NotPossibleNow(
                "No numbers are issued here: the setting `number_ranges` names no file. "
                "docs/numbers.md says what stands in one.",
                reason="NO_NUMBER_RANGES",
            )
        return self._issuer


def _context(request: ExplainNumberRequest) -> Context:
    if request.partner and request.partner not in formats().carriers:
        known = ", ".join(sorted(formats().carriers))
        raise _invalid("partner", f"is no carrier known here; there are {known}")
    _check_each("mailer_ids", request.mailer_ids, MAILER_IDS_MAX, MAILER_ID_BYTES_MAX)
    _check_each("lane", request.lane, LANE_MAX, 2)
    if not all(map(is_country_code, request.lane)):
        raise _invalid("lane", "names countries by two letters each, such as US")
    return Context(
        mailer_ids=frozenset(request.mailer_ids),
        partner=request.partner,
        lane=tuple(country.upper() for country in request.lane),
    )


def _check_each(field: str, texts: Iterable[str], most: int, bytes_max: int) -> None:
    sizes = [len(text.encode()) for text in texts]
    if len(sizes) > most or not all(0 < size <= bytes_max for size in sizes):
        raise _invalid(field, f"has at most {most} texts of 1 to {bytes_max} bytes")


def _candidate(one: Candidate) -> NumberCandidate:
    return NumberCandidate(
        carrier=one.carrier,
        format=one.format.id,
        number=one.number,
        check_digit=CHECK_DIGITS[one.check],
        valid=one.is_valid,
        service=one.service,
        issuer=one.issuer.code if one.issuer else "",
        destination_zip=one.zip,
        mailer_id=one.parts.get("mailer_id", ""),
        serial=one.parts.get("serial", ""),
        doubts=one.doubts,
        known_by=one.known_by,
    )


def _view(one: Standing) -> NumberRangeView:
    space = space_named(one.range.space)
    view = NumberRangeView(
        range_id=one.range.id,
        first_number=space.number(one.range.first),
        last_number=space.number(one.range.last),
        size=one.range.size,
        taken=one.taken,
        left=one.room.left,
    )
    if one.room.free_ns is not None:
        view.free_time.FromNanoseconds(one.room.free_ns)
    return view


def _invalid(field: str, what: str) -> Refused:
    return Refused(f"`{field}` {what}.", reason="FIELD_INVALID", field=field)
