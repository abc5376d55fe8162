"""Explanations as they go out: words as messages of the wire, each cut to its limit there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.v1 import explanation_pb2 as pb
from query.explanation import Basis, Cause
from query.item_answers import put_duration, put_moment, put_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.internal.containers import RepeatedScalarFieldContainer

    from ledger.v1.item_service_pb2 import ExplainItemResponse
    from query.explanation import Explanation, Silence, Words
    from query.journey import Told

HEADLINE_BYTES_MAX: Final = 1_024
"""Of a headline, and of a place: a text of ours with the longest name of a place in it."""

MEANING_BYTES_MAX: Final = 8_192
"""Of what is put together from several texts."""

TEXT_BYTES_MAX: Final = 4_096

SENTENCES_MAX: Final = 22
"""Most sentences in a list."""

TIME_BYTES_MAX: Final = 256

WEAKNESS_BYTES_MAX: Final = 2_048

_BASES: Final = {
    Basis.NONE: pb.SilenceBasis.SILENCE_BASIS_UNSPECIFIED,
    Basis.STATUS: pb.SilenceBasis.SILENCE_BASIS_STATUS,
    Basis.PAIR: pb.SilenceBasis.SILENCE_BASIS_PAIR,
}
_CAUSES: Final = {one: pb.LikelyCause.Value(f"LIKELY_CAUSE_{one}") for one in Cause}
_KINDS: Final = {
    kind: pb.ExplanationKind.Value(f"EXPLANATION_KIND_{kind.upper()}")
    for kind in ("status", "event", "leg", "flag", "doubt")
}
_PARTIES: Final = {
    name.removeprefix("CONTACT_PARTY_").lower(): number for name, number in pb.ContactParty.items()
}


def put_explanation(out: ExplainItemResponse, found: Explanation) -> None:
    """Put an explanation."""
    _put_words(out.status, found.status)
    for words in found.beside:
        _put_words(out.beside.add(), words)
    for words in found.doubts:
        _put_words(out.doubts.add(), words)
    out.delivery_weaknesses.extend(_cut(one, WEAKNESS_BYTES_MAX) for one in found.delivery)
    _put_silence(out.silence, found.silence)
    out.cause = _CAUSES[found.cause]
    out.cause_text = _cut(found.cause_words, MEANING_BYTES_MAX)
    put_sentences(out.facts, found.sentences)
    put_sentences(out.other_items, found.others)
    for one in found.events:
        _put_event(out.events.add(), one.told, one.words, one.place, one.time)


def put_sentences(out: RepeatedScalarFieldContainer[str], sentences: Iterable[str]) -> None:
    """Put a list of sentences."""
    out.extend(_cut(one, TEXT_BYTES_MAX) for one in list(sentences)[:SENTENCES_MAX])


def _put_words(out: pb.Explanation, words: Words) -> None:
    out.kind = _KINDS[words.kind]
    out.name = words.name
    out.headline = _cut(words.headline, HEADLINE_BYTES_MAX)
    out.meaning = _cut(words.meaning, MEANING_BYTES_MAX)
    out.next = _cut(words.next, TEXT_BYTES_MAX)
    out.advice = _cut(words.do, TEXT_BYTES_MAX)
    out.contact = _cut(words.ask, TEXT_BYTES_MAX)
    out.party = _PARTIES[words.party]
    out.action_required = words.action_required


def _put_event(out: pb.EventExplanation, one: Told, words: Words, place: str, time: str) -> None:
    put_moment(out.at, one)
    out.place = _cut(place, HEADLINE_BYTES_MAX)
    out.time = _cut(time, TIME_BYTES_MAX)
    _put_words(out.explanation, words)
    out.event_id = one.event.event_id
    out.source_id = one.source_id
    out.container_keys.extend(key.decode() for key in one.path)


def _put_silence(out: pb.Silence, silence: Silence) -> None:
    out.basis = _BASES[silence.basis]
    if silence.silent_ns >= 0:
        put_duration(out.silent, silence.silent_ns)
    if silence.basis is not Basis.NONE:
        put_duration(out.usual, silence.usual_ns)
    out.known_count = silence.known
    out.slower_count = silence.slower
    if silence.expected_ns:
        put_time(out.expected_time, silence.expected_ns)
    out.is_long = silence.is_long


def _cut(text: str, bytes_max: int) -> str:
    """Cut a text at the end of a character: names of places are as long as others make them."""
    data = text.encode()
    return text if len(data) <= bytes_max else data[:bytes_max].decode(errors="ignore")
