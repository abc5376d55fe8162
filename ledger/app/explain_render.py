"""An explanation as a person reads it: headings and sentences, in one language. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rich.padding import Padding
from rich.text import Text

from ledger.app.render import printable
from ledger.v1.explanation_pb2 import EventExplanation, Explanation
from ledger.v1.item_pb2 import DeliveryConfidence
from ledger.v1.item_service_pb2 import ExplainItemResponse
from query.explanation import with_container
from query.texts import Language

_INDENT: Final = 2
_GRAVE: Final = frozenset(
    {"ATTEMPTED", "EXCEPTION", "HELD", "LOST", "SEIZED", "DISPOSED", "CANCELLED"}
)

Line = Text | Padding


def explanation_lines(
    number: str, found: ExplainItemResponse, language: Language
) -> Iterator[Line]:
    """Give an explanation, line by line."""
    status = found.status
    if not found.HasField("status"):
        yield Text(f"{printable(number)}: {_why_nothing(found)}", "yellow")
        return
    yield Text(printable(number), "bold")
    style = "bold yellow" if status.name in _GRAVE or status.action_required else "bold green"
    yield Text(printable(status.headline), style)
    yield from _sentences(found.changes, "cyan")
    yield Text("")
    if status.action_required:
        yield Text(language.say("label", "action"), "bold yellow")
    yield from _part(language, "meaning", [status.meaning])
    yield from _part(language, "next", [status.next])
    yield from _part(language, "do", [status.advice])
    yield from _part(language, "ask", [status.contact])
    yield from _part(language, "facts", found.facts)
    yield from _part(language, "cause", [found.cause_text])
    # What the status says already is not said again.
    beside = [_briefly(one) for one in found.beside if one.meaning not in status.meaning]
    yield from _part(language, "beside", [*beside, *found.other_items])
    delivered = found.answer.item.delivered
    if delivered.confidence == DeliveryConfidence.DELIVERY_CONFIDENCE_LOW:
        yield from _part(language, "delivery", found.delivery_weaknesses)
    yield from _part(language, "doubts", map(_briefly, found.doubts))
    if found.events:
        yield Text(language.say("label", "events"), "bold")
        for one in found.events:
            yield from _event(one, language)


def _why_nothing(found: ExplainItemResponse) -> str:
    if found.answer.oversized:
        return "the trail is too long to be explained; `parcel-ledger trail` shows it."
    return "all that was recorded of it lies in quarantine; `parcel-ledger quarantine` shows it."


def _part(language: Language, label: str, sentences: Iterable[str]) -> Iterator[Line]:
    lines = list(_sentences(sentences))
    if lines:
        yield Text(language.say("label", label), "bold")
        yield from lines


def _sentences(sentences: Iterable[str], style: str = "") -> Iterator[Line]:
    for sentence in sentences:
        if sentence:
            yield Padding(Text(printable(sentence), style), (0, 0, 0, _INDENT), expand=False)


def _briefly(words: Explanation) -> str:
    return f"{words.headline}. {words.meaning}"


def _event(one: EventExplanation, language: Language) -> Iterator[Line]:
    words = one.explanation
    what = words.headline + with_container(language, one.container_keys)
    title = " · ".join(filter(None, (one.time, what)))
    yield Padding(Text(printable(title), "bold"), (0, 0, 0, _INDENT), expand=False)
    yield Padding(Text(printable(words.meaning)), (0, 0, 0, 2 * _INDENT), expand=False)
