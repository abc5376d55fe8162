"""What a trail means: its events folded into items, legs, a status, flags and four stages.

`fold` is pure. It reads neither positions nor record times, so the same events give the same answer
in whatever order they arrived; what the trail cannot tell is said as a doubt, and never guessed.
"""

from query.journey.folding import Asked, fold
from query.journey.numbering import asked_of
from query.journey.result import (
    Beside,
    Confidence,
    Correction,
    Doubt,
    Flag,
    Instance,
    Item,
    Leg,
    LegKind,
    Presence,
    Proof,
    Stages,
    Weakness,
    Whereabouts,
)
from query.journey.told import Moment, Told, told_of

__all__ = [
    "Asked",
    "Beside",
    "Confidence",
    "Correction",
    "Doubt",
    "Flag",
    "Instance",
    "Item",
    "Leg",
    "LegKind",
    "Moment",
    "Presence",
    "Proof",
    "Stages",
    "Told",
    "Weakness",
    "Whereabouts",
    "asked_of",
    "fold",
    "told_of",
]
