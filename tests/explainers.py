"""Explanations for tests: a story in, its words out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.facilities import Directory, built_in
from query.explanation import Explanation, Speaker, explain_item
from query.explanation.silence import nothing_known
from query.journey import Asked, fold
from query.journey.rules import HOUR_NS
from query.texts import built_in as languages
from tests.tellers import START_NS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from query.explanation.silence import HistoryOf
    from query.journey import Item, Told

NOWHERE = Directory([])


def speaker(language: str = "en", directory: Directory | None = None) -> Speaker:
    """Speak a language, with the facilities that are built in."""
    return Speaker(languages().choose(language), built_in() if directory is None else directory)


def item_of(told: Iterable[Told], *, hour: float | None = None) -> tuple[Item, int]:
    """Fold a story at an hour, or at its end; give also the moment."""
    told = list(told)
    now_ns = max(one.scan_time_ns for one in told)
    if hour is not None:
        now_ns = START_NS + int(hour * HOUR_NS)
    item = fold(told, Asked(now_ns))
    assert item
    return item, now_ns


def explained(
    told: Iterable[Told],
    *,
    hour: float | None = None,
    language: str = "en",
    history_of: HistoryOf = nothing_known,
) -> Explanation:
    """Explain a story at an hour, or at its end."""
    item, now_ns = item_of(told, hour=hour)
    return explain_item(speaker(language), item, now_ns=now_ns, history_of=history_of)


def all_words(found: Explanation) -> str:
    """Give everything that an explanation says."""
    words = [found.status, *found.beside, *found.doubts, *(one.words for one in found.events)]
    return "\n".join(
        [
            *(part for one in words for part in (one.headline, one.meaning, one.next, one.do)),
            *found.delivery,
            found.cause_words,
            *found.sentences,
            *found.others,
        ]
    )
