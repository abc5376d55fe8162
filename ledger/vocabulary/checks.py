"""Whether the rows of a mapping say one thing: each code one event, each event one code. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.vocabulary.mapping import Way, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.vocabulary.mapping import Mapping, Row

_Finding = tuple[int, str]
"""A line, and what is wrong there."""


def check_rows(mapping: Mapping) -> Iterator[_Finding]:
    """Give the rows that are never reached, the codes that may end as nothing, and the events with
    two codes. Without any of that every pair comes back as it went.
    """
    yield from _check_inwards(mapping)
    yield from _check_outwards(mapping)


def _check_inwards(mapping: Mapping) -> Iterator[_Finding]:
    last: dict[str, Row] = {}
    first_outwards: dict[str, Row] = {}
    for row in mapping.rows:
        key = mapping.key(row.code)
        if row.way is Way.OUT:
            first_outwards.setdefault(key, row)
            continue
        last[key] = row
        found = mapping.inwards(sample(row, mapping.system))
        if found is not row:
            assert found is not None
            yield (
                row.line,
                f"`{row.code}` would map to two events: what this row asks for, line {found.line} "
                f"takes. Give this row a condition, or put it before that one.",
            )
    for row in last.values():
        if row.is_conditional:
            yield (
                row.line,
                f"`{row.code}` maps to nothing where no condition holds: its last row may have "
                f"none.",
            )
    for key, row in first_outwards.items():
        if key not in last:
            yield row.line, f"`{row.code}` is told outwards, and maps to nothing when it comes in."


def _check_outwards(mapping: Mapping) -> Iterator[_Finding]:
    first: dict[tuple[int, frozenset[tuple[str, object]]], Row] = {}
    for row in mapping.rows:
        if row.way is Way.IN:
            continue
        known = first.setdefault((row.meaning.type, row.meaning.qualifiers), row)
        if known is not row:
            yield (
                row.line,
                f"The same event has a code in line {known.line}; only one of them can be told "
                f"outwards. Make the other one's `way` `in`.",
            )
