"""Devices: what a scanner holds in its hand or has built in, with a clock and network of its own.

A clock is some seconds off and drifts until it is set again, once a week. A device that is cut off
scans on, and sends everything in one minute when it is back.
"""

from typing import Final

from ledger.v1 import scan_event_pb2 as pb
from loadtest.world.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from loadtest.world.dice import Dice, share
from loadtest.world.shares import Oddities
from loadtest.world.timetable import Stop
from loadtest.world.wire import Field, number_field, position, text_field, varint

COUNTER: Final = "C"
MACHINE: Final = "M"
DOCK: Final = "D"
DESK: Final = "X"
TOUR: Final = "T"
SYSTEM: Final = "S"
"""Kinds of devices: at the counter, a sorting machine, at the dock, at the desk of an office of
exchange, the handheld of a tour, and none at all: a system that makes notices.
"""

OFFLINE_MAX_MS: Final = 9 * HOUR_MS
"""Longest time for which a device is cut off."""

SKEW_MAX_MS: Final = HOUR_MS + 30 * SECOND_MS
"""No clock is further off, not even a wrong one."""

SYNC_MS: Final = 7 * DAY_MS
"""A clock is set once in so long, and drifts in between."""

Day = tuple[int, int, int, tuple[bytes, ...] | None]
"""A device on a day: from when to when it is cut off (0 for not at all), what its clock shows too
much, and its `front` (None where clocks change on that day).
"""

OPERATORS: Final = 4
"""People who work with one device."""

WHO_TYPED: Final = OPERATORS
WHO_MACHINE: Final = 2 * OPERATORS
WHO_SYSTEM: Final = WHO_MACHINE + 1
WHO_PARTNER: Final = WHO_MACHINE + 2
"""Who captures a number: a person by scanning, and from here on by typing; a machine; nobody."""

POSITIONS: Final = 16
"""Positions that are measured at one device; a power of two."""

INSIDE: Final = 500
"""How far they are from the facility at most, in millionths of a degree: some 50 m."""

_DRIFT_PPB = 20_000
_HANDHELDS_OFFLINE = 4
_CATCH_UP_MS = MINUTE_MS
_DAYS_KEPT = 64


