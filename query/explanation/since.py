"""What was said at an earlier moment, against what is said today: why an answer has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from query.explanation.explaining import headline
from query.explanation.words import with_container

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from query.explanation.speaking import Speaker
    from query.journey import Item, Told

CHANGES_MAX: Final = 20
"""Most changes that are put into words: more of them nobody reads, and the trail has them all."""


def changes_since(
    speaker: Speaker, then: Item | None, now: Item | None, *, as_of_ns: int
) -> Sequence[str]:
    """Say what was known at a moment, in a sentence; what is said today; and what was corrected, or
    became known later though it had happened by then.
    """
    say = speaker.language.say
    sentences = [say("sentence", "as_of", time=speaker.instant(as_of_ns))]
    if now is None:
        return sentences
    today = say(f"status {now.instance.milestone.name}", "headline")
    sentences.append(say("sentence", "since_then", what=today))
    known = {one.identity for one in then.instance.events} if then is not None else set()
    sentences += (
        say("sentence", "corrected_since", what=_said(speaker, one))
        for one in _corrected(now, known)
    )
    sentences += (
        say("sentence", "told_later", what=_said(speaker, one))
        for one in now.instance.events
        if one.identity not in known and one.scan_time_ns <= as_of_ns
    )
    return sentences[: CHANGES_MAX + 2]


def _corrected(now: Item, known: set[tuple[bytes, str, bytes]]) -> Iterator[Told]:
    """Give what stood then, and stands no more."""
    for correction in now.instance.corrections:
        if correction.in_effect:
            yield from (one for one in correction.corrected if one.identity in known)


def _said(speaker: Speaker, one: Told) -> str:
    container = with_container(speaker.language, [key.decode() for key in one.path])
    what = headline(speaker, one) + container
    return ", ".join(filter(None, (what, speaker.place_of(one), speaker.time_of(one))))
