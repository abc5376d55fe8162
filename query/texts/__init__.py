"""What people are told: every text in every language, as files that anybody can edit.

Which texts there must be is made from the vocabulary and from what the fold answers (`keys`); the
words are data (`data/`), and an operator's own folder stands over them.
"""

from query.texts.file import Fault
from query.texts.languages import (
    BUILT_IN,
    ENGLISH,
    Language,
    Languages,
    built_in,
    check_language,
    load_languages,
)

__all__ = [
    "BUILT_IN",
    "ENGLISH",
    "Fault",
    "Language",
    "Languages",
    "built_in",
    "check_language",
    "load_languages",
]
