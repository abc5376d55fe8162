"""The vocabulary: the order of a trail in bytes, times, names, and what is odd about a clock."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from ledger.event import (
    CLOCK_TOLERANCE_NS,
    EVENT_ID_BYTES,
    LATE_AFTER_NS,
    TIME_NS_END,
    Order,
    clock_flags,
    event_type_name,
    order_from_time,
    order_key,
    split_order,
    timestamp_ns,
)
from ledger.trail_store import ORDER_BYTES
from ledger.v1.scan_event_pb2 import ScanEvent, ScanEventType, UtcOffsetSource
from ledger.v1.trail_service_pb2 import ClockFlag

DAY_NS = 86_400 * 1_000_000_000
NOW_NS = 1_790_000_000 * 1_000_000_000
DEVICE = ScanEvent(utc_offset_source=UtcOffsetSource.UTC_OFFSET_SOURCE_DEVICE)

# Few values, so that equal parts and neighbours meet often.
TIMES = st.one_of(st.integers(0, 3), st.integers(0, TIME_NS_END - 1))
IDS = st.binary(min_size=EVENT_ID_BYTES, max_size=EVENT_ID_BYTES)
POSITIONS = st.one_of(st.integers(1, 3), st.integers(1, (1 << 63) - 1))
ORDERS = st.builds(Order, TIMES, st.one_of(st.just(bytes(16)), IDS), POSITIONS)


class TestOrder:
    @given(ORDERS)
    def test_an_order_survives_its_key(self, order: Order) -> None:
        """Nothing of an order is lost in its key."""
        key = order_key(*order)

        assert split_order(key) == order
        assert len(key) == ORDER_BYTES

    @given(ORDERS, ORDERS)
    def test_keys_sort_as_trails_do(self, one: Order, other: Order) -> None:
        """Scan time, then event id, then position: in this order, also as bytes."""
        assert (order_key(*one) < order_key(*other)) == (one < other)

    @given(ORDERS, TIMES)
    def test_a_time_bounds_its_rows(self, order: Order, time_ns: int) -> None:
        """The bound of a time lies before every row at or after it, and behind all others."""
        before = order_key(*order) < order_from_time(time_ns)

        assert before == (order.scan_time_ns < time_ns)


@pytest.mark.parametrize(
    ("seconds", "nanos", "wanted"),
    [
        (0, 0, 0),
        (1, 2, 1_000_000_002),
        (-1, 999_999_999, -1),
        (7_258_118_399, 0, 7258118399 * 10**9),
    ],
)
def test_a_timestamp_is_nanoseconds(seconds: int, nanos: int, wanted: int) -> None:
    """Protobuf's seconds and nanos, also before 1970, are one exact number."""
    assert timestamp_ns(Timestamp(seconds=seconds, nanos=nanos)) == wanted


def test_every_type_has_a_name() -> None:
    """A known type shows its name, a later one its number."""
    assert event_type_name(ScanEventType.SCAN_EVENT_TYPE_DELIVERED) == "DELIVERED"
    assert event_type_name(9_999) == "TYPE_9999"


@pytest.mark.parametrize(
    ("scan_time_ns", "send_time_ns", "wanted"),
    [
        (NOW_NS - 1, NOW_NS, []),
        (NOW_NS + CLOCK_TOLERANCE_NS, NOW_NS, []),
        (NOW_NS + CLOCK_TOLERANCE_NS + 1, NOW_NS, ["AHEAD"]),
        (NOW_NS - LATE_AFTER_NS, NOW_NS, []),
        (NOW_NS - LATE_AFTER_NS - 1, NOW_NS, ["LATE"]),
        (0, NOW_NS, ["NEVER_SET"]),
        (DAY_NS - 1, NOW_NS, ["NEVER_SET"]),
        (DAY_NS, NOW_NS, ["LATE"]),
        (NOW_NS, NOW_NS - CLOCK_TOLERANCE_NS, []),
        (NOW_NS, NOW_NS - CLOCK_TOLERANCE_NS - 1, ["SENDER_SKEWED"]),
        (NOW_NS, NOW_NS + CLOCK_TOLERANCE_NS + 1, ["SENDER_SKEWED"]),
        (NOW_NS, 0, ["SENDER_SKEWED"]),
    ],
)
def test_odd_clocks_are_flagged(scan_time_ns: int, send_time_ns: int, wanted: list[str]) -> None:
    """Each oddity has its flag, from the first nanosecond on."""
    flags = clock_flags(
        DEVICE, scan_time_ns=scan_time_ns, send_time_ns=send_time_ns, record_time_ns=NOW_NS
    )

    assert [ClockFlag.Name(flag).removeprefix("CLOCK_FLAG_") for flag in flags] == wanted


@pytest.mark.parametrize("source", UtcOffsetSource.values())
def test_an_offset_that_nobody_knows_is_flagged(source: UtcOffsetSource.ValueType) -> None:
    """Without a known offset UTC is assumed, and that is said."""
    flags = clock_flags(
        ScanEvent(utc_offset_source=source),
        scan_time_ns=NOW_NS,
        send_time_ns=NOW_NS,
        record_time_ns=NOW_NS,
    )

    unknown = UtcOffsetSource.Name(source).endswith(("UNSPECIFIED", "UNKNOWN"))
    assert flags == ([ClockFlag.CLOCK_FLAG_OFFSET_ASSUMED] if unknown else [])
