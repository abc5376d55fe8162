"""What tests of comparisons and backups share: who is told, what is settled, rows tampered with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.compare.comparing import compare_with_log
from ledger.marks import TRAIL_READER
from ledger.quarantine.desk import Desk
from ledger.trail_store import MarkKind
from ledger.v1.quarantine_pb2 import QuarantineReason

if TYPE_CHECKING:
    from collections.abc import Collection

    from ledger.backends.rocksdb_folder import Folder
    from ledger.compare.comparing import Comparison
    from ledger.trail_store import KeptRow, Row


class Heard:
    """Who is told, and remembers it."""

    def __init__(self) -> None:
        self.totals: list[int] = []
        self.counts: list[int] = []
        self.messages: list[str] = []

    def total(self, total: int) -> None:
        """Hear how much there is to do."""
        self.totals.append(total)

    def done(self, count: int, message: str = "") -> None:
        """Hear how much is done."""
        self.counts.append(count)
        self.messages.append(message)


async def settle(ledger: Folder) -> None:
    """Mark as settled what is readable: what a writer does some seconds later."""
    cells = await ledger.store.marks(TRAIL_READER)
    settled = [cell._replace(kind=MarkKind.SETTLED) for cell in cells]
    await ledger.store.put_marks(TRAIL_READER, settled)


async def compared(ledger: Folder, told: Heard | None = None) -> Comparison:
    """Compare the store of a folder with its log."""
    desk = Desk(ledger.log, ledger.quarantine, ledger.store, now_ns=lambda: 1)

    async def refused() -> Collection[int]:
        reason = QuarantineReason.QUARANTINE_REASON_STORE_REFUSED
        return [item.position for item in (await desk.items()).all() if item.reason == reason]

    return await compare_with_log(
        ledger.log, ledger.store, ledger.store, refused=refused, told=told or Heard()
    )


async def rows_in(ledger: Folder) -> list[KeptRow]:
    """All rows of a store."""
    return [row async for page in ledger.store.all_rows() for row in page]


def tamper(ledger: Folder, row: KeptRow | Row, record: bytes | None) -> None:
    """Give a row other bytes, behind the store's back; none at all where there is no record."""
    family = ledger.store._engine.family(ledger.generations.serving_family)
    key = row[0] + b"\0" + row[1]
    if record is None:
        family.delete(key)
    else:
        family[key] = record
