"""What is in a spool, for whoever sends it: places, ages and bytes, read from the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.spool_limits import FULL_RETRY_S
from ingest.spool_refused import RefusedList
from ledger.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ingest.spool_files import Files
    from ingest.spool_frames import Frame
    from ingest.spool_limits import SpoolLimits
    from ingest.spool_recovery import Recovered


class SpoolContents:
    """The part of a spool that only looks."""

    def __init__(
        self,
        files: Files,
        found: Recovered,
        *,
        limits: SpoolLimits,
        now_ns: Callable[[], int],
    ) -> None:
        """For `Spool`. Raises OSError."""
        self.spool_id = found.spool_id
        """Minted when the spool was made."""

        self.limits = limits
        self._segments = found.segments
        self._notes = found.notes
        self._refused = RefusedList(files, limits.refused_bytes)
        self._now_ns = now_ns
        self._unsettled = self.next_place - 1 - self._notes.settled.count

    @property
    def next_place(self) -> int:
        """The place of the next scan: one more than that of the last one that is synced."""
        return self._segments.next_place

    @property
    def unsettled(self) -> int:
        """How many scans are neither durable in the ledger nor refused, as far as is known."""
        return self._unsettled

    @property
    def settled_through(self) -> int:
        """The place up to which all are settled; 0 is none."""
        return next(self._notes.settled.missing(1, self.next_place), (self.next_place,))[0] - 1

    @property
    def size_bytes(self) -> int:
        """What the spool takes on the disk, its list of refused scans included."""
        return self._segments.size_bytes + self._refused.size_bytes

    @property
    def refused(self) -> int:
        """How many scans stand in the list of refused ones."""
        return self._refused.count

    @property
    def let_go(self) -> int:
        """How many scans went out of that list, as it was full."""
        return self._refused.let_go

    def oldest_s(self) -> float:
        """Tell how old the oldest unsettled scan is, in seconds; 0 where there is none."""
        oldest = self.settled_through + 1
        segment = self._segments.segment_of(oldest)
        if segment is None:
            return 0.0
        return max(self._now_ns() - segment.time_ns_before(oldest), 0) / 1e9

    def is_overdue(self) -> bool:
        """Tell whether scans are here for longer than the limit."""
        return self.oldest_s() > self.limits.age_max_s

    def unsettled_between(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Give the places between two that are not settled, as runs."""
        return self._notes.settled.missing(first, end)

    def frames(self, place: int, most_bytes: int) -> Sequence[Frame]:
        """Read scans from a place on: those of its commit at least, and at most about so many bytes
        of further ones. Gives none where the place is forgotten. Raises Diverged where the file is
        damaged, and Busy where the disk fails.
        """
        try:
            return self._segments.frames(place, most_bytes)
        except OSError as error:
            raise Busy(
                f"The spool cannot be read: {error.strerror}.",
                reason="SPOOL_DISK",
                retry_after_s=FULL_RETRY_S,
            ) from error

    def place_before(self, time_ns: int) -> int:
        """Give a place that was spooled before a time, and not long before; 1 where none was."""
        return next(
            (
                place
                for segment in reversed(self._segments.all)
                if (place := segment.place_before(time_ns)) is not None
            ),
            1,
        )
