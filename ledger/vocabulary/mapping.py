"""One mapping: a code system's codes as canonical events, and canonical events as its codes. Pure.

Inwards the rows of a code are tried in their order, and the first whose conditions hold stands: so
a code maps to exactly one event. Outwards the row that says most of an event stands.
"""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import (
    ContainmentDirection,
    CustomsDirection,
    DeliveryMode,
    EventAction,
    EventReason,
    ScanEvent,
    ScanEventType,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.descriptor import EnumDescriptor

CONTAINMENT: Final = "containment"
TEXT: Final = "text"
ATTRIBUTE: Final = "attribute."
ENUMS: Final[dict[str, EnumDescriptor]] = {
    "reason": EventReason.DESCRIPTOR,
    "action": EventAction.DESCRIPTOR,
    "delivery_mode": DeliveryMode.DESCRIPTOR,
    "customs_direction": CustomsDirection.DESCRIPTOR,
    CONTAINMENT: ContainmentDirection.DESCRIPTOR,
}
"""Names with a closed set of values, in conditions and (all but the last) in meanings."""


class Flag(Enum):
    """What a rule finds wrong with how a code was sent."""

    REASON_MISSING = "reason"
    ACTION_MISSING = "action"
    CLOCK_NOT_STOPPED = "retention-reason"
    """Without a retention reason the event stops no clock: customs' time counts as the post's."""


class Way(Enum):
    """Which ways a row is read."""

    BOTH = "both"
    IN = "in"
    OUT = "out"


class Meaning(NamedTuple):
    """What a row says in the canonical vocabulary; 0 and empty say nothing."""

    type: int
    reason: int = 0
    action: int = 0
    delivery_mode: int = 0
    customs_direction: int = 0
    facility_role: str = ""
    """What kind of facility the code speaks of, such as DELIVERY_UNIT."""
    action_required: bool = False
    """Whether the code asks somebody to act. Inwards alone."""

    @property
    def qualifiers(self) -> frozenset[tuple[str, object]]:
        """All that is said beside the type, as far as it chooses a code."""
        pairs = zip(self._fields[1:-1], self[1:-1], strict=True)
        return frozenset((name, value) for name, value in pairs if value)


class Condition(NamedTuple):
    """Something that an event has to say for a row to hold."""

    name: str
    value: int | str

    def holds(self, event: ScanEvent) -> bool:
        """Whether the event says it."""
        name, value = self
        if isinstance(value, int):
            says = event.containment.direction if name == CONTAINMENT else getattr(event, name)
            return bool(says == value)
        if name == TEXT:
            return value in event.source_text.lower()
        own = name.removeprefix(ATTRIBUTE)
        return any(one.name == own and one.value == value for one in event.attributes)

    def make_true(self, event: ScanEvent) -> None:
        """Let the event say it."""
        name, value = self
        if name == TEXT:
            event.source_text = f"{event.source_text} {value}".strip()
        elif name == CONTAINMENT:
            event.containment.direction = ContainmentDirection.ValueType(int(value))
        elif name.startswith(ATTRIBUTE):
            event.attributes.add(name=name.removeprefix(ATTRIBUTE), value=str(value))
        else:
            setattr(event, name, value)


class Row(NamedTuple):
    """One row of a mapping."""

    line: int
    """Where it stands in its file."""
    code: str
    reason: str
    """The source's own reason code that it asks for; empty: any, or none."""
    action: str
    """The source's own action code that it asks for."""
    when: Sequence[Condition]
    meaning: Meaning
    way: Way
    needs: Sequence[Flag]
    """What has to come with the code, by the flag that its absence sets."""
    means: str
    """What the code says, in plain words."""

    @property
    def is_conditional(self) -> bool:
        """Whether it asks for more than its code."""
        return bool(self.reason or self.action or self.when)

    def holds(self, event: ScanEvent) -> bool:
        """Whether all that it asks for is said, beside its code."""
        if self.reason and self.reason != _plain(event.source_reason_code):
            return False
        if self.action and self.action != _plain(event.source_action_code):
            return False
        for condition in self.when:  # noqa: SIM110 - `all` costs as much as the rest.
            if not condition.holds(event):
                return False
        return True

    def flags(self, event: ScanEvent) -> list[Flag]:
        """Say what an event with this code lacks."""
        if not self.needs:
            return []
        has_reason = bool(event.source_reason_code or event.reason)
        has_action = bool(event.source_action_code or event.action)
        return [
            flag
            for flag in self.needs
            if not (has_action if flag is Flag.ACTION_MISSING else has_reason)
        ]


class Mapping:
    """The mapping of one code system."""

    def __init__(
        self,
        system: str,
        version: str,
        rows: Iterable[Row],
        *,
        title: str = "",
        also: Sequence[str] = (),
        ignores_zeros: bool = False,
    ) -> None:
        """`also` are further names of the system. `ignores_zeros`: 06 and 6 are one code."""
        self.system = system
        self.version = version
        self.title = title
        self.also = also
        self.ignores_zeros = ignores_zeros
        self.rows = tuple(rows)
        self._inwards: defaultdict[str, list[Row]] = defaultdict(list)
        self._outwards: defaultdict[int, list[Row]] = defaultdict(list)
        for row in self.rows:
            if row.way is not Way.OUT:
                self._inwards[self.key(row.code)].append(row)
            if row.way is not Way.IN:
                self._outwards[row.meaning.type].append(row)

    @property
    def silent_codes(self) -> Sequence[str]:
        """Codes, as they are compared, whose row holds for every event and needs nothing."""
        return [
            code
            for code, rows in self._inwards.items()
            if not (rows[0].is_conditional or rows[0].needs)
        ]

    def key(self, code: str) -> str:
        """Give a code as it is compared: in any case, without spaces around it."""
        plain = _plain(code)
        return plain.lstrip("0") or plain[:1] if self.ignores_zeros else plain

    def inwards(self, event: ScanEvent) -> Row | None:
        """Give the row that explains an event's code; None where none does."""
        for row in self._inwards.get(self.key(event.source_code), ()):
            if row.holds(event):
                return row
        return None

    def outwards(self, meaning: Meaning) -> Row | None:
        """Give the row that says most of an event and nothing else; None where none does."""
        said = meaning.qualifiers
        fitting = [row for row in self._outwards[meaning.type] if row.meaning.qualifiers <= said]
        return max(fitting, key=lambda row: len(row.meaning.qualifiers), default=None)


def sample(row: Row, system: str) -> ScanEvent:
    """Make an event without a type of its own that says what a row asks for, and no more."""
    event = ScanEvent(
        type=ScanEventType.SCAN_EVENT_TYPE_UNMAPPED,
        code_system=system,
        source_code=row.code,
        source_reason_code=row.reason,
        source_action_code=row.action,
    )
    for condition in row.when:
        condition.make_true(event)
    return event


def _plain(code: str) -> str:
    return code.strip().upper()