class Device:
    """One device.

    Attributes:
        name: as events bear it.
        kind: one of the kinds above.
        scanner: the scanner that it belongs to.
        stop: where it is.
        base: latitude and longitude in millionths of a degree.
        offset_ms, drift_ppb, phase_ms: how its clock goes; `day` has what comes of it.
        days: by day (UTC), how it is on that day; made by `day`.
        inside: encoded positions, as they are measured where it stands.
        fronts: by offset of local time, the encoded fields from there to how the number was
            captured, for each WHO; made by `front`.
    """

    __slots__ = (
        "_names",
        "_offline",
        "_secret",
        "base",
        "days",
        "drift_ppb",
        "fronts",
        "inside",
        "kind",
        "name",
        "offset_ms",
        "phase_ms",
        "scanner",
        "stop",
    )

    def __init__(
        self, secret: bytes, stop: Stop, kind: str, scanner: int, oddities: Oddities
    ) -> None:
        facility = stop.facility
        self.name = f"{facility.id}-{kind}{scanner:04d}"
        self.kind = kind
        self.scanner = scanner
        self.stop = stop
        self.base = round(facility.latitude * 1e6), round(facility.longitude * 1e6)
        self._secret = secret
        self.fronts: dict[int, tuple[bytes, ...]] = {}
        often = _HANDHELDS_OFFLINE if kind == TOUR else 1
        self._offline = 0 if kind == SYSTEM else share(min(1.0, oddities.offline * often))
        self.days: dict[int, Day] = {}
        dice = Dice(secret, f"clock/{self.name}".encode())
        # A sum of four is about a bell: nearly always within 3 s.
        self.offset_ms = sum(dice.between(-1_000, 1_001) for _ in range(4))
        self.drift_ppb = dice.between(-_DRIFT_PPB, _DRIFT_PPB + 1)
        self.phase_ms = dice.between(0, SYNC_MS)
        wrong = dice.falls(share(oddities.wrong_clock))
        away_ms = dice.pick((-HOUR_MS, HOUR_MS, dice.between(-25, 26) * MINUTE_MS))
        if kind == SYSTEM:  # A server's clock is set all the time.
            self.offset_ms = self.drift_ppb = 0
        elif wrong:
            self.offset_ms += away_ms
        self._names = [f"{dice.word():04x}{dice.word():04x}" for _ in range(OPERATORS)]
        self.inside = tuple(
            position(
                (self.base[0] + dice.between(-INSIDE, INSIDE + 1)) / 1e6,
                (self.base[1] + dice.between(-INSIDE, INSIDE + 1)) / 1e6,
            )
            for _ in range(POSITIONS)
        )

    def day(self, day: int) -> "Day":
        """Tell how it is on a day (UTC)."""
        found = self.days.get(day)
        if found is None:
            if len(self.days) >= _DAYS_KEPT:
                self.days.clear()
            found = self.days[day] = self._on(day)
        return found

    def sent_ms(self, time_ms: int, latency_ms: int) -> int:
        """Give when a scan made at a moment is sent: soon, or when the device is back."""
        begin_ms, end_ms = self.day(time_ms // DAY_MS)[:2]
        if begin_ms <= time_ms < end_ms:
            # In their order, within the minute in which the device catches up.
            return end_ms + (time_ms - begin_ms) * _CATCH_UP_MS // (end_ms - begin_ms)
        return time_ms + latency_ms

    def front(self, offset_ms: int) -> tuple[bytes, ...]:
        """Give what an event says of place, local time and person, for each WHO."""
        found = self.fronts.get(offset_ms)
        if found is None:
            found = self.fronts[offset_ms] = self._front(offset_ms // MINUTE_MS)
        return found

    def _front(self, offset: int) -> tuple[bytes, ...]:
        place = b"".join((
            b"\x28" + varint(offset << 1 ^ offset >> 31) if offset else b"",
            number_field(Field.UTC_OFFSET_SOURCE, pb.UTC_OFFSET_SOURCE_FACILITY),
            text_field(Field.FACILITY, self.stop.facility.id),
            text_field(Field.DEVICE, self.name),
        ))  # fmt: skip
        people = [place + text_field(Field.OPERATOR, name) for name in self._names]
        return (
            *(one + _capture(pb.CAPTURE_METHOD_BARCODE) for one in people),
            *(one + _capture(pb.CAPTURE_METHOD_TYPED) for one in people),
            place + _capture(pb.CAPTURE_METHOD_MACHINE),
            place + _capture(pb.CAPTURE_METHOD_SYSTEM_NOTICE),
            place + _capture(pb.CAPTURE_METHOD_PARTNER_MESSAGE),
        )

    def _on(self, day: int) -> "Day":
        # It drifts by steps of a day, and is set again once a week.
        since_ms = (day * DAY_MS + self.phase_ms) % SYNC_MS
        skew_ms = self.offset_ms + since_ms * self.drift_ppb // 1_000_000_000
        offset_ms = self.stop.zone.of_day(day)
        front = None if offset_ms is None else self.front(offset_ms)
        dice = Dice(self._secret, b"offline/%s/%d" % (self.name.encode(), day))
        if not dice.falls(self._offline):
            return 0, 0, skew_ms, front
        begin_ms = day * DAY_MS + dice.between(0, DAY_MS - OFFLINE_MAX_MS)
        return begin_ms, begin_ms + dice.between(20 * MINUTE_MS, OFFLINE_MAX_MS), skew_ms, front


def _capture(method: pb.CaptureMethod.ValueType) -> bytes:
    return number_field(Field.CAPTURE_METHOD, method)
