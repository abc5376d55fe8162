"""Page tokens and watch cursors: to everyone outside opaque, URL-safe text.

A token belongs to one request (by digest), carries the snapshot of the first page, and names the
last entry that was shown; any process can go on from it. Nothing in it is secret or gives a right:
whoever makes one up sees no more than by asking without it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from ledger.aliases.records import KEYS_MAX
from ledger.codec import is_time
from ledger.errors import Refused
from ledger.event import EVENT_ID_BYTES, order_key, split_order
from ledger.position import pack_position
from ledger.trail_store import ORDER_BYTES
from ledger.v1.token_pb2 import ContentsToken, NearbyToken, PageToken, PinnedIndex, WatchCursor
from query.trail import Pin, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ledger.v1.facility_service_pb2 import ListNearbyFacilitiesRequest
    from ledger.v1.item_service_pb2 import ListContentsRequest
    from ledger.v1.trail_service_pb2 import ListScanEventsRequest, WatchTrailRequest

TOKEN_BYTES_MAX = 4096
"""Most bytes of a token: pins of some 200 partitions fit; one item has one in each generation."""

_DIGEST_BYTES = 16

_Message = TypeVar("_Message", PageToken, WatchCursor, NearbyToken, ContentsToken)


class Bookmark(NamedTuple):
    """What a page token says."""

    pins: list[Pin]
    last: Place


def page_digest(request: ListScanEventsRequest) -> bytes:
    """Give the digest to which the tokens of a listing are bound."""
    bound = type(request)()
    bound.CopyFrom(request)
    return _page_digest(bound)


def nearby_digest(request: ListNearbyFacilitiesRequest) -> bytes:
    """Give the digest to which the tokens of facilities around a place are bound."""
    bound = type(request)()
    bound.CopyFrom(request)
    return _page_digest(bound)


def contents_digest(request: ListContentsRequest) -> bytes:
    """Give the digest to which the tokens of a container's contents are bound."""
    bound = type(request)()
    bound.CopyFrom(request)
    return _page_digest(bound)


def _page_digest(
    bound: ListScanEventsRequest | ListNearbyFacilitiesRequest | ListContentsRequest,
) -> bytes:
    bound.ClearField("page_size")
    bound.ClearField("page_token")
    return _digest(bound.SerializeToString(deterministic=True))


def watch_digest(request: WatchTrailRequest) -> bytes:
    """Give the digest to which the cursors of a watch are bound."""
    bound = type(request)()
    bound.CopyFrom(request)
    bound.ClearField("resume_after")
    return _digest(bound.SerializeToString(deterministic=True))


def write_page_token(digest: bytes, pins: Iterable[Pin], last: Place) -> str:
    """Make the token of the page behind `last`."""
    order = split_order(last.order)
    token = PageToken(
        request_digest=digest,
        pins=_pinned(pins),
        last_scan_time_ns=order.scan_time_ns,
        last_event_id=order.event_id,
        last_position=order.position,
        last_record_time_ns=last.record_time_ns,
    )
    return _text(token.SerializeToString(deterministic=True))


def read_page_token(text: str, digest: bytes) -> Bookmark:
    """Undo `write_page_token`. Raises Refused for what is no token, or another request's."""
    token = _parsed(PageToken, text)
    if token is None or len(token.last_event_id) != EVENT_ID_BYTES or token.last_scan_time_ns < 0:
        raise _malformed("page_token", "PAGE_TOKEN_MALFORMED")
    pins = _pins(token.pins)
    if pins is None or token.last_position <= 0:
        raise _malformed("page_token", "PAGE_TOKEN_MALFORMED")
    if token.request_digest != digest:
        raise _mismatch("page_token", "PAGE_TOKEN_MISMATCH", "`page_size` and `page_token`")
    order = order_key(token.last_scan_time_ns, token.last_event_id, token.last_position)
    return Bookmark(pins, Place(order, token.last_record_time_ns))


def write_nearby_token(digest: bytes, distance_m: float, facility_id: str) -> str:
    """Make the token of the page behind a facility."""
    token = NearbyToken(
        request_digest=digest, last_distance_meters=distance_m, last_facility_id=facility_id
    )
    return _text(token.SerializeToString(deterministic=True))


