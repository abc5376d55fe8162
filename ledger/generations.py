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
    """That served before, as they were then, until they are dropped."""


class Building(Protocol):
    """The generation that is being built. Errors are those of a `TrailStore`."""

    @property
    def generation(self) -> int:
        """Its number."""

    @property
    def rows(self) -> AllRows:
        """All of its rows."""

    async def put(self, rows: Sequence[Row]) -> None:
        """Keep rows in it alone. To put them again, or what was put to the store, changes
        nothing.
        """

    async def marks(self) -> Sequence[MarkCell]:
        """Return how far the log was brought to it."""

    async def put_marks(self, marks: Sequence[MarkCell]) -> None:
        """Keep marks: all rows of the records below were put to it. A mark never outlives its rows,
        and ends with the generation.
        """


class Generations(Protocol):
    """The generations of a store that is in use. Raises as a `TrailStore`, and NotPossibleNow."""

    def standing(self) -> Standing:
        """Tell which there are."""

    async def begin(self) -> Building:
        """Begin a generation, or go on with the one that was begun, also by an earlier process.

        From its return on, for as long as it is built, every row that is put to the store is put
        to it too. So it has everything when all that the log held at that moment was brought to it.
        """

    async def serve(self, generation: int) -> None:
        """Let the generation that is being built serve from now on, and keep the one before.

        Whoever reads through the store reads from it at once; what is read at this moment is read
        to its end from the one before. Marks and progress history stay as they are: the caller
        knows that all that they cover is in both. A crash leaves one or the other serving, and so
        does a cancellation: `standing` tells.
        """

    async def drop(self, generation: int) -> None:
        """Remove a generation that does not serve, for good. Its number is never used again.

        Raises NotPossibleNow where it serves, or there is none of that number.
        """
