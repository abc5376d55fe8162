"""What a trail means to the person who asks: status, events, silence and cause in plain words.

Pure: the fold's answer (`query.journey`), the texts (`query.texts`), the facilities and the moment
are passed in. Nothing is guessed: a cause is the likeliest one, and a doubt is said as one.
"""

from query.explanation.cause import Cause, cause_of
from query.explanation.explaining import NOT_YET_SEEN, Explanation, explain_item, explain_nothing
from query.explanation.silence import Basis, Silence, silence_of
from query.explanation.since import changes_since
from query.explanation.speaking import Speaker, duration_in
from query.explanation.words import UNKNOWN, Words, lies_in, with_container

__all__ = [
    "NOT_YET_SEEN",
    "UNKNOWN",
    "Basis",
    "Cause",
    "Explanation",
    "Silence",
    "Speaker",
    "Words",
    "cause_of",
    "changes_since",
    "duration_in",
    "explain_item",
    "explain_nothing",
    "lies_in",
    "silence_of",
    "with_container",
]
