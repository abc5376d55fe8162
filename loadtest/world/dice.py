"""Chance that can be asked for anywhere: the same question has the same answer, whoever asks first.

Python's own generator is a sequence, so an answer would depend on all questions before. Here a
question is hashed under a secret, and the hash is used up word by word, in whole numbers only.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")

SECRET_BYTES = 32
"""Length of a secret: what different worlds differ in."""

WORD_BITS = 16
"""Fineness of a share: 1 in 65,536. The rarest share that is used is some hundred times as much."""

_WHOLE = 1 << WORD_BITS
_WORDS = struct.Struct("<32H")


def secret_of(*what: object) -> bytes:
    """Make the secret of a world from all that it depends on."""
    return blake2b(repr(what).encode(), digest_size=SECRET_BYTES).digest()


def share(part: float) -> int:
    """Give a share from 0 to 1 as `Dice.falls` takes it."""
    return round(part * _WHOLE)


class Weighted(Generic[T]):
    """Things of which one is drawn by weight: a part of the sum of all weights."""

    __slots__ = ("_ends", "_things")

    def __init__(self, weights: Iterable[tuple[T, int]]) -> None:
        pairs = list(weights)
        whole = sum(weight for _, weight in pairs)
        self._things = [thing for thing, _ in pairs]
        # The last end is beyond every word.
        self._ends = [end * _WHOLE // whole for end in accumulate(w for _, w in pairs)]

    def at(self, word: int) -> T:
        """Give the thing that a word stands for."""
        return self._things[bisect_right(self._ends, word)]


class Dice:
    """The chance of one question."""

    __slots__ = ("_at", "_hash", "_words")

    def __init__(self, secret: bytes, question: bytes) -> None:
        self._hash = blake2b(question, key=secret).digest()
        self._words: tuple[int, ...] = _WORDS.unpack(self._hash)
        self._at = -1

    def word(self) -> int:
        """Give a number from 0 to 65,535; all are equally likely."""
        self._at += 1
        try:
            return self._words[self._at]
        except IndexError:
            self._hash = blake2b(self._hash).digest()
            self._words = _WORDS.unpack(self._hash)
            self._at = 0
            return self._words[0]

    def falls(self, part: int) -> bool:
        """Tell whether something happens that has this `share`."""
        return self.word() < part

    def between(self, low: int, high: int) -> int:
        """Give a whole number from `low` to below `high`, one of 65,536 that are spread evenly."""
        return low + (self.word() * (high - low) >> WORD_BITS)

    def pick(self, among: Sequence[T]) -> T:
        """Give one of them; all are equally likely."""
        return among[self.word() * len(among) >> WORD_BITS]

    def weighted(self, among: Weighted[T]) -> T:
        """Give one of them by weight."""
        return among.at(self.word())
