"""What is said of an event or of a status: a headline, what it means, what comes next, what to do
and whom to ask; with the reason, the next step and the mode of delivery put into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.v1.scan_event_pb2 import DeliveryMode, EventAction, EventReason, ScanEventType
from ledger.vocabulary import canonical
from query.journey.folding import asks
from query.journey.rules import Types
from query.journey.stages import expected_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.descriptor import EnumDescriptor

    from query.explanation.speaking import Speaker
    from query.journey import Told
    from query.texts import Language

UNKNOWN: Final = "UNMAPPED"
"""What is said of an event type of a newer wire: that it has no words yet."""

_TROUBLED: Final = frozenset({
    Types.ATTEMPTED,
    Types.UNDELIVERABLE,
    Types.DAMAGED,
    int(ScanEventType.SCAN_EVENT_TYPE_CUSTOMS_HELD),
    int(ScanEventType.SCAN_EVENT_TYPE_HELD),
    int(ScanEventType.SCAN_EVENT_TYPE_DELAYED),
    int(ScanEventType.SCAN_EVENT_TYPE_RESCHEDULED),
})  # fmt: skip
"""Events that go on as their reason lets them: the reason says more of it than they do."""

_QUOTED: Final = frozenset({
    int(ScanEventType.SCAN_EVENT_TYPE_UNMAPPED), int(ScanEventType.SCAN_EVENT_TYPE_INFO),
})  # fmt: skip
"""Events that say nothing beside the words of their source."""


class Words(NamedTuple):
    """What is said of one thing."""

    kind: str
    """status, event, leg, flag or doubt."""
    name: str
    """Which one, in the vocabulary."""
    headline: str
    meaning: str
    next: str
    """What happens next."""
    do: str
    """What you can do."""
    ask: str
    """Whom to ask, in words."""
    party: str
    """The same as one of the parties of the texts."""
    action_required: bool = False


def words_of(speaker: Speaker, kind: str, name: str, values: Mapping[str, str]) -> Words:
    """Say what the texts have of one thing."""
    language = speaker.language
    section = f"{kind} {name}"
    headline, meaning, next_, do, party = (
        language.fill(section, text, values)
        for text in ("headline", "meaning", "next", "do", "ask")
    )
    ask = language.fill(f"ask {party}", "ask", values)
    return Words(kind, name, headline, meaning, next_, do, ask, party)


def event_words(speaker: Speaker, one: Told, values: Mapping[str, str]) -> Words:
    """Say what an event means; `values` is what is known of it."""
    known = canonical(one.type)
    words = words_of(speaker, "event", known.name if known else UNKNOWN, values)
    words = with_reason(speaker, words, one, values, leads=one.type in _TROUBLED)
    quoted = quote(speaker, one) if one.type in _QUOTED or known is None else ""
    said = filter(None, (words.meaning, quoted, inherited(speaker, one)))
    words = words._replace(meaning=" ".join(said))
    return words._replace(action_required=asks(one))


def with_reason(
    speaker: Speaker, words: Words, one: Told, values: Mapping[str, str], *, leads: bool
) -> Words:
    """Put into words why, how it was handed over and what is done next, as far as an event says
    so. `leads`: how it goes on hangs on the reason.
    """
    says = one.says
    meanings = [words.meaning]
    mode = _name_of(DeliveryMode.DESCRIPTOR, says.delivery_mode)
    if mode:
        meanings.append(speaker.language.fill(f"mode {mode}", "meaning", values))
    reason = _name_of(EventReason.DESCRIPTOR, says.reason)
    if reason:
        why = words_of(speaker, "reason", reason, values)
        meanings.append(why.meaning)
        if leads:
            words = words._replace(next=why.next, do=why.do, ask=why.ask, party=why.party)
    action = _name_of(EventAction.DESCRIPTOR, says.action)
    if action and leads:
        words = words._replace(next=speaker.language.fill(f"action {action}", "next", values))
    return words._replace(meaning=" ".join(meanings))


def values_of(speaker: Speaker, one: Told) -> dict[str, str]:
    """Give what is known of an event, as texts name it."""
    event = one.event
    from_ns, until_ns = expected_of(one)
    return {
        "place": speaker.place_of(one),
        "next_place": speaker.place(event.next_facility),
        "time": speaker.time_of(one),
        "expected": speaker.window(from_ns, until_ns, event.next_facility or event.facility),
    }


def inherited(speaker: Speaker, one: Told) -> str:
    """Say which container was scanned instead of the item; empty for the item's own scans."""
    if not one.path:
        return ""
    return speaker.language.say("sentence", "inherited", container=one.path[-1].decode())


def with_container(language: Language, container_keys: Sequence[str]) -> str:
    """Say behind an event which container was scanned; nothing for the item's own scans."""
    if not container_keys:
        return ""
    return f" ({language.say('sentence', 'with_container', container=container_keys[-1])})"


def lies_in(language: Language, container_keys: Sequence[str]) -> str:
    """Say in what an item lies, the nearest first; nothing where it lies in none."""
    if not container_keys:
        return ""
    *inner, container = container_keys
    for key in reversed(inner):
        container = language.say("sentence", "within", inner=key, outer=container)
    return language.say("sentence", "lies_in", container=container)


def quote(speaker: Speaker, one: Told) -> str:
    """Say what the source itself said; empty where it said nothing."""
    event = one.event
    code = " ".join(filter(None, (event.code_system, event.source_code)))
    said = event.source_text or code
    return speaker.language.say("sentence", "source_text", text=said) if said else ""


def _name_of(enum: EnumDescriptor, number: int) -> str:
    """Name a value; empty for none, and for one of a newer wire."""
    value = enum.values_by_number.get(number) if number else None
    if value is None:
        return ""
    return str(value.name).removeprefix(enum.values[0].name.removesuffix("UNSPECIFIED"))
