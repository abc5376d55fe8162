"""What tests of issuing use: ranges, requests, and a port with faults in pairs."""

import os
from collections.abc import Callable
from pathlib import Path

from ledger.errors import LedgerError
from ledger.issuing import BlockRequest, NumberBlocks, Range
from ledger.issuing.number_ranges import MONTH_NS, read_ranges

DAY_NS = 86_400 * 1_000_000_000
NOW_NS = 1_800_000_000 * 1_000_000_000
RETENTION_NS = 24 * MONTH_NS

Fault = Callable[[str], LedgerError | None]


def ranges_of(text: str) -> list[Range]:
    """The ranges of a file that says this."""
    return list(read_ranges(text.encode(), Path("ranges.toml")))


def small_range(size: int, *, name: str = "small", mailer_id: str = "912345678") -> Range:
    """A range of a few IMpb numbers; each mailer id is another space."""
    [one] = ranges_of(
        f'[[range]]\nid = "{name}"\nformat = "impb"\nidentifier = "92"\nservice = "055"\n'
        f'mailer_id = "{mailer_id}"\nfirst = 1\nlast = {size}\n'
    )
    return one


def own_space() -> str:
    """A mailer id that no other test uses, since suites share servers."""
    return f"9{int.from_bytes(os.urandom(8), 'big') % 10**8:08d}"


def wanted(
    count: int, *, request_id: bytes | None = None, range_id: str = "small", mailer: str = "acme"
) -> BlockRequest:
    """A request, by default with an id of its own."""
    return BlockRequest(
        request_id=request_id or os.urandom(16), range_id=range_id, mailer=mailer, count=count
    )


class FaultyBlocks:
    """Passes everything on to a real port, and fails as it is told."""

    def __init__(self, blocks: NumberBlocks) -> None:
        self.fails_unwritten: Fault = lambda _: None
        """Asked with the method's name before a call; the error is raised and nothing is kept."""

        self.fails_written: Fault = lambda _: None
        """Asked after a call; the error is raised though it is kept."""

        self._blocks = blocks

    async def space(self, name: str) -> bytes | None:
        """As the port's, or fail."""
        self._raise(self.fails_unwritten, "space")
        return await self._blocks.space(name)

    async def move(self, name: str, before: bytes | None, after: bytes) -> bool:
        """As the port's, or fail."""
        self._raise(self.fails_unwritten, "move")
        moved = await self._blocks.move(name, before, after)
        self._raise(self.fails_written, "move")
        return moved

    async def given(self, request_id: bytes) -> bytes | None:
        """As the port's, or fail."""
        self._raise(self.fails_unwritten, "given")
        return await self._blocks.given(request_id)

    async def give(self, request_id: bytes, block: bytes) -> bytes:
        """As the port's, or fail."""
        self._raise(self.fails_unwritten, "give")
        stands = await self._blocks.give(request_id, block)
        self._raise(self.fails_written, "give")
        return stands

    @staticmethod
    def _raise(fault: Fault, method: str) -> None:
        if error := fault(method):
            raise error
