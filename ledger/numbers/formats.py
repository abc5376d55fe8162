"""The formats of tracking numbers, read from data: how each looks, and who bears such numbers.

What is known lies in `data/`; here it is read once, checked, and sorted by length, so that a number
meets the few formats that it could have.
"""

from __future__ import annotations

import csv
import math
import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ledger.numbers.check_rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LENGTH_MAX: Final = 48
"""Longer than every number of a format, the routing in front of it included."""

_SET: Final = re.compile(r"\[([^]]+)\](?:\{(\d+)(?:,(\d+))?\})?")
_CLASS_SIZES: Final = {"0-9": 10, "A-Z": 26, "0-9A-Z": 36, "0-9A-F": 16}


class Carrier(NamedTuple):
    """Who bears numbers of a format: `upu` and `gs1` stand for all who use their standard."""

    id: str
    name: str
    countries: tuple[str, ...]


class Issuer(NamedTuple):
    """The post that gives out S10 numbers with a country code."""

    code: str
    country: str
    carrier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format, as `data/formats.toml` describes it."""

    id: str
    title: str
    carrier: Carrier
    shape: tuple[str, ...]
    pattern: re.Pattern[str]
    check: str
    over: tuple[int, int] | None
    front: str
    routed: bool
    needs_letter: bool
    services: Mapping[str, str]
    expect: Mapping[str, re.Pattern[str]]
    common: float
    reuse_months: int | None
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    likelihood: float
    _passes: Callable[[str], bool] | None = field(repr=False)

    def passes(self, number: str) -> bool | None:
        """Whether the check digit of a number of this shape is right; None where it has none."""
        if self._passes is None:
            return None
        checked = number if self.over is None else number[self.over[0] : self.over[1]]
        return self._passes(self.front + checked)


class Formats(NamedTuple):
    """All that the data says."""

    all: tuple[Format, ...]
    by_length: Mapping[tuple[int, bool], tuple[Format, ...]]
    issuers: Mapping[str, Issuer]
    carriers: Mapping[str, Carrier]


@cache
def formats() -> Formats:
    """The formats that are built in, read on first use."""
    document = tomllib.loads(_data("formats.toml"))
    carriers = {
        name: Carrier(name, entry["name"], tuple(entry["countries"]))
        for name, entry in document["carriers"].items()
    }
    services: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(_data("services.csv").splitlines()):
        services.setdefault(row["table"], {})[row["code"]] = row["service"]
    known = tuple(_format(entry, carriers, services) for entry in document["format"])
    issuers = {
        row["code"]: Issuer(row["code"], row["country"], row["carrier"])
        for row in csv.DictReader(_data("issuers.csv").splitlines())
    }
    return Formats(known, _by_length(known), issuers, carriers)


def _data(name: str) -> str:
    return (files("ledger.numbers") / "data" / name).read_text(encoding="utf-8")


def _format(
    entry: dict[str, Any],
    carriers: Mapping[str, Carrier],
    services: Mapping[str, Mapping[str, str]],
) -> Format:
    shape = tuple(entry["shape"])
    check = entry.get("check", "")
    return Format(
        id=entry["id"],
        title=entry["title"],
        carrier=carriers[entry["carrier"]],
        shape=shape,
        pattern=re.compile("".join(_named(part) for part in shape)),
        check=check,
        over=tuple(entry["over"]) if "over" in entry else None,
        front=entry.get("front", ""),
        routed=entry.get("routed", False),
        needs_letter=entry.get("needs") == "letter",
        services=services[entry["services"]] if "services" in entry else {},
        expect={name: re.compile(text) for name, text in entry.get("expect", {}).items()},
        common=entry["common"],
        reuse_months=entry.get("reuse"),
        right=tuple(entry.get("right", ())),
        wrong=tuple(entry.get("wrong", ())),
        likelihood=entry["common"] - _free(shape, checked=bool(check)),
        _passes=RULES[check] if check else None,
    )


def _named(part: str) -> str:
    """A part of a shape as a regular expression."""
    name, colon, expression = part.partition(":")
    return f"(?P<{name}>{expression})" if colon and name.isidentifier() else part


def _free(shape: tuple[str, ...], *, checked: bool) -> float:
    """How many numbers a format has, as a power of ten: the fewer, the less a fit is chance."""
    free = 0.0
    for part in shape:
        if checked and part.startswith("check:"):
            continue  # The others decide it.
        for characters, least, most in _SET.findall(part):
            size = _CLASS_SIZES.get(characters) or _spread(characters)
            free += math.log10(size) * int(most or least or 1)
    return free


def _spread(characters: str) -> int:
    """How many characters a set has."""
    pattern = re.compile(f"[{characters}]")
    return sum(1 for code in range(128) if pattern.match(chr(code)))


def _by_length(known: tuple[Format, ...]) -> dict[tuple[int, bool], tuple[Format, ...]]:
    """The formats that a number of a length can have, digits alone or not."""
    sorted_in: dict[tuple[int, bool], list[Format]] = {}
    for one in known:
        for length in _lengths(one):
            kinds = (False, True) if _may_be_digits(one) else (False,)
            for digits in kinds:
                sorted_in.setdefault((length, digits), []).append(one)
    return {key: tuple(found) for key, found in sorted_in.items()}


def _lengths(one: Format) -> range:
    """How long numbers of a format are: from the shortest to the longest that fits."""
    low, high = _width(one.pattern)
    return range(low, high + 1)


def _width(pattern: re.Pattern[str]) -> tuple[int, int]:
    """The least and the greatest length of what a shape takes.

    Shapes are sets, literals, alternatives of them and counts: nothing else is needed.
    """
    text = re.sub(r"\?P<\w+>|\?:", "", pattern.pattern)
    low, high, _ = _alternatives(text, 0)
    return low, high


def _alternatives(text: str, at: int) -> tuple[int, int, int]:
    lows, highs = [0], [0]
    while at < len(text) and text[at] != ")":
        if text[at] == "|":
            lows.append(0)
            highs.append(0)
            at += 1
            continue
        low = high = 1
        if text[at] == "(":
            low, high, at = _alternatives(text, at + 1)
        elif text[at] == "[":
            at = text.index("]", at)
        at += 1
        least, most, at = _count(text, at)
        lows[-1] += low * least
        highs[-1] += high * most
    return min(lows), max(highs), at


def _count(text: str, at: int) -> tuple[int, int, int]:
    """How often what stands before `at` is repeated, and where the next begins."""
    if text[at : at + 1] == "?":
        return 0, 1, at + 1
    if text[at : at + 1] != "{":
        return 1, 1, at
    end = text.index("}", at)
    least, _, most = text[at + 1 : end].partition(",")
    return int(least), int(most or least), end + 1


def _may_be_digits(one: Format) -> bool:
    """Whether digits alone can have a shape: no letter stands in it outside of a set."""
    if one.needs_letter:
        return False
    plain = re.sub(r"\?P<\w+>|\?:", "", one.pattern.pattern)
    sets = re.findall(r"\[([^]]+)\]", plain)
    outside = re.sub(r"\[[^]]+\]", "", plain)
    return not any(c.isalpha() for c in outside) and all(_takes_a_digit(s) for s in sets)


def _takes_a_digit(characters: str) -> bool:
    return any(re.match(f"[{characters}]", digit) for digit in "0123456789")
