"""The row that says which generations the store has, and how long a process may go by it.

A process looks at it every second, and does nothing with rows when its last look is too old. So who
changes the row waits longer than that, and then knows that everybody goes by what it says now.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.backends.cassandra_reading import Reading
from ledger.backends.cassandra_rows import Target
from ledger.backends.cassandra_scanning import Scanning
from ledger.errors import Busy, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cassandra.query import PreparedStatement

    from ledger.backends.cassandra_session import Session

WHAT: Final = b"trails"
"""The key of the row."""

SELECT: Final = (
    "SELECT generation, building, before, newest, first FROM $keyspace.serving WHERE what = ?"
)


class Looks(NamedTuple):
    """When the row is looked at. All processes of a ledger have the same."""

    every_s: float = 1.0
    """How often: one small read for each process."""
    believed_s: float = 5.0
    """How long one goes by a look, where the next ones fail: about as long as a request to a store
    that is not well may take.
    """
    stands_s: float = 7.0
    """How long is waited after a change, until nobody goes by what the row said before: longer, by
    what the clocks of two machines could differ in that time, and a loop stand still.
    """


LOOKS: Final = Looks()
"""What all processes have."""


class ServingRow(NamedTuple):
    """Which generations there are."""

    serving: int
    """That rows are read from."""
    building: int
    """That is being built; 0: none."""
    before: int
    """That served before, and may still be read by who does not know; 0: it is dropped."""
    newest: int
    """The highest number that was ever given."""
    first: int
    """Whose marks and history all use."""

    @classmethod
    def of(cls, values: Sequence[int | None]) -> ServingRow:
        """Read what the table has; a column that is not set counts as 0."""
        return cls(*(value or 0 for value in values))

    @property
    def targets(self) -> list[int]:
        """To which rows are put."""
        return [number for number in (self.serving, self.building, self.before) if number]


class Table(NamedTuple):
    """What is done with the rows of one generation."""

    target: Target
    reading: Reading
    scanning: Scanning

    @classmethod
    async def of(cls, session: Session, generation: int) -> Table:
        """Prepare."""
        reading = await Reading.of(session, generation)
        scanning = await Scanning.of(session, generation, reading)
        return cls(await Target.of(session, generation), reading, scanning)


class Serving:
    """What this process goes by. `look` comes first."""

    def __init__(
        self,
        session: Session,
        select: PreparedStatement,
        *,
        looks: Looks,
        monotonic: Callable[[], float],
    ) -> None:
        """Use `of`."""
        self._session = session
        self._select = select
        self._looks = looks
        self._monotonic = monotonic
        self._looking = asyncio.Lock()
        self._row = ServingRow(0, 0, 0, 0, 0)
        self._tables: dict[int, Table] = {}
        self._targets: list[Target] = []
        self._seen_s = self._tried_s = float("-inf")
        """When the last look began that succeeded, and the last one of all."""
        self._failed: Busy | None = None
        """What came of the last one of all."""

    @classmethod
    async def of(cls, session: Session, *, looks: Looks, monotonic: Callable[[], float]) -> Serving:
        """Prepare, and look. `monotonic` gives seconds."""
        serving = cls(session, await session.prepare(SELECT), looks=looks, monotonic=monotonic)
        await serving.look()
        return serving

    @property
    def generation(self) -> int:
        """Which one serves, as it was seen last."""
        return self._row.serving

    async def table(self) -> Table:
        """Give the one that serves. Raises Busy where that is not known."""
        await self._believe()
        return self._tables[self._row.serving]

    async def targets(self) -> Sequence[Target]:
        """Give all to which rows are put. Raises Busy where that is not known."""
        await self._believe()
        return self._targets

    async def is_target(self, generation: int) -> bool:
        """Look whether rows are put to a generation. Raises Busy."""
        await self.look()
        return generation in self._row.targets

    async def table_of(self, generation: int) -> Table:
        """Give that of some generation, which has to be there."""
        if generation not in self._tables:
            self._tables[generation] = await Table.of(self._session, generation)
        return self._tables[generation]

    async def look(self) -> None:
        """Look now, or share what came of a look that began since. Raises Busy."""
        asked_s = self._monotonic()
        async with self._looking:
            if self._seen_s > asked_s:
                return
            if self._failed and self._tried_s > asked_s:
                # Else a thousand that wait for a store that is away would each try in turn.
                raise self._failed.with_traceback(None)
            # From before the question on: the row may be changed as soon as it was read.
            self._tried_s, self._failed = self._monotonic(), None
            try:
                await self._look(self._tried_s)
            except Busy as busy:
                self._failed = busy
                raise

    async def _look(self, began_s: float) -> None:
        try:
            rows = await self._session.read(self._select, (WHAT,), key=WHAT)
            row = ServingRow.of(rows[0])
            tables = {number: await self.table_of(number) for number in row.targets}
        except (Refused, LookupError) as error:
            # A node that has not learned of a table yet, say. No row may be refused for it.
            raise Busy(
                f"Which generation of the store serves cannot be read: {error}",
                reason="SERVING_UNKNOWN",
                retry_after_s=self._looks.every_s,
            ) from error
        self._row, self._tables, self._seen_s = row, tables, began_s
        self._targets = [table.target for table in tables.values()]

    async def _believe(self) -> None:
        """Look where it is time for it, and go by what was seen if it is not too old."""
        now_s = self._monotonic()
        if now_s - self._seen_s < self._looks.every_s:
            return
        if now_s - self._seen_s < self._looks.believed_s:
            if self._looking.locked() or now_s - self._tried_s < self._looks.every_s:
                return  # Somebody looks, or has just failed to.
            try:
                await self.look()
            except Busy:
                if self._monotonic() - self._seen_s >= self._looks.believed_s:
                    raise
            return
        await self.look()
