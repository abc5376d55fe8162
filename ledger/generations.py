"""The port of a store's generations: a store is made again beside the one that serves.

A generation serves, is being built, or is kept since another took its place. What is built gets all
that is put to the store from its beginning on, so only what was put before has to be brought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.trail_store import AllRows, MarkCell, Row


class Standing(NamedTuple):
    """Which generations there are."""

    serving: int
    """That answers."""
    building: int
    """That is being built; 0: none."""
    kept: Sequence[int]
    """That are there and do neither, until they are dropped: nobody answers from them."""


class Building(Protocol):
    """The generation that is being built. Errors are those of a `TrailStore`."""

    @property
    def generation(self) -> int:
        """Its number."""

    @property
    def rows(self) -> AllRows:
        """All of its rows."""

    @property
    def settle_after_s(self) -> float:
        """Seconds after which what was put to it is there for good, as a store's. 0: a mark that is
        put behind rows never outlives them.
        """

    async def put(self, rows: Sequence[Row]) -> None:
        """Keep rows in it alone. To put them again, or what was put to the store, changes
        nothing.
        """

    async def marks(self) -> Sequence[MarkCell]:
        """Return how far the log was brought to it."""

    async def put_marks(self, marks: Sequence[MarkCell]) -> None:
        """Keep marks: all rows of the records below were put to it, `settle_after_s` before. No
        other generation ever has them.
        """


class Generations(Protocol):
    """The generations of a store that is in use. Raises as a `TrailStore`, and NotPossibleNow.

    Where other processes use the store too, each method waits until all of them know.
    """

    async def standing(self) -> Standing:
        """Tell which there are."""

    async def begin(self) -> Building:
        """Begin a generation, or go on with the one that was begun, also by an earlier process.

        From its return on, for as long as it is built, every row that is put to the store is put
        to it too. So it has everything when all that the log held at that moment was brought to it.
        """

    async def serve(self, generation: int) -> None:
        """Let the generation that is being built serve from now on, and keep the one before.

        On return whoever begins to read through the store reads from it; what is read at this
        moment is read to its end from the one before, and misses nothing. Marks and progress
        history stay as they are: the caller knows that all that they cover is in both. A crash
        leaves one or the other serving, and so does a cancellation: `standing` tells.
        """

    async def drop(self, generation: int) -> None:
        """Remove a generation that does not serve, for good. Its number is never used again.

        Raises NotPossibleNow where it serves, or there is none of that number.
        """
