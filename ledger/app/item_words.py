"""What each value of an item is called: in the words of explanations, so that an agent who reads
`status` says what the customer reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from ledger.app.place_render import Known, facility_words
from ledger.app.render import details_of, printable
from ledger.numbers import is_check_digit_wrong
from ledger.v1 import item_pb2 as pb
from ledger.v1.scan_event_pb2 import DeliveryMode, EventReason, ScanEvent
from ledger.v1.vocabulary_pb2 import MappedEvent
from ledger.vocabulary import canonical
from query.explanation import NOT_YET_SEEN, UNKNOWN, duration_in, lies_in, with_container
from query.texts import ENGLISH, Language, load_languages

_HEADLINE: Final = "headline"

PRESENCE_WORDS: Final = {
    pb.PRESENCE_WITH_PARTNER: "with a partner at",
    pb.PRESENCE_AT: "at",
    pb.PRESENCE_LEFT: "left",
    pb.PRESENCE_ON_TOUR: "on a tour from",
    pb.PRESENCE_HANDED_OVER: "handed over by",
}
"""What stands before a place."""

STYLES: Final = {
    pb.MILESTONE_DELIVERED: "bold green",
    pb.MILESTONE_RETURNED: "bold green",
    pb.MILESTONE_ATTEMPTED: "bold yellow",
    pb.MILESTONE_HELD: "bold yellow",
    pb.MILESTONE_READY_FOR_PICKUP: "bold yellow",
    pb.MILESTONE_EXCEPTION: "bold red",
    pb.MILESTONE_LOST: "bold red",
    pb.MILESTONE_SEIZED: "bold red",
    pb.MILESTONE_DISPOSED: "bold red",
}
"""How milestones are shown; others are bold."""


class ItemWords:
    """Says the values of an item, in the words of explanations: the texts are the one source."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def milestone(self, number: int) -> str:
        """Say how far an item is."""
        if number == pb.MILESTONE_UNSPECIFIED:
            return self.language.fill("status NONE", _HEADLINE, {})
        return self._say("status", pb.Milestone, number, "MILESTONE_")

    def leg(self, number: int) -> str:
        """Say which way an item goes."""
        return self._say("leg", pb.LegKind, number, "LEG_KIND_")

    def flag(self, number: int) -> str:
        """Say what is to be known beside the milestone."""
        return self._say("flag", pb.ItemFlag, number, "ITEM_FLAG_")

    def doubt(self, number: int) -> str:
        """Say what the trail does not tell, and what that means."""
        headline = self._say("doubt", pb.ItemDoubt, number, "ITEM_DOUBT_")
        if number not in pb.ItemDoubt.values():
            return headline
        return f"{headline}. {self._say('doubt', pb.ItemDoubt, number, 'ITEM_DOUBT_', 'meaning')}"

    def weakness(self, number: int) -> str:
        """Say what speaks against a scan of a delivery."""
        return self._say(
            "weakness", pb.DeliveryWeakness, number, "DELIVERY_WEAKNESS_", text="meaning"
        )

    def event(
        self,
        event: ScanEvent,
        mapped: MappedEvent | None,
        container_keys: Sequence[str] = (),
    ) -> str:
        """Say what happened, with what matters of it; `mapped`: what its source's own code means;
        `container_keys`: which containers were scanned instead.
        """
        shown = mapped or event
        known = canonical(shown.type)
        what = self.language.fill(f"event {known.name if known else UNKNOWN}", _HEADLINE, {})
        if known is None or known.name == UNKNOWN:
            what += f": {event.code_system} {event.source_code}"
        reason = self._say("reason", EventReason, shown.reason, "EVENT_REASON_")
        container = with_container(self.language, container_keys)
        return printable(what) + details_of(event, mapped, reason) + printable(container)

    def inside(self, container_keys: Sequence[str]) -> str:
        """Say in what an item lies, the nearest first."""
        return printable(lies_in(self.language, container_keys))

    def unseen(self, number: str) -> str:
        """Say that nothing was recorded for a number, and what may be wrong with it."""
        said = self.language.say("sentence", "not_seen", number=printable(number))
        if not is_check_digit_wrong(number):
            return said
        flag = self.flag(pb.ITEM_FLAG_BAD_NUMBER)
        return f"{said} {flag}: `parcel-ledger number explain` says what was perhaps meant."

    def unseen_briefly(self) -> str:
        """Say the same in a list."""
        return self.language.fill(f"status {NOT_YET_SEEN}", _HEADLINE, {})

    def duration(self, duration: Duration) -> str:
        """Say how long something took."""
        return duration_in(self.language, duration.ToNanoseconds())

    def label(self, name: str) -> str:
        """Say a heading."""
        return self.language.say("label", name)

    def _say(
        self,
        kind: str,
        enum: Any,  # noqa: ANN401 - any enum of the wire.
        number: int,
        prefix: str,
        text: str = _HEADLINE,
    ) -> str:
        """Say a value; one that has no words, as of a newer server, by its number."""
        if not number:
            return ""
        known = number in enum.values()
        section = f"{kind} {enum.Name(number).removeprefix(prefix) if known else number}"
        if (section, text) not in self.language.templates:
            return f"{kind} {number}"
        return self.language.fill(section, text, {})


def item_words(texts: Path | None) -> ItemWords:
    """Give the words in English, those of an operator's own folder before ours."""
    return ItemWords(load_languages(texts).choose(ENGLISH))


def confidence_words(confidence: int) -> str:
    """Say how far a delivery can be trusted."""
    return _word(pb.DeliveryConfidence, confidence, "DELIVERY_CONFIDENCE_")


def mode_words(mode: int) -> str:
    """Say how it was handed over."""
    return _word(DeliveryMode, mode, "DELIVERY_MODE_")


def _word(enum: Any, number: int, prefix: str) -> str:  # noqa: ANN401 - any enum of the wire.
    if not number:
        return ""
    if number not in enum.values():
        return f"{prefix.rstrip('_').lower()} {number}"
    return str(enum.Name(number)).removeprefix(prefix).replace("_", " ").lower()


def where_words(facility: str, words: str, known: Known) -> str:
    """Say where something was: the facility by its code and name, else the place in words; as in
    explanations the name goes before the words of a source.
    """
    found = known.get(facility)
    said = words if found is None else facility_words(found)
    return printable(" · ".join(filter(None, (facility, said))))
