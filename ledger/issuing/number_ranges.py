"""The ranges that numbers may be issued from, as a file of the settings says them (TOML).

[[range]]
id = "rr-acme"
format = "s10"
service = "RR"
issuer = "GB"
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ledger.errors import Refused
from ledger.issuing.spaces import Space, impb_space, s10_space, sscc_space
from ledger.numbers import Check, compose_impb, compose_s10, compose_sscc, explain
from ledger.numbers.formats import formats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FILE_BYTES_MAX: Final = 1 << 20
"""Most bytes of the file."""

RANGES_MAX: Final = 1_000
"""Most ranges of a file: `ListNumberRanges` answers them all at once."""

RANGE_ID_BYTES_MAX: Final = 64

REUSE_MONTHS: Final = 24
"""After how many months a number is given again where a range does not say: twice what S10 asks
for, since months may pass before a number that was given is on a parcel.
"""

REUSE_MONTHS_MAX: Final = 1_200

MONTH_NS: Final = 31 * 86_400 * 1_000_000_000
"""A month here: never shorter than one of the calendar."""

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "s10": ("service", "issuer"),
    "impb": ("identifier", "service", "mailer_id"),
    "sscc": ("extension", "company_prefix"),
}
_ALSO: Final = ("id", "format", "first", "last", "mailers", "reuse_months")
_FORMATS: Final = {"s10": "upu-s10", "impb": "usps-impb-", "sscc": "gs1-sscc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Serials that numbers are issued from.

    Attributes:
        id: its name.
        space: the name of the space of its serials.
        first: the first serial, as the space counts.
        last: the last.
        mailers: who may be given its numbers; empty: anybody.
        reuse_months: after how many months a number may be given again.
    """

    id: str
    space: str
    first: int
    last: int
    mailers: frozenset[str]
    reuse_months: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return self.last - self.first + 1

    @property
    def retention_ns(self) -> int:
        """For how long a number is not given again."""
        return self.reuse_months * MONTH_NS


class _Faulty(Exception):
    """A range that cannot be read."""


def load_ranges(path: Path | None) -> Sequence[Range]:
    """Read the ranges of a file; none where there is no file. Raises Refused with the fault."""
    if path is None:
        return ()
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror}") from error
    return read_ranges(data, path)


def read_ranges(data: bytes, path: Path) -> Sequence[Range]:
    """Read the ranges; `path` says in errors which file it is."""
    if len(data) > FILE_BYTES_MAX:
        raise _unusable(path, f"it has more than {FILE_BYTES_MAX:,} bytes")
    try:
        document = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unusable(path, f"{error}") from error
    entries = document.pop("range", [])
    if document or not isinstance(entries, list) or not 1 <= len(entries) <= RANGES_MAX:
        raise _unusable(path, f"it has 1 to {RANGES_MAX} tables [[range]], and nothing else")
    ranges: list[Range] = []
    for place, entry in enumerate(entries, 1):
        try:
            one = _range(entry)
            _check_against(one, ranges)
        except (_Faulty, ValueError) as fault:
            name = entry.get("id") if isinstance(entry, dict) else None
            raise _unusable(path, f"range {name or place}: {fault}") from fault
        ranges.append(one)
    return ranges


def _range(entry: Any) -> Range:  # noqa: ANN401 - whatever the file has.
    if not isinstance(entry, dict):
        raise _Faulty("it is no table")
    kind = entry.get("format")
    if not isinstance(kind, str) or kind not in _PARTS:
        raise _Faulty(f"`format` is one of {', '.join(_PARTS)}, not {kind!r}")
    if unknown := sorted(entry.keys() - {*_PARTS[kind], *_ALSO}):
        raise _Faulty(f"`{unknown[0]}` is not known here")
    name = entry.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise _Faulty("`id` is a name of lower-case letters, digits, `.`, `_` and `-`")
    space, digits, moved = _space(kind, [_text(entry, part) for part in _PARTS[kind]])
    first = _count(entry, "first", 0, 0, 10**digits - 1)
    last = _count(entry, "last", 10**digits - 1, first, 10**digits - 1)
    _check_number(kind, space.number(moved + first))
    least = _reuse_least(kind)
    return Range(
        id=name,
        space=space.name,
        first=moved + first,
        last=moved + last,
        mailers=frozenset(_mailers(entry)),
        reuse_months=_count(entry, "reuse_months", REUSE_MONTHS, least, REUSE_MONTHS_MAX),
    )


def _reuse_least(kind: str) -> int:
    """Give the fewest months that a format's own rules allow; 1 where none is known."""
    known = [one.reuse_months for one in formats().all if one.id.startswith(_FORMATS[kind])]
    return max((months for months in known if months), default=1)


def _space(kind: str, parts: Sequence[str]) -> tuple[Space, int, int]:
    """Give the space, the digits of the range's own serials, and what moves them up there.

    Raises ValueError where the parts do not fit the format.
    """
    if kind == "s10":
        service, issuer = parts
        compose_s10(service, 0, issuer)
        space = s10_space(service, issuer)
        return space, space.digits, 0
    if kind == "impb":
        identifier, service_type, mailer_id = parts
        compose_impb(identifier, service_type, mailer_id, 0)
        space = impb_space(identifier, service_type, mailer_id)
        return space, space.digits, 0
    extension, prefix = parts
    if len(extension) != 1 or not (extension.isascii() and extension.isdigit()):
        raise _Faulty(f"`extension` is one digit, not {extension!r}")
    lowest = compose_sscc(int(extension), prefix, 0)
    space, moved = sscc_space(extension, prefix)
    assert space.number(moved) == lowest
    return space, len(lowest) - 2 - len(prefix), moved


def _check_number(kind: str, number: str) -> None:
    """Refuse numbers that nobody would take for what they are, as of a post that does not exist."""
    if any(
        one.check is Check.RIGHT and one.is_valid and one.format.id.startswith(_FORMATS[kind])
        for one in explain(number).candidates
    ):
        return
    raise _Faulty(
        f"its numbers, as {number}, are not valid; `parcel-ledger number explain` says why"
    )


def _check_against(one: Range, others: Sequence[Range]) -> None:
    for other in others:
        if other.id == one.id:
            raise _Faulty("another range has the same `id`")
        if other.space == one.space and other.first <= one.last and one.first <= other.last:
            raise _Faulty(f"it shares numbers with the range {other.id}")


def _text(entry: Mapping[str, Any], part: str) -> str:
    value = entry.get(part)
    if not isinstance(value, str) or not value:
        raise _Faulty(f"`{part}` is a text in quotes")
    return value


def _count(entry: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = entry.get(name, default)
    if type(value) is not int or not least <= value <= most:
        raise _Faulty(f"`{name}` is a number from {least} to {most}, not {value!r}")
    return value


def _mailers(entry: Mapping[str, Any]) -> Iterator[str]:
    value = entry.get("mailers", [])
    if not isinstance(value, list):
        raise _Faulty("`mailers` is a list of texts")
    for mailer in value:
        if not isinstance(mailer, str) or not mailer.strip():
            raise _Faulty("`mailers` is a list of texts")
        yield mailer


def _unusable(path: Path, why: str) -> Refused:
    return Refused(
        f"The number ranges in {path} cannot be used: {why}.",
        reason="NUMBER_RANGES_UNUSABLE",
        field="number_ranges",
        metadata={"path": str(path)},
    )
