"""Requests as they come in: parsed, judged, and turned into what the services work with.

Whatever a client sends ends here as a value within its limits, or as a Refused that names the
field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

from ledger.errors import NotPossibleNow, Refused
from ledger.event import timestamp_ns
from ledger.numbers import UnfilableNumber
from ledger.numbers import keys_of as filed_keys_of
from ledger.position import INDEX_MAX, SCANS_LOG, Position
from ledger.v1.item_service_pb2 import ItemView
from ledger.v1.trail_service_pb2 import TrailOrder, TrailView
from query.answers import PAGE_ENTRIES_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from ledger.v1.position_pb2 import Position as WirePosition

PAGE_ENTRIES_DEFAULT = 100
"""Entries in a page where the request does not say: most trails are one page."""

AT_LEAST_MAX = 64
"""Most positions to wait for: two for each of the usual 32 partitions."""

AT_LEAST_TIMEOUT_S = 5.0
"""How long to wait for positions where the request does not say: a writer that restarts needs
less.
"""

AT_LEAST_TIMEOUT_MAX_S = 60.0
"""Longest wait for positions: proxies on the way end silent calls soon after."""

BATCH_NUMBERS_MAX = 1_000
"""Most numbers in one look-up."""

_TIME_NS_LAST = (1 << 63) - 1
"""Latest time in a key: what is later bounds nothing."""

# Looked up once: an attribute of a generated enum costs 0.5 µs each time.
_ORDERS = frozenset(TrailOrder.values())
_RECORDED = TrailOrder.TRAIL_ORDER_RECORDED
_VIEWS = frozenset(TrailView.values())
_FULL = TrailView.TRAIL_VIEW_FULL
_ITEM_VIEWS = frozenset(ItemView.values())
_TIMELINE = ItemView.ITEM_VIEW_TIMELINE

_M = TypeVar("_M", bound=Message)


def parse(kind: type[_M], request: bytes) -> _M:
    """Read a request. Raises Refused for bytes that are none."""
    try:
        return kind.FromString(request)
    except DecodeError as error:
        raise Refused(
            f"The request is no {kind.DESCRIPTOR.name}: {error}. Text must be UTF-8.",
            reason="REQUEST_UNREADABLE",
        ) from error


def keys_of(tracking_number: str) -> list[bytes]:
    """Give the keys under which a number may be filed, by every rule that was ever used, the newest
    rule first. Raises Refused for what no item can have.
    """
    return list(forms_of(tracking_number))


def forms_of(tracking_number: str, field: str = "tracking_number") -> Mapping[bytes, int]:
    """Give these keys, each with the form that makes it."""
    try:
        return filed_keys_of(tracking_number)
    except UnfilableNumber as error:
        raise Refused(
            f"No item can have this number: {error.reason}.",
            reason="INVALID_NUMBER",
            field=field,
            metadata={"code": error.code},
        ) from error


def is_recorded(order: TrailOrder.ValueType) -> bool:
    """Whether the order is that of recording. Raises Refused for an unknown order."""
    if order not in _ORDERS:
        raise _unknown("order", order)
    return order == _RECORDED


def is_full(view: TrailView.ValueType) -> bool:
    """Whether log records are shown. Raises Refused for an unknown view."""
    if view not in _VIEWS:
        raise _unknown("view", view)
    return view == _FULL


def is_timeline(view: ItemView.ValueType) -> bool:
    """Whether an item's events are shown. Raises Refused for an unknown view."""
    if view not in _ITEM_VIEWS:
        raise _unknown("view", view)
    return view == _TIMELINE


def refuse_inherited(include_inherited: bool) -> None:
    """Raise NotPossibleNow where scans of containers are asked for: trails are an item's own."""
    if include_inherited:
        raise NotPossibleNow(
            "A trail has the item's own scans alone. Ask without `include_inherited`; "
            "`ItemService/GetItem` with the view TIMELINE also has the scans of the containers "
            "that it lay in.",
            reason="INHERITED_NOT_AVAILABLE",
            field="include_inherited",
        )


def page_size_of(
    page_size: int, *, default: int = PAGE_ENTRIES_DEFAULT, most: int = PAGE_ENTRIES_MAX
) -> int:
    """Give the most entries of a page: the default for 0, the largest for what is larger."""
    if page_size < 0:
        raise Refused(
            f"`page_size` is {page_size}. Give 1 to {most}, or nothing for {default}.",
            reason="PAGE_SIZE_NEGATIVE",
            field="page_size",
        )
    return min(page_size or default, most)


def time_ns_of(timestamp: Timestamp, field: str) -> int:
    """Give a time in nanoseconds, brought into the range that keys can have."""
    if not 0 <= timestamp.nanos < 1_000_000_000:
        raise Refused(
            f"`{field}.nanos` is {timestamp.nanos}. Give 0 to 999,999,999.",
            reason="TIME_OUT_OF_RANGE",
            field=field,
        )
    return min(max(timestamp_ns(timestamp), 0), _TIME_NS_LAST)


def timeout_s_of(duration: Duration) -> float:
    """Give how long to wait for positions, in seconds."""
    seconds = duration.seconds + duration.nanos / 1e9
    if not 0 <= seconds <= AT_LEAST_TIMEOUT_MAX_S:
        raise Refused(
            f"`at_least_timeout` is {seconds:g} s. Give 0 to {AT_LEAST_TIMEOUT_MAX_S:g} s, or "
            f"nothing for {AT_LEAST_TIMEOUT_S:g} s.",
            reason="TIMEOUT_OUT_OF_RANGE",
            field="at_least_timeout",
        )
    return seconds


def positions_of(
    at_least: Sequence[WirePosition], generations: Mapping[int, int]
) -> Sequence[Position]:
    """Give the positions to wait for. Raises Refused for one that no record can have."""
    if len(at_least) > AT_LEAST_MAX:
        raise Refused(
            f"`at_least` has {len(at_least)} positions. Give at most {AT_LEAST_MAX}: the highest "
            f"of each partition is enough.",
            reason="TOO_MANY_POSITIONS",
            field="at_least",
        )
    for number, at in enumerate(at_least):
        in_log = at.log == SCANS_LOG and at.partition < generations.get(at.generation, 0)
        if not in_log or at.index > INDEX_MAX:
            raise Refused(
                f"`at_least[{number}]` is no position of the log `{SCANS_LOG}`: it has the "
                f"generations {', '.join(map(str, sorted(generations)))}. Send positions as they "
                f"came, unchanged.",
                reason="NO_SUCH_POSITION",
                field=f"at_least[{number}]",
            )
    return [Position(at.generation, at.partition, at.index) for at in at_least]


def refuse_count(count: int, field: str = "tracking_numbers") -> None:
    """Raise Refused for a look-up of no numbers, or of too many."""
    if not 1 <= count <= BATCH_NUMBERS_MAX:
        raise Refused(
            f"`{field}` has {count} elements. Give 1 to {BATCH_NUMBERS_MAX}.",
            reason="NUMBERS_OUT_OF_RANGE",
            field=field,
        )


def _unknown(field: str, value: int) -> Refused:
    return Refused(
        f"`{field}` is {value}, which this server does not know.",
        reason="ENUM_UNKNOWN",
        field=field,
    )