def read_nearby_token(text: str, digest: bytes) -> tuple[float, str]:
    """Undo `write_nearby_token`. Raises Refused for what is no token, or another request's."""
    token = _parsed(NearbyToken, text)
    if token is None or not (token.last_facility_id and token.last_distance_meters >= 0):
        raise _malformed("page_token", "PAGE_TOKEN_MALFORMED")
    if token.request_digest != digest:
        raise _mismatch("page_token", "PAGE_TOKEN_MISMATCH", "`page_size` and `page_token`")
    return token.last_distance_meters, token.last_facility_id


def write_contents_token(digest: bytes, at_ns: int, last: bytes) -> str:
    """Make the token of the page behind a row of contents, by its order."""
    token = ContentsToken(request_digest=digest, at_time_ns=at_ns, last_order=last)
    return _text(token.SerializeToString(deterministic=True))


def read_contents_token(text: str, digest: bytes) -> tuple[int, bytes]:
    """Undo `write_contents_token`. Raises Refused for what is no token, or another request's."""
    token = _parsed(ContentsToken, text)
    if token is None or len(token.last_order) != ORDER_BYTES or not is_time(token.at_time_ns):
        raise _malformed("page_token", "PAGE_TOKEN_MALFORMED")
    if token.request_digest != digest:
        raise _mismatch("page_token", "PAGE_TOKEN_MISMATCH", "`page_size` and `page_token`")
    return token.at_time_ns, token.last_order


def write_cursor(digest: bytes, first: bytes, sent: Mapping[bytes, Iterable[Pin]]) -> str:
    """Make the cursor of a watch that has sent everything below these pins, of each key; `first` is
    a key that the request's number has for good.
    """
    others = [key for key in sent if key != first]
    cursor = WatchCursor(
        request_digest=digest, sent=_pinned(sent.get(first, ())), other_keys=others
    )
    for number, key in enumerate(others, 1):
        for pin in _pinned(sent[key]):
            pin.key = number
            cursor.sent.append(pin)
    return _text(cursor.SerializeToString(deterministic=True))


def read_cursor(text: str, digest: bytes, first: bytes) -> dict[bytes, list[Pin]]:
    """Undo `write_cursor`. Raises Refused for what is no cursor, or another request's."""
    cursor = _parsed(WatchCursor, text)
    if cursor is None:
        raise _malformed("resume_after", "CURSOR_MALFORMED")
    keys = [first, *cursor.other_keys]
    found: dict[bytes, list[Pin]] = {}
    for number, key in enumerate(keys):
        pins = _pins([cell for cell in cursor.sent if cell.key == number])
        if pins is None or not key or key in found:
            raise _malformed("resume_after", "CURSOR_MALFORMED")
        found[key] = pins
    if len(keys) > KEYS_MAX or any(cell.key >= len(keys) for cell in cursor.sent):
        raise _malformed("resume_after", "CURSOR_MALFORMED")
    if cursor.request_digest != digest:
        raise _mismatch("resume_after", "CURSOR_MISMATCH", "`resume_after`")
    return found


def _digest(request: bytes) -> bytes:
    return hashlib.sha256(request).digest()[:_DIGEST_BYTES]


def _text(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _parsed(kind: type[_Message], text: str) -> _Message | None:
    """Read a token; None for all but exactly what `_text` makes of a message of this kind."""
    if len(text) > TOKEN_BYTES_MAX or not text.isascii():
        return None
    try:
        token = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        message = kind.FromString(token)
    except (binascii.Error, DecodeError):
        return None
    message.DiscardUnknownFields()
    again = message.SerializeToString(deterministic=True)
    exact = _text(again) == text and len(message.request_digest) == _DIGEST_BYTES
    return message if exact else None


def _pinned(pins: Iterable[Pin]) -> list[PinnedIndex]:
    return [
        PinnedIndex(generation=generation, partition=partition, next_index=next_index)
        for generation, partition, next_index in pins
    ]


def _pins(pinned: Iterable[PinnedIndex]) -> list[Pin] | None:
    pins = [Pin(cell.generation, cell.partition, cell.next_index) for cell in pinned]
    places = {(generation, partition) for generation, partition, _ in pins}
    try:
        for generation, partition, next_index in pins:
            pack_position(generation, partition, max(next_index - 1, 0))
    except ValueError:
        return None
    return pins if len(places) == len(pins) else None


def _malformed(field: str, reason: str) -> Refused:
    return Refused(
        f"`{field}` is not one that this service gave out. Ask again without it.",
        reason=reason,
        field=field,
    )


def _mismatch(field: str, reason: str, free: str) -> Refused:
    return Refused(
        f"`{field}` belongs to another request: all fields but {free} must be as they were there. "
        f"Ask again without it.",
        reason=reason,
        field=field,
    )
