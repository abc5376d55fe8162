"""Sorts what was read from the log `scans` into rows and what is unfit. A function of the records.

The writer keeps what it says; who compares a store with the log expects what it says, and who makes
a store again puts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.codec import Fault, fault_of, rows_of
from ledger.event import split_order
from ledger.numbers import partition_of
from ledger.position import unpack_position
from ledger.quarantine.records import Unfit, stub_of, stub_row
from ledger.v1.quarantine_pb2 import QuarantineReason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ledger.trail_store import Row

STORE_REFUSED = Fault(QuarantineReason.QUARANTINE_REASON_STORE_REFUSED, "")
"""The fault of a record that the store did not take; the words are in quarantine alone."""

_WRONG_PARTITION = QuarantineReason.QUARANTINE_REASON_WRONG_PARTITION


def sort_out(
    values: Sequence[bytes], first_position: int, partitions: int
) -> tuple[list[Row], list[Unfit]]:
    """Give the rows of records that follow one another in one of `partitions` partitions, from a
    position (as one number) on, and those records that no row can be made of.

    What is in containers comes first: the last row is the last record's.
    """
    rows: list[Row] = []
    contents: list[Row] = []
    unfit: list[Unfit] = []
    home = unpack_position(first_position).partition
    at = 0
    while at < len(values):
        part = rows_of(values[at:] if at else values, first_position + at, contents)
        rows += _at_home(part, first_position + at, home, partitions, unfit)
        at += len(part)
        if at < len(values):
            fault = fault_of(values[at])
            assert fault is not None  # It has ended `part`.
            unfit.append(Unfit(first_position + at, values[at], fault))
            at += 1
    if not contents:
        return rows, unfit
    if unfit:
        strays = {one.position for one in unfit}
        contents = [row for row in contents if split_order(row.order).position not in strays]
    return contents + rows, unfit


def rows_said(
    values: Sequence[bytes], first_position: int, partitions: int, refused: Collection[int]
) -> list[Row]:
    """Give all rows that stand in trails for such records, notices included. `refused` are the
    positions of records that the store did not take, by quarantine.
    """
    rows, unfit = sort_out(values, first_position, partitions)
    if refused:
        placed = [(split_order(row.order).position, row) for row in rows]
        gone = {at: row.record for at, row in placed if at in refused}  # Each with all its rows.
        unfit += [Unfit(at, record, STORE_REFUSED) for at, record in gone.items()]
        rows = [row for at, row in placed if at not in refused]
    return rows + [row for one in unfit if (row := row_instead(one))]


def row_instead(unfit: Unfit) -> Row | None:
    """Give the row that stands in the trail for an unfit record, at that record's position.

    None where the trail is not known, or where it is another partition's: there the stub is a
    record of its own, since a trail shows only what the marks of its own partition cover.
    """
    if unfit.fault.reason == _WRONG_PARTITION:
        return None
    stub = stub_of(unfit)
    return stub_row(stub, unfit.position) if stub else None


def _at_home(
    rows: list[Row], first: int, home: int, partitions: int, unfit: list[Unfit]
) -> list[Row]:
    """Give the rows that belong into this partition; put the others to what is unfit."""
    strays = {at for at, row in enumerate(rows) if partition_of(row[0], partitions) != home}
    for at in sorted(strays):
        belongs = partition_of(rows[at].tracking_key, partitions)
        fault = Fault(
            _WRONG_PARTITION,
            f"The record lies in partition {home} and belongs into {belongs} by its key: it was "
            f"written with another number of partitions, or by another program.",
        )
        unfit.append(Unfit(first + at, rows[at].record, fault))
    return [row for at, row in enumerate(rows) if at not in strays] if strays else rows
