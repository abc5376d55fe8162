"""What a request of the operator may say: positions, names, page tokens. Raises Refused."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from typing import Final, TypeAlias

from ledger.errors import Refused
from ledger.position import SCANS_LOG
from ledger.quarantine.records import packed_position
from ledger.v1.operator_service_pb2 import (
    ListCompletenessFindingsRequest,
    ListQuarantinedRequest,
    ListRefusalsRequest,
)
from ledger.v1.position_pb2 import Position

PAGE_ITEMS: Final = 100
"""Items in a page where the request does not say."""

PAGE_ITEMS_MAX: Final = 1_000
"""Most items in a page: some 500 KB."""

BY_BYTES_MAX: Final = 128
WHY_BYTES_MAX: Final = 512

DIGEST_BYTES: Final = 16
"""Bytes of the request's digest, with which a page token begins."""

_RANK: Final = struct.Struct(">qq")

Rank = tuple[int, int]
"""Of an item in quarantine: time and position. Of a refused scan: partition and index."""

Listing: TypeAlias = ListQuarantinedRequest | ListCompletenessFindingsRequest | ListRefusalsRequest
"""What is answered in pages."""


def position_in(position: Position) -> int:
    """Read where a record lies, as one number."""
    if position.log != SCANS_LOG:
        raise _invalid("position.log", f"`position.log` is `{position.log}`; it is `{SCANS_LOG}`.")
    try:
        return packed_position(position)
    except ValueError as error:
        raise _invalid("position", f"`position` is none: {error}.") from error


def who(by: str) -> str:
    """Read who asks."""
    if not by.strip():
        raise _invalid("by", "`by` is empty; it says who asks, since that is kept.")
    return _text("by", by, BY_BYTES_MAX)


def reason_given(why: str, *, needed: bool) -> str:
    """Read why."""
    if needed and not why.strip():
        raise _invalid("why", "`why` is empty; it says why, since that is kept.")
    return _text("why", why, WHY_BYTES_MAX)


def page_size_in(request: Listing) -> int:
    """Read how many items a page has at most."""
    if request.page_size < 0:
        raise _invalid("page_size", f"`page_size` is {request.page_size}; it is not negative.")
    return min(request.page_size or PAGE_ITEMS, PAGE_ITEMS_MAX)


def write_token(request: ListQuarantinedRequest | ListRefusalsRequest, rank: Rank) -> str:
    """Make the token of the page behind an item, or from a place on."""
    return seal_token(request, _RANK.pack(*rank))


def read_token(request: ListQuarantinedRequest | ListRefusalsRequest) -> Rank:
    """Undo `write_token`; before all where there is no token."""
    rank = open_token(request)
    if not rank:
        return -1, -1
    first, second = _RANK.unpack(rank)
    return first, second


def seal_token(request: Listing, rank: bytes) -> str:
    """Make the token of the page behind whatever has this rank."""
    return base64.urlsafe_b64encode(_digest(request) + rank).decode().rstrip("=")


def open_token(request: Listing) -> bytes:
    """Undo `seal_token`; empty where there is no token."""
    text = request.page_token
    if not text:
        return b""
    try:
        token = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _token_refused("is not one that this service gave out") from error
    if len(token) <= DIGEST_BYTES:
        raise _token_refused("is not one that this service gave out")
    if token[:DIGEST_BYTES] != _digest(request):
        raise _token_refused("belongs to another request")
    return token[DIGEST_BYTES:]


def _digest(request: Listing) -> bytes:
    bound = type(request)()
    bound.MergeFrom(request)  # type: ignore[arg-type] # Of the same type.
    bound.ClearField("page_size")
    bound.ClearField("page_token")
    encoded = bound.SerializeToString(deterministic=True)
    return hashlib.sha256(encoded).digest()[:DIGEST_BYTES]


def _token_refused(why: str) -> Refused:
    return Refused(
        f"`page_token` {why}. Ask again without it.",
        reason="PAGE_TOKEN_REFUSED",
        field="page_token",
    )


def _text(field: str, text: str, bytes_max: int) -> str:
    size = len(text.encode())
    if size > bytes_max:
        raise _invalid(field, f"`{field}` has {size} bytes, and may have {bytes_max}.")
    return text


def _invalid(field: str, message: str) -> Refused:
    return Refused(message, reason="FIELD_INVALID", field=field)
