"""Which texts every language has to have: made from the vocabulary and from what the fold answers,
so that an event, a reason or a flag that is added without its words is missed by the check.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import DeliveryMode, EventAction, EventReason
from ledger.vocabulary import CANONICAL, Milestone
from query.explanation import NOT_YET_SEEN, Cause
from query.journey import Doubt, Flag, LegKind, Weakness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from google.protobuf.descriptor import EnumDescriptor

HEADLINE, MEANING, NEXT, DO, ASK = "headline", "meaning", "next", "do", "ask"
WHOLE: Final = (HEADLINE, MEANING, NEXT, DO, ASK)
"""What is said of an event, a reason or a status."""

PARTIES: Final = ("carrier", "sender", "recipient", "office", "customs", "nobody")
"""Who can be asked."""

MONTHS: Final = 12


class Slots(NamedTuple):
    """The placeholders that a text may have."""

    always: frozenset[str] = frozenset()
    """Known whenever the text is said."""
    perhaps: frozenset[str] = frozenset()
    """Not always known: they stand in square brackets, with the words that go without them."""


def _slots(always: str = "", perhaps: str = "") -> Slots:
    return Slots(frozenset(always.split()), frozenset(perhaps.split()))


_OF_ITEM: Final = _slots(perhaps="place next_place time expected")

SENTENCES: Final[Mapping[str, Slots]] = MappingProxyType({
    "last_scan": _slots("what", "place time"),
    "inherited": _slots("container"),
    "with_container": _slots("container"),
    "lies_in": _slots("container"),
    "within": _slots("inner outer"),
    "no_scan": _slots(),
    "last_notice": _slots("what", "place time"),
    "silence": _slots("silence"),
    "silence_by_pair": _slots("usual count"),
    "silence_by_status": _slots("usual"),
    "silence_slower": _slots("slower count"),
    "expected_scan": _slots("time"),
    "expected_passed": _slots("time"),
    "expected_step": _slots("expected"),
    "as_of": _slots("time"),
    "since_then": _slots("what"),
    "another_item": _slots("what time"),
    "not_seen": _slots("number"),
    "source_text": _slots("text"),
    "corrected_since": _slots("what"),
    "told_later": _slots("what"),
    "time_unknown": _slots(),
})  # fmt: skip
"""Sentences about one item, by their names."""

LABELS: Final = (
    *("meaning", "next", "do", "ask", "cause", "facts", "events"),
    *("action", "doubts", "beside", "delivery"),
)
"""Headings of an explanation."""

UNITS: Final = ("minute", "hour", "day")
_FORMS: Final = ("one", "other")
LANGUAGE: Final[Mapping[str, Slots]] = MappingProxyType({
    "name": _slots(),
    "months": _slots(),
    "date": _slots("day month year"),
    "moment": _slots("date clock", "offset"),
    "window": _slots("from until"),
})  # fmt: skip
"""How a language writes what is no sentence."""


def _names(enum: EnumDescriptor, prefix: str) -> Iterable[str]:
    return (value.name.removeprefix(prefix) for value in enum.values[1:])


def _needed() -> Mapping[tuple[str, str], Slots]:
    """Give every text, by its section and its name."""
    needed: dict[tuple[str, str], Slots] = {}

    def need(
        kind: str, names: Iterable[str], texts: Sequence[str], slots: Slots = _OF_ITEM
    ) -> None:
        needed.update({(f"{kind} {name}", text): slots for name in names for text in texts})

    needed.update({("language", name): slots for name, slots in LANGUAGE.items()})
    needed.update(
        {("unit", f"{unit}_{form}"): _slots("count") for unit in UNITS for form in _FORMS}
    )
    needed["unit", "moment"] = Slots()
    needed.update({("label", name): Slots() for name in LABELS})
    needed.update({("sentence", name): slots for name, slots in SENTENCES.items()})
    need("ask", PARTIES, (ASK,), _slots(perhaps="place"))
    need("status", (NOT_YET_SEEN, *(one.name for one in Milestone)), WHOLE)
    need("event", (event.name for event in CANONICAL.values()), WHOLE)
    need("reason", _names(EventReason.DESCRIPTOR, "EVENT_REASON_"), WHOLE)
    need("action", _names(EventAction.DESCRIPTOR, "EVENT_ACTION_"), (NEXT,))
    need("mode", _names(DeliveryMode.DESCRIPTOR, "DELIVERY_MODE_"), (MEANING,))
    need("leg", LegKind, WHOLE)
    need("flag", Flag, WHOLE)
    need("doubt", Doubt, WHOLE)
    need("weakness", Weakness, (MEANING,))
    need("cause", Cause, (MEANING,))
    return MappingProxyType(needed)


NEEDED: Final = _needed()
"""Every text, in the order in which a file has them best."""

SECTIONS: Final = frozenset(section for section, _ in NEEDED)

HEADLINE_MAX: Final = 80
"""Most characters of a headline and of a label: a line on a telephone, or the subject of a mail."""

TEXT_MAX: Final = 320
"""Most characters of any other text: two short sentences, and two text messages."""


def length_max(section: str, name: str) -> int:
    """Give how long a text may be, its placeholders as they stand."""
    return HEADLINE_MAX if name == HEADLINE or section in {"label", "unit"} else TEXT_MAX
